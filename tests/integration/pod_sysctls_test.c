/* A pod's kernel parameters: set in its own namespaces, seen by its containers, kept over deaths of its shim; those of the node are not touched. */
#include "tests/integration/node_fixture.h"

static const char *const sleeping[] = {"/bin/sleep", "1000", NULL};

enum { SETTINGS_MAX = 8 };

/* A pod with networks of its own and with those settings, and one container. */
struct scene {
    struct fixture *fixture;
    struct pod_request pod;
    struct container_request container;
    Runtime__V1__LinuxPodSandboxConfig__SysctlsEntry settings[SETTINGS_MAX];
    Runtime__V1__LinuxPodSandboxConfig__SysctlsEntry *list[SETTINGS_MAX];
    char *pod_id;
    char *id;
};

static void scene_init(struct scene *scene, struct fixture *fixture, const char *name)
{
    *scene = (struct scene){.fixture = fixture};
    pod_request_init(&scene->pod, &fixture->node, name, false);
    scene->pod.system.sysctls = scene->list;
}

static void scene_set(struct scene *scene, const char *name, const char *value)
{
    size_t i = scene->pod.system.n_sysctls++;

    scene->settings[i] = (Runtime__V1__LinuxPodSandboxConfig__SysctlsEntry)RUNTIME__V1__LINUX_POD_SANDBOX_CONFIG__SYSCTLS_ENTRY__INIT;
    scene->settings[i].key = (char *)name, scene->settings[i].value = (char *)value;
    scene->list[i] = &scene->settings[i];
}

static void container_start(struct scene *scene, const char *name)
{
    free(scene->id);
    container_request_init(&scene->container, &scene->pod, scene->pod_id, name, busybox, sleeping);
    scene->id = container_begin(scene->fixture, &scene->container);
    container_request_fini(&scene->container);
}

static void scene_begin(struct scene *scene)
{
    scene->pod_id = pod_begin(scene->fixture, &scene->pod);
    container_start(scene, "main");
}

static void scene_end(struct scene *scene)
{
    free(scene->id);
    pod_end(scene->fixture, scene->pod_id);
    pod_request_fini(&scene->pod);
}

static char *host_value(const char *path)
{
    char *text = NULL;
    size_t size = 0;

    check(file_read_all(path, 4096, &text, &size));
    return text;
}

static void safe_and_unsafe_ones_are_set_in_the_pod_and_nowhere_else(void **state)
{
    autofree char *forced = host_value("/proc/sys/kernel/shm_rmid_forced"), *messages = host_value("/proc/sys/fs/mqueue/msg_max"),
                  *backlog = host_value("/proc/sys/net/core/somaxconn");
    struct scene scene;

    scene_init(&scene, *state, "settings");
    scene_set(&scene, "kernel.shm_rmid_forced", "1");
    scene_set(&scene, "kernel.msgmax", "4321");
    scene_set(&scene, "kernel.sem", "33 33000 33 129");
    scene_set(&scene, "fs.mqueue.msg_max", "100");
    scene_set(&scene, "net.core.somaxconn", "77");
    scene_set(&scene, "net/ipv4/ip_local_port_range", "2000 3000");
    scene_begin(&scene);
    script_prints(scene.fixture, scene.id,
                  "cd /proc/sys; cat kernel/shm_rmid_forced kernel/msgmax kernel/sem fs/mqueue/msg_max net/core/somaxconn "
                  "net/ipv4/ip_local_port_range | tr '\t' ' '",
                  "1\n4321\n33 33000 33 129\n100\n77\n2000 3000\n");
    autofree char *forced_now = host_value("/proc/sys/kernel/shm_rmid_forced"),
                  *messages_now = host_value("/proc/sys/fs/mqueue/msg_max"), *backlog_now = host_value("/proc/sys/net/core/somaxconn");
    assert_string_equal(forced, forced_now);
    assert_string_equal(messages, messages_now);
    assert_string_equal(backlog, backlog_now);
    scene_end(&scene);
}

/* The interface is there only when the plugins have run. */
static void those_of_an_interface_are_set_once_it_is_there(void **state)
{
    struct scene scene;

    scene_init(&scene, *state, "interface");
    scene_set(&scene, "net.ipv4.conf.eth0.log_martians", "1");
    scene_begin(&scene);
    script_prints(scene.fixture, scene.id, "cat /proc/sys/net/ipv4/conf/eth0/log_martians", "1\n");
    scene_end(&scene);
}

static void they_outlive_the_shim(void **state)
{
    struct scene scene;

    scene_init(&scene, *state, "shim");
    scene_set(&scene, "kernel.shm_rmid_forced", "1");
    scene_set(&scene, "net.core.somaxconn", "78");
    scene_begin(&scene);
    check(node_kill(&scene.fixture->node, "shim"));
    container_start(&scene, "next");
    script_prints(scene.fixture, scene.id, "cd /proc/sys; cat kernel/shm_rmid_forced net/core/somaxconn", "1\n78\n");
    scene_end(&scene);
}

static void refused(struct fixture *fixture, const char *name, const char *value, enum error_code code, const char *words)
{
    struct scene scene;
    autofree char *id = NULL;

    scene_init(&scene, fixture, "refused");
    scene_set(&scene, "net.core.somaxconn", "79");
    scene_set(&scene, name, value);
    check_refused(pod_request_send(&scene.pod, fixture->node.client, &id), code, words);
    check(node_wait_census(&fixture->node, fixture->census));
    pod_request_fini(&scene.pod);
}

static void one_that_cannot_be_set_is_told_and_leaves_nothing(void **state)
{
    refused(*state, "net.core.absent", "1", ERROR_NOT_FOUND, "net.core.absent");
    refused(*state, "net.core.somaxconn", "many", ERROR_INVALID_ARGUMENT, "set sysctl net.core.somaxconn=many");
    refused(*state, "kernel.msgmax", "many", ERROR_INVALID_ARGUMENT, "set sysctl kernel.msgmax=many");
    refused(*state, "vm.swappiness", "1", ERROR_INVALID_ARGUMENT, "belongs to no namespace");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_EACH_RUNTIME(safe_and_unsafe_ones_are_set_in_the_pod_and_nowhere_else),
        NODE_TEST(those_of_an_interface_are_set_once_it_is_there),
        NODE_TEST(they_outlive_the_shim),
        NODE_TEST(one_that_cannot_be_set_is_told_and_leaves_nothing),
    };

    cmocka_set_test_filter(getenv("BULKHEAD_TEST_FILTER"));
    return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
