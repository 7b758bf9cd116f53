/* What an administrator has set up wrongly is told by name, where it is looked for, and is right as soon as it is put
 * right. */
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/integration/node_fixture.h"

enum { CALL_TIMEOUT_MS = 30000, PATIENCE_S = 60 };

/* `crun` is a copy in the node's directory, that a test takes away; "gone" never was there. */
static const char settings[] =
    "\"runtimes\": {\"crun\": {\"path\": \"$DIR/crun\"}, \"gone\": {\"path\": \"$DIR/no-such-runtime\"}}, "
    "\"default_runtime_name\": \"crun\", \"cni\": {\"conf_dir\": \"$DIR/net.d\", \"bin_dirs\": [\"$DIR/cni\", "
    "\"/usr/lib/cni\"]}";

static void shell(const char *script)
{
    if (system(script) != 0)
        fail_msg("failed: %s", script);
}

static char *node_path(const struct fixture *fixture, const char *name)
{
    return xasprintf("%s/%s", fixture->node.directory, name);
}

static void node_file_write(const struct fixture *fixture, const char *name, const char *text)
{
    autofree char *path = node_path(fixture, name);
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static Runtime__V1__StatusResponse *status_get(struct fixture *fixture)
{
    Runtime__V1__StatusRequest request = RUNTIME__V1__STATUS_REQUEST__INIT;
    Runtime__V1__StatusResponse *reply = NULL;

    check(CRI_CALL(fixture->node.client, "RuntimeService", "Status", &request.base, CALL_TIMEOUT_MS, status_response,
                   &reply));
    return reply;
}

/* A condition (0: RuntimeReady, 1: NetworkReady) must be as said, its reason this, with these words in its message. */
static void condition_is(struct fixture *fixture, size_t which, bool is_true, const char *reason, const char *words)
{
    Runtime__V1__StatusResponse *reply = status_get(fixture);
    const Runtime__V1__RuntimeCondition *condition = reply->status->conditions[which];

    if (condition->status != is_true || strcmp(condition->reason, reason) != 0 || !strstr(condition->message, words))
        fail_msg("%s is %d, %s: %s; not %d, %s, %s", condition->type, condition->status, condition->reason,
                 condition->message, is_true, reason, words);
    runtime__v1__status_response__free_unpacked(reply, NULL);
}

/* While net.d is wrong: a pod with a network gets the same words, and leaves nothing; one on the host's network runs.
 */
static void pods_are_refused(struct fixture *fixture, const char *words)
{
    struct pod_request pod;
    autofree char *id = NULL;

    pod_request_init(&pod, &fixture->node, "refused", false);
    check_refused(pod_request_send(&pod, fixture->node.client, &id), ERROR_FAILED_PRECONDITION, words);
    pod_request_fini(&pod);
    check(node_wait_census(&fixture->node, fixture->census));
    char *hosted = pod_begin_plain(fixture, &pod, "hosted", true);
    pod_end(fixture, hosted);
    pod_request_fini(&pod);
}

static void network_is_missing(struct fixture *fixture, const char *reason, const char *words)
{
    condition_is(fixture, 1, false, reason, words);
    pods_are_refused(fixture, words);
}

static const char network_of_one[] =
    "{\"cniVersion\": \"1.0.0\", \"name\": \"again\", \"plugins\": [{\"type\": \"%s\"}]}";

/* One after the other, without a restart; the last state is a good one. */
static void the_networks_readiness_says_what_is_wrong_in_net_d_and_follows_it(void **state)
{
    struct fixture *fixture = *state;
    autofree char *good = node_path(fixture, "net.d/10-bhn.conflist"), *aside = node_path(fixture, "aside"),
                  *directory = node_path(fixture, "net.d"), *moved = node_path(fixture, "net.moved");
    autofree char *missing = xasprintf(network_of_one, "no-such-plugin");
    pid_t sandboxd = node_process(&fixture->node, "sandboxd");

    condition_is(fixture, 1, true, "", "");
    assert_int_equal(rename(good, aside), 0);
    network_is_missing(fixture, "NoConfiguration", directory);
    assert_int_equal(rename(directory, moved), 0);
    network_is_missing(fixture, "NoConfiguration", directory);
    assert_int_equal(rename(moved, directory), 0);
    node_file_write(fixture, "net.d/05-broken.conflist", "{\"cniVersion\": \"1.0.0\",\n  oops");
    network_is_missing(fixture, "InvalidConfiguration", "05-broken.conflist, line 2");
    node_file_write(fixture, "net.d/05-broken.conflist",
                    "{\"cniVersion\": \"9.9.9\", \"name\": \"x\", \"plugins\": [{\"type\": \"bridge\"}]}");
    network_is_missing(fixture, "InvalidConfiguration", "cniVersion \"9.9.9\"");
    node_file_write(fixture, "net.d/05-broken.conflist", missing);
    network_is_missing(fixture, "PluginMissing", "\"no-such-plugin\" is in none of");
    node_file_write(
        fixture, "net.d/05-broken.conflist",
        "{\"cniVersion\": \"1.0.0\", \"name\": \"bad\", \"plugins\": [{\"type\": \"bridge\", \"ipam\": {\"type\": "
        "\"no-such-ipam\"}}]}");
    network_is_missing(fixture, "PluginMissing", "\"no-such-ipam\" is in none of");
    autofree char *broken = node_path(fixture, "net.d/05-broken.conflist");
    assert_int_equal(unlink(broken), 0);
    assert_int_equal(rename(aside, good), 0);
    condition_is(fixture, 1, true, "", "");
    assert_int_equal(node_process(&fixture->node, "sandboxd"), sandboxd);
    struct pod_request pod;
    char *id = pod_begin_plain(fixture, &pod, "netted", false);
    pod_end(fixture, id);
    pod_request_fini(&pod);
}

static void plugin_write(const struct fixture *fixture, const char *name, const char *add)
{
    autofree char *file = xasprintf("cni/%s", name), *path = node_path(fixture, file);
    autofree char *script = xasprintf("#!/bin/sh\ncat > /dev/null\nif [ $CNI_COMMAND = ADD ]; then %s; fi\n", add);

    node_file_write(fixture, file, script);
    assert_int_equal(chmod(path, 0755), 0);
}

/* A plugin that is there but fails: its own words, or how it ended; it is undone. */
static void a_plugin_that_fails_is_told_in_its_own_words(void **state)
{
    static const char *const cases[][2] = {
        {"echo '{\"cniVersion\": \"1.0.0\", \"code\": 107, \"msg\": \"no such colour\", \"details\": \"blue\"}'; exit "
         "1",
         "no such colour; blue"},
        {"echo in plain words >&2; exit 3", "exit status 3: in plain words"},
        {"kill -SEGV $$", "killed by signal 11"},
        {"echo nonsense", "answer of plugin \"failing\""},
    };
    struct fixture *fixture = *state;
    autofree char *network = xasprintf(network_of_one, "failing"),
                  *path = node_path(fixture, "net.d/05-failing.conflist");

    node_file_write(fixture, "net.d/05-failing.conflist", network);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct pod_request pod;
        autofree char *id = NULL;
        plugin_write(fixture, "failing", cases[i][0]);
        pod_request_init(&pod, &fixture->node, "failing", false);
        check_refused(pod_request_send(&pod, fixture->node.client, &id), ERROR_INTERNAL, cases[i][1]);
        pod_request_fini(&pod);
        check(node_wait_census(&fixture->node, fixture->census));
    }
    assert_int_equal(unlink(path), 0);
}

