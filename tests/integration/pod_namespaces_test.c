/* Whose namespaces and cgroups a container has: the pod's, its own or the host's; its limits, its ports. */
#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/integration/node_fixture.h"

static const char *const sleeping[] = {"/bin/sleep", "1000", NULL};

enum {
    POD = RUNTIME__V1__NAMESPACE_MODE__POD,
    CONTAINER = RUNTIME__V1__NAMESPACE_MODE__CONTAINER,
    NODE = RUNTIME__V1__NAMESPACE_MODE__NODE
};

/* A pod with two containers. */
struct scene {
    struct fixture *fixture;
    struct pod_request pod;
    struct container_request container;
    char *pod_id;
    char *ids[2];
};

/* The pod's modes; its containers ask for the same. */
static void scene_open(struct scene *scene, struct fixture *fixture, const char *name, int network, int pid, int ipc)
{
    static const char *const names[] = {"first", "second"};

    *scene = (struct scene){.fixture = fixture};
    pod_request_init(&scene->pod, &fixture->node, name, network == NODE);
    scene->pod.namespaces.pid = (Runtime__V1__NamespaceMode)pid;
    scene->pod.namespaces.ipc = (Runtime__V1__NamespaceMode)ipc;
    scene->pod_id = pod_begin(fixture, &scene->pod);
    for (size_t i = 0; i < 2; i++) {
        container_request_init(&scene->container, &scene->pod, scene->pod_id, names[i], busybox, sleeping);
        scene->ids[i] = container_begin(fixture, &scene->container);
        container_request_fini(&scene->container);
    }
}

static void scene_close(struct scene *scene)
{
    free(scene->ids[0]);
    free(scene->ids[1]);
    pod_end(scene->fixture, scene->pod_id);
    pod_request_fini(&scene->pod);
}

/* "net:[4026531840]" */
static char *namespace_in(struct scene *scene, size_t container, const char *kind)
{
    autofree char *script = xasprintf("readlink /proc/self/ns/%s", kind);

    return script_output(scene->fixture, scene->ids[container], script, 0);
}

/* POD: both the same, and not ours; CONTAINER: two others; NODE: ours. An exec is in its container's, so this asks it
 * of them too. */
static void namespaces_are(struct scene *scene, const char *kind, int mode)
{
    autofree char *path = xasprintf("/proc/self/ns/%s", kind), *first = namespace_in(scene, 0, kind),
                  *second = namespace_in(scene, 1, kind);
    char ours[64] = "";

    assert_true(readlink(path, ours, sizeof(ours) - 2) > 0);
    strcat(ours, "\n");
    bool is_one = strcmp(first, second) == 0, is_ours = strcmp(first, ours) == 0;
    if (is_one != (mode != CONTAINER) || is_ours != (mode == NODE))
        fail_msg("%s: %s and %s, ours is %s, mode %d was asked for", kind, first, second, ours, mode);
}

static void containers_share_the_pods_network_and_ipc_and_have_a_pid_namespace_each(void **state)
{
    struct scene scene;

    scene_open(&scene, *state, "usual", POD, CONTAINER, POD);
    namespaces_are(&scene, "net", POD);
    namespaces_are(&scene, "ipc", POD);
    namespaces_are(&scene, "uts", POD);
    namespaces_are(&scene, "pid", CONTAINER);
    namespaces_are(&scene, "mnt", CONTAINER);
    script_prints(scene.fixture, scene.ids[0], "tr '\\0' ' ' < /proc/1/cmdline; ps | grep -c '[s]leep'",
                  "/bin/sleep 1000 1\n");
    script_prints(scene.fixture, scene.ids[0], "ip -o link | cut -d: -f2 | cut -d@ -f1", " lo\n eth0\n");
    free(script_output(scene.fixture, scene.ids[0], "nc -l -p 999 -e echo hello > /dev/null 2>&1 &", 0));
    script_prints(scene.fixture, scene.ids[1], "until nc 127.0.0.1 999 2> /dev/null; do sleep 0.1; done", "hello\n");
    scene_close(&scene);
}