/* A stop fails while DEL does, and succeeds when it can; a removal gives up where what DEL needs is gone. */
static void a_plugin_that_goes_holds_a_stop_up_but_no_removal(void **state)
{
    struct fixture *fixture = *state;
    autofree char *plugin = node_path(fixture, "cni/own-ipam"), *aside = node_path(fixture, "own-ipam.aside"),
                  *configured = node_path(fixture, "net.d/05-own.conflist"), *leases = node_path(fixture, "own");
    autofree char *network =
        xasprintf("{\"cniVersion\": \"1.0.0\", \"name\": \"own\", \"plugins\": [{\"type\": \"bridge\", \"bridge\": "
                  "\"bhn2\", \"ipam\": {\"type\": \"own-ipam\", \"dataDir\": \"%s\", \"ranges\": [[{\"subnet\": "
                  "\"10.199.0.0/24\"}]]}}]}",
                  leases);
    autofree char *copy = xasprintf("cp /usr/lib/cni/host-local %s", plugin), *forget = xasprintf("rm -r %s", leases);
    struct pod_request first, second;

    shell(copy);
    node_file_write(fixture, "net.d/05-own.conflist", network);
    char *first_id = pod_begin_plain(fixture, &first, "patient", false);
    char *second_id = pod_begin_plain(fixture, &second, "impatient", false);
    assert_int_equal(rename(plugin, aside), 0);
    condition_is(fixture, 1, false, "PluginMissing", "\"own-ipam\" is in none of");
    check_refused(workload_pod_stop(&fixture->work, first_id), ERROR_NOT_FOUND, "own-ipam");
    struct error *error = NULL;
    for (unsigned i = 0; i < 20 && (error = workload_pod_remove(&fixture->work, second_id)); i++)
        check_refused(error, ERROR_NOT_FOUND, "own-ipam");
    check(error);
    assert_int_equal(rename(aside, plugin), 0);
    check(workload_pod_stop(&fixture->work, first_id));
    assert_int_equal(unlink(configured), 0);
    shell(forget);
    pod_end(fixture, first_id);
    free(second_id);
    pod_request_fini(&first);
    pod_request_fini(&second);
}

static void a_runtime_that_is_not_there_is_named(void **state)
{
    static const char *const sleeping[] = {"/bin/sleep", "1000", NULL};
    struct fixture *fixture = *state;
    struct pod_request pod, later;
    struct container_request container;
    autofree char *runtime = node_path(fixture, "crun"), *aside = node_path(fixture, "crun.aside"), *none = NULL;

    pod_request_init(&later, &fixture->node, "later", true);
    later.request.runtime_handler = (char *)"gone";
    check_refused(pod_request_send(&later, fixture->node.client, &none), ERROR_FAILED_PRECONDITION, "no-such-runtime");
    later.request.runtime_handler = (char *)"";
    char *pod_id = pod_begin_plain(fixture, &pod, "runtimeless", true);
    container_request_init(&container, &pod, pod_id, "main", busybox, sleeping);
    autofree char *first = container_begin(fixture, &container);
    container_end(fixture, TAKE(first));
    condition_is(fixture, 0, true, "", "");
    assert_int_equal(rename(runtime, aside), 0);
    condition_is(fixture, 0, false, "RuntimeMissing", runtime);
    check_refused(container_request_send(&container, fixture->node.client, &none), ERROR_FAILED_PRECONDITION, runtime);
    check_refused(pod_request_send(&later, fixture->node.client, &none), ERROR_FAILED_PRECONDITION, runtime);
    assert_int_equal(rename(aside, runtime), 0);
    condition_is(fixture, 0, true, "", "");
    autofree char *second = container_begin(fixture, &container);
    pod_end(fixture, pod_id);
    container_request_fini(&container);
    pod_request_fini(&pod);
    pod_request_fini(&later);
}