/* Everyone sees everyone's processes; the first is the pod's own, and reaps what is left to it. */
static void a_pod_may_share_one_pid_namespace(void **state)
{
    struct workload_state now;
    struct scene scene;

    scene_open(&scene, *state, "together", POD, POD, POD);
    namespaces_are(&scene, "pid", POD);
    script_prints(scene.fixture, scene.ids[0], "ps | grep -c '[s]leep 1000'", "2\n");
    script_fails(scene.fixture, scene.ids[0], "grep sleep /proc/1/cmdline");
    script_prints(scene.fixture, scene.ids[0],
                  "pid=$(sleep 0.2 > /dev/null & echo $!); while test -d /proc/$pid; do sleep 0.1; done; echo reaped",
                  "reaped\n");
    check(workload_stop(&scene.fixture->work, scene.ids[1], 0));
    check(workload_status(&scene.fixture->work, scene.ids[1], &now));
    assert_int_equal(now.exit_code, 137);
    script_prints(scene.fixture, scene.ids[0], "ps | grep -c '[s]leep 1000'", "1\n");
    scene_close(&scene);
}

static void a_pod_may_have_the_hosts_namespaces(void **state)
{
    struct scene scene;

    scene_open(&scene, *state, "hosted", NODE, NODE, NODE);
    namespaces_are(&scene, "net", NODE);
    namespaces_are(&scene, "ipc", NODE);
    namespaces_are(&scene, "pid", NODE);
    namespaces_are(&scene, "uts", NODE);
    namespaces_are(&scene, "mnt", CONTAINER);
    autofree char *script = xasprintf("test -d /proc/%d && echo seen", getpid());
    script_prints(scene.fixture, scene.ids[0], script, "seen\n");
    scene_close(&scene);
}

static void a_container_may_have_an_ipc_namespace_of_its_own(void **state)
{
    struct scene scene;

    scene_open(&scene, *state, "apart", POD, CONTAINER, CONTAINER);
    namespaces_are(&scene, "ipc", CONTAINER);
    namespaces_are(&scene, "net", POD);
    scene_close(&scene);
}

/* The path of a container's cgroup in each hierarchy, as seen from outside: with version 2 the container sees it as its root. */
static void cgroup_is_below(const struct scene *scene, const char *parent)
{
    autofree char *place = node_container_cgroup("", parent, scene->pod_id, scene->ids[0]), *procs = xasprintf("%s/cgroup.procs", place);
    autofree char *script = xasprintf("grep -v -e ':%s$' -e ':/$' -e '^0::' /proc/1/cgroup; true", strstr(place, "/bh"));

    if (host_has_cgroup2()) {
        free(file_text(procs));
        script_prints(scene->fixture, scene->ids[0], "cat /proc/1/cgroup", "0::/\n");
        return;
    }
    autofree char *others = script_output(scene->fixture, scene->ids[0], script, 0);
    autofree char *count = script_output(scene->fixture, scene->ids[0], "grep -c /bh /proc/1/cgroup", 0);

    assert_string_equal(others, "");
    assert_true(atoi(count) >= 4);
}

static void a_containers_cgroup_is_below_the_pods_parent(void **state)
{
    struct scene scene;

    scene_open(&scene, *state, "grouped", NODE, CONTAINER, POD);
    cgroup_is_below(&scene, scene.pod.cgroup);
    scene_close(&scene);
}

/* Of both versions: controller and file of version 1, file of version 2. */
struct limit {
    const char *controller, *file, *value;
    const char *file2, *value2; /* NULL: version 2 says it with another */
};

static const struct limit limits[] = {
    {"cpu", "cpu.shares", "512\n", "cpu.weight", "20\n"},
    {"cpu", "cpu.cfs_period_us", "50000\n", NULL, NULL},
    {"cpu", "cpu.cfs_quota_us", "20000\n", "cpu.max", "20000 50000\n"},
    {"cpuset", "cpuset.cpus", "0\n", "cpuset.cpus", "0\n"},
    {"memory", "memory.limit_in_bytes", "100663296\n", "memory.max", "100663296\n"},
};
static const struct limit no_limit = {"cpu", "cpu.shares", "1024\n", "cpu.weight", "100\n"};