/* Runs `bulkhead COMMAND --config FILE` to its end; its output, and its exit code in *ret_code. */
static char *bulkhead_output(const char *command, const char *config, int *ret_code)
{
    const char *bin = getenv("BULKHEAD_PROGRAMS");
    autofree char *program = xasprintf("%s/bulkhead", bin ? bin : "bin");
    char *text = NULL;
    size_t size = 0;
    int ends[2], status = 0;

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        execl(program, "bulkhead", command, "--config", config, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    check(fd_read_all(ends[0], 1 << 16, &text, &size));
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    *ret_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return text;
}

static void a_bad_configuration_is_refused_at_the_start_with_its_line_and_key(void **state)
{
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"{\n \"root\": \"/x\",\n \"colour\": 1\n}", ":3: colour: unknown key"},
        {"{\"cni\": {\n \"conf_dirs\": \"/x\"}}", ":2: cni.conf_dirs: unknown key"},
        {"{\n\"root\": 7}", ":2: root: must be a string"},
        {"{\"root\": \"relative\"}", ":1: root: 'relative' is no absolute path"},
        {"{\"runtimes\": {\"crun\": {}}}", ":1: runtimes: runtime 'crun'"},
        {"{\"default_runtime_name\": \"gvisor\"}", "default_runtime_name: no runtime 'gvisor'"},
        {"{\"log_level\": \"loud\"}", "log_level: 'loud' is none of"},
        {"{\"uid_first\": 5}", "uid_first: must be from"},
        {"{\"root\": \"/x\", \"root\": \"/y\"}", ":1: "},
        {"{\"root\": ", ":1: "},
        {"[]", ":1: must be an object"},
        {"", ":"},
    };
    struct fixture *fixture = *state;
    autofree char *path = node_path(fixture, "bad.json"), *absent = node_path(fixture, "absent.json");
    int code;

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        node_file_write(fixture, "bad.json", cases[i].text);
        for (unsigned runs = 0; runs < 2; runs++) {
            const char *command = runs ? "run" : "check";
            autofree char *output = bulkhead_output(command, path, &code);
            autofree char *words = xasprintf("%s%s", *cases[i].words == ':' ? path : "", cases[i].words);
            if (code == 0 || !strstr(output, words))
                fail_msg("bulkhead %s of %s ended with %d, and said: %s", command, cases[i].text, code, output);
        }
    }
    autofree char *output = bulkhead_output("run", absent, &code);
    assert_int_not_equal(code, 0);
    assert_non_null(strstr(output, absent));
}

static void check_names_what_is_missing_without_a_start(void **state)
{
    struct fixture *fixture = *state;
    autofree char *path = node_path(fixture, "check.json"), *config = node_path(fixture, "config.json");
    int code;

    node_file_write(fixture, "check.json", "{\"runtimes\": {}}");
    autofree char *none = bulkhead_output("check", path, &code);
    assert_int_not_equal(code, 0);
    assert_non_null(strstr(none, "there is no OCI runtime"));
    autofree char *missing = bulkhead_output("check", config, &code);
    assert_int_not_equal(code, 0);
    assert_non_null(strstr(missing, "no-such-runtime is missing"));
    node_file_write(fixture, "check.json", "{\"cni\": {\"conf_dir\": \"/no/such/net.d\"}}");
    autofree char *good = bulkhead_output("check", path, &code);
    assert_int_equal(code, 0);
    assert_non_null(strstr(good, "/no/such/net.d"));
}

/* A node of its own with that setting: the start is not refused for it; Status says it, and so hears who asks for a pod. */
static void other_node_cannot_run_pods(struct fixture *fixture, const char *setting, const char *reason, const char *words)
{
    struct fixture *other = fixture->other = xcalloc(1, sizeof(*other)); /* ended by the sweep */
    struct pod_request pod;
    autofree char *id = NULL;

    check(node_open(&other->node, NULL, setting));
    int64_t end = clock_boottime_ns() + PATIENCE_S * INT64_C(1000000000);
    autofree uint8_t *reply = NULL;
    size_t size = 0;
    for (struct error *error;
         (error = cri_client_call(other->node.client, "RuntimeService", "Status", NULL, 0, 5000, &reply, &size));) {
        if (clock_boottime_ns() > end)
            fail_msg("Status: %s", error->text);
        error_free(error);
        usleep(50000);
    }
    condition_is(other, 0, false, reason, words);
    pod_request_init(&pod, &other->node, "hopeless", true);
    pod.system.cgroup_parent = (char *)"";
    check_refused(pod_request_send(&pod, other->node.client, &id), ERROR_FAILED_PRECONDITION, words);
    pod_request_fini(&pod);
}

static void without_any_runtime_the_node_says_so_and_pods_are_refused(void **state)
{
    other_node_cannot_run_pods(*state, "\"runtimes\": {}", "NoRuntime", "no OCI runtime is installed");
}

static void without_systemd_its_cgroup_driver_is_refused_by_name(void **state)
{
    if (access("/run/systemd/system", F_OK) == 0)
        skip();
    other_node_cannot_run_pods(*state, "\"cgroup_driver\": \"systemd\"", "NoCgroupDriver",
                               "this host cannot do \"systemd\": /run/systemd/system is missing");
}

static int set_up_open(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));
    autofree char *id = NULL;

    node_isolate();
    *state = fixture;
    check(registry_server_start(&fixture->registry));
    check(registry_server_push(&fixture->registry, "library/busybox", "test", 0));
    check(node_make(&fixture->node, fixture->registry.url, settings));
    autofree char *copy = xasprintf("cd %s && cp /usr/bin/crun crun && mkdir cni", fixture->node.directory);
    shell(copy);
    check(node_start(&fixture->node));
    check(cri_client_open(fixture->node.address, &fixture->node.client));
    fixture->work = (struct workload){.node = &fixture->node, .client = fixture->node.client};
    check(node_wait_ready(&fixture->node));
    check(workload_pull(&fixture->work, busybox, &id));
    fixture->census = census_at_rest(fixture);
    return 0;
}

/* No controller is where it is looked for: a plain file system is in the place of the host's cgroups. */
static void a_host_without_cgroups_is_named_and_pods_are_refused_at_once(void **state)
{
    struct fixture *fixture = *state;
    struct pod_request pod;
    autofree char *id = NULL;

    assert_int_equal(mount("none", "/sys/fs/cgroup", "tmpfs", 0, NULL), 0);
    pod_request_init(&pod, &fixture->node, "refused", true);
    check_refused(pod_request_send(&pod, fixture->node.client, &id), ERROR_FAILED_PRECONDITION, "below /sys/fs/cgroup is neither cgroup v2 nor v1");
    assert_int_equal(umount("/sys/fs/cgroup"), 0);
    check(node_wait_census(&fixture->node, fixture->census));
    char *hosted = pod_begin(fixture, &pod);
    pod_end(fixture, hosted);
    pod_request_fini(&pod);
}

/* Whatever a test that failed has left in net.d, or put aside. */
static int set_up_sweep(void **state)
{
    struct fixture *fixture = *state;
    autofree char *script =
        xasprintf("cd %s && rm -f net.d/05-*; test ! -d net.moved || mv net.moved net.d; test ! -e aside || mv aside "
                  "net.d/10-bhn.conflist; test ! -e crun.aside || mv crun.aside crun",
                  fixture->node.directory);

    if (fixture->other)
        node_close(&fixture->other->node);
    free(TAKE(fixture->other));
    return system(script) + pods_sweep(state);
}

#define SET_UP_TEST(test)                                                                                              \
    {                                                                                                                  \
#test, test, NULL, set_up_sweep, NULL                                                                          \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        SET_UP_TEST(the_networks_readiness_says_what_is_wrong_in_net_d_and_follows_it),
        SET_UP_TEST(a_plugin_that_fails_is_told_in_its_own_words),
        SET_UP_TEST(a_plugin_that_goes_holds_a_stop_up_but_no_removal),
        SET_UP_TEST(a_runtime_that_is_not_there_is_named),
        SET_UP_TEST(a_host_without_cgroups_is_named_and_pods_are_refused_at_once),
        SET_UP_TEST(a_bad_configuration_is_refused_at_the_start_with_its_line_and_key),
        SET_UP_TEST(check_names_what_is_missing_without_a_start),
        SET_UP_TEST(without_any_runtime_the_node_says_so_and_pods_are_refused),
        SET_UP_TEST(without_systemd_its_cgroup_driver_is_refused_by_name),
    };

    return cmocka_run_group_tests(tests, set_up_open, fixture_close);
}