static void cgroup_has(const struct scene *scene, const char *id, const struct limit *limit)
{
    bool is_2 = host_has_cgroup2();
    autofree char *place = node_container_cgroup(limit->controller, scene->pod.cgroup, scene->pod_id, id);
    autofree char *path = xasprintf("%s/%s", place, is_2 ? limit->file2 : limit->file);
    const char *expected = is_2 ? limit->value2 : limit->value;

    if (is_2 && !limit->file2)
        return;
    autofree char *text = file_text(path);
    if (strcmp(text, expected) != 0)
        fail_msg("%s is %s, not %s", path, text, expected);
}

/* Read from both sides: the host's hierarchy, and what the container sees of it. */
static void cpu_and_memory_limits_are_the_cgroups(void **state)
{
    struct fixture *fixture = *state;
    struct scene scene;

    scene_open(&scene, fixture, "limited", NODE, CONTAINER, POD);
    container_request_init(&scene.container, &scene.pod, scene.pod_id, "third", busybox, sleeping);
    scene.container.resources.cpu_shares = 512;
    scene.container.resources.cpu_period = 50000;
    scene.container.resources.cpu_quota = 20000;
    scene.container.resources.cpuset_cpus = (char *)"0";
    scene.container.resources.memory_limit_in_bytes = 96 << 20;
    autofree char *id = container_begin(fixture, &scene.container);
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
        cgroup_has(&scene, id, &limits[i]);
    if (host_has_cgroup2())
        script_prints(fixture, id, "cd /sys/fs/cgroup; cat cpu.weight cpuset.cpus memory.max; nproc", "20\n0\n100663296\n1\n");
    else
        script_prints(fixture, id, "cd /sys/fs/cgroup; cat cpu/cpu.shares cpuset/cpuset.cpus memory/memory.limit_in_bytes; nproc",
                      "512\n0\n100663296\n1\n");
    cgroup_has(&scene, scene.ids[0], &no_limit); /* nothing was asked for */
    container_request_fini(&scene.container);
    scene_close(&scene);
}

/* One line of what answers at 127.0.0.1:port; the caller frees it. NULL: nobody does. */
static char *line_from_port(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {.tv_sec = 5};
    char line[64] = "";

    for (unsigned i = 0; i < 50; i++) {
        autoclose int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && read(fd, line, sizeof(line) - 1) > 0)
            return xstrdup(line);
        usleep(100000);
    }
    return NULL;
}

static void a_host_port_leads_to_the_containers_port(void **state)
{
    static const char *const serving[] = {"/bin/sh", "-c", "while :; do nc -l -p 8080 -e echo hello; done", NULL};
    static Runtime__V1__PortMapping port = RUNTIME__V1__PORT_MAPPING__INIT;
    static Runtime__V1__PortMapping *ports[] = {&port};
    struct fixture *fixture = *state;
    struct pod_request pod;
    struct container_request container;

    port.container_port = 8080;
    port.host_port = 18080;
    pod_request_init(&pod, &fixture->node, "served", false);
    pod.config.port_mappings = ports, pod.config.n_port_mappings = 1;
    char *pod_id = pod_begin(fixture, &pod);
    container_request_init(&container, &pod, pod_id, "main", busybox, serving);
    autofree char *id = container_begin(fixture, &container);
    autofree char *line = line_from_port(18080);
    if (!line)
        fail_msg("nobody answers at the host's port");
    assert_string_equal(line, "hello\n");
    pod_end(fixture, pod_id);
    container_request_fini(&container);
    pod_request_fini(&pod);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_EACH_RUNTIME(containers_share_the_pods_network_and_ipc_and_have_a_pid_namespace_each),
        WITH_EACH_RUNTIME(a_pod_may_share_one_pid_namespace),
        WITH_EACH_RUNTIME(a_pod_may_have_the_hosts_namespaces),
        WITH_EACH_RUNTIME(a_container_may_have_an_ipc_namespace_of_its_own),
        WITH_EACH_RUNTIME(a_containers_cgroup_is_below_the_pods_parent),
        WITH_EACH_RUNTIME(cpu_and_memory_limits_are_the_cgroups),
        WITH_EACH_RUNTIME(a_host_port_leads_to_the_containers_port),
    };

    return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
