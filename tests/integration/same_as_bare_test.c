/* A process in a container is as its OCI runtime alone would have made it: nothing of bulkhead's ways is inherited. */
#include <fcntl.h>
#include <jansson.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/integration/node_fixture.h"

enum { TEXT_MAX = 1 << 16, SOFT_DESCRIPTORS = 1021 };

static const char *const sleeping[] = {"/bin/sleep", "1000", NULL};

/* Lines that differ from process to process, whoever starts it: ids, what it has used so far, signals under way for its
 * user. */
static const char *const own_lines[] = {"Tgid:",
                                        "Pid:",
                                        "PPid:",
                                        "NStgid:",
                                        "NSpid:",
                                        "NSpgid:",
                                        "NSsid:",
                                        "FDSize:",
                                        "SigQ:",
                                        "Vm",
                                        "Rss",
                                        "HugetlbPages:",
                                        "voluntary_ctxt_switches:",
                                        "nonvoluntary_ctxt_switches:"};

static bool is_own_line(const char *line)
{
    for (size_t i = 0; i < sizeof(own_lines) / sizeof(*own_lines); i++)
        if (strncmp(line, own_lines[i], strlen(own_lines[i])) == 0)
            return true;
    return false;
}

/* The text without those lines; the caller frees it. */
static char *common_lines(const char *text)
{
    char *result = xcalloc(strlen(text) + 2, 1);
    autofree char *copy = xstrdup(text);

    for (char *save = NULL, *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        if (!is_own_line(line))
            strcat(strcat(result, line), "\n");
    return result;
}

static void must_be_the_same(const char *what, const char *bare, const char *ours)
{
    autofree char *expected = common_lines(bare), *found = common_lines(ours);
    size_t start = 0;

    for (size_t i = 0; expected[i] && expected[i] == found[i]; i++)
        if (expected[i] == '\n')
            start = i + 1;
    if (strcmp(expected, found) != 0)
        fail_msg("%s: \"%.*s\" under the runtime alone, \"%.*s\" in bulkhead", what,
                 (int)strcspn(expected + start, "\n"), expected + start, (int)strcspn(found + start, "\n"),
                 found + start);
    assert_non_null(strstr(found, "Max open files"));
    assert_non_null(strstr(found, "CapBnd:"));
    assert_non_null(strstr(found, "Seccomp:"));
}

/* A shell's output; it must end well. The caller frees it. Not by popen(3), whose children ignore signals 32 and 33. */
static char *shell_output(const char *script)
{
    char *text = NULL;
    size_t size = 0;
    int ends[2], status = 0;

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        execl("/bin/sh", "sh", "-c", script, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    check(fd_read_all(ends[0], TEXT_MAX, &text, &size));
    close(ends[0]);
    if (waitpid(pid, &status, 0) != pid || status != 0)
        fail_msg("%s ended with status %d: %s", script, status, text);
    return text;
}

/* Once it is the program: a runtime's start returns before its child has become that. */
static char *process_text(pid_t pid)
{
    autofree char *script = xasprintf(
        "cd /proc/%d && until grep -q '^sleep$' comm; do sleep 0.05; done; cat status limits oom_score_adj", pid);

    return shell_output(script);
}

/* A container run by the OCI runtime alone, from the spec that it writes itself. */
struct bare {
    const char *runtime;
    char *directory;
    char *cgroup;
    pid_t pid;
};

static void strings_set(json_t *object, const char *key, const char *const *values)
{
    json_t *list = json_array();

    for (size_t i = 0; values[i]; i++)
        json_array_append_new(list, json_string(values[i]));
    json_object_set_new(object, key, list);
}

/* The settings of CRI's default container: its capabilities, no terminal, no limits, nothing of the host's but its
 * network. */
static void spec_adapt(json_t *spec, const char *cgroup)
{
    static const char *const sets[] = {"bounding", "effective", "permitted"};
    static const char *const capabilities[] = {"CAP_CHOWN",
                                               "CAP_DAC_OVERRIDE",
                                               "CAP_FSETID",
                                               "CAP_FOWNER",
                                               "CAP_MKNOD",
                                               "CAP_NET_RAW",
                                               "CAP_SETGID",
                                               "CAP_SETUID",
                                               "CAP_SETFCAP",
                                               "CAP_SETPCAP",
                                               "CAP_NET_BIND_SERVICE",
                                               "CAP_SYS_CHROOT",
                                               "CAP_KILL",
                                               "CAP_AUDIT_WRITE",
                                               NULL};
    json_t *process = json_object_get(spec, "process"), *linux = json_object_get(spec, "linux"),
           *rights = json_object();

    for (size_t i = 0; i < 3; i++)
        strings_set(rights, sets[i], capabilities);
    json_object_set_new(process, "capabilities", rights);
    strings_set(process, "args", sleeping);
    json_object_set_new(process, "terminal", json_false());
    json_object_set_new(process, "user", json_pack("{si si s[i]}", "uid", 0, "gid", 0, "additionalGids", 0));
    json_object_set_new(process, "noNewPrivileges", json_false());
    json_object_set_new(process, "oomScoreAdj", json_integer(0));
    json_object_del(process, "rlimits");
    json_object_set_new(json_object_get(spec, "root"), "readonly", json_false());
    json_object_set_new(linux, "cgroupsPath", json_string(cgroup));
    json_object_set_new(linux, "namespaces",
                        json_pack("[{ss}{ss}{ss}{ss}]", "type", "pid", "type", "ipc", "type", "uts", "type", "mount"));
    json_object_del(linux, "seccomp");
}

static void bare_bundle_make(struct bare *bare)
{
    autofree char *make =
        xasprintf("mkdir -p %s/rootfs/bin && cp /bin/busybox %s/rootfs/bin && for a in sh sleep cat; do ln -s busybox "
                  "%s/rootfs/bin/$a; done && cd %s && %s spec",
                  bare->directory, bare->directory, bare->directory, bare->directory, bare->runtime);
    autofree char *path = xasprintf("%s/config.json", bare->directory);

    free(shell_output(make));
    json_t *spec = json_load_file(path, 0, NULL);
    assert_non_null(spec);
    spec_adapt(spec, bare->cgroup);
    assert_int_equal(json_dump_file(spec, path, 0), 0);
    json_decref(spec);
}

static void bare_start(struct bare *bare, struct fixture *fixture)
{
    bare->runtime = fixture->handler;
    bare->directory = xasprintf("%s/bare-%s", fixture->node.directory, fixture->handler);
    bare->cgroup = xasprintf("%s/bare-%s", fixture->node.cgroup, fixture->handler);
    bare_bundle_make(bare);
    autofree char *run =
        xasprintf("cd %s && %s --root %s/state run --detach --pid-file pid bare < /dev/null > out 2>&1 && cat pid",
                  bare->directory, bare->runtime, bare->directory);
    autofree char *pid = shell_output(run);
    bare->pid = atoi(pid);
}

static void bare_end(struct bare *bare)
{
    autofree char *end = xasprintf("%s --root %s/state delete --force bare", bare->runtime, bare->directory);

    free(shell_output(end));
    free(bare->directory);
    free(bare->cgroup);
}

/* An exec of this in the container, with the rights of its own process; the caller frees the output. */
static char *bare_exec(const struct bare *bare, const char *const *command)
{
    autofree char *path = xasprintf("%s/config.json", bare->directory),
                  *file = xasprintf("%s/process.json", bare->directory);
    autofree char *script =
        xasprintf("%s --root %s/state exec --process %s bare < /dev/null", bare->runtime, bare->directory, file);
    json_t *spec = json_load_file(path, 0, NULL), *process = json_object_get(spec, "process");

    strings_set(process, "args", command);
    assert_int_equal(json_dump_file(process, file, 0), 0);
    json_decref(spec);
    return shell_output(script);
}

/* As ContainerStatus tells it to who asks for all. */
static pid_t container_pid(struct fixture *fixture, const char *id)
{
    Runtime__V1__ContainerStatusRequest request = RUNTIME__V1__CONTAINER_STATUS_REQUEST__INIT;
    Runtime__V1__ContainerStatusResponse *reply = NULL;

    request.container_id = (char *)id;
    request.verbose = true;
    check(CRI_CALL(fixture->node.client, "RuntimeService", "ContainerStatus", &request.base, 30000,
                   container_status_response, &reply));
    const char *pid = strstr(reply->info[0]->value, "\"pid\":");
    assert_non_null(pid);
    pid_t value = (pid_t)strtol(pid + 6, NULL, 10);
    runtime__v1__container_status_response__free_unpacked(reply, NULL);
    return value;
}

static void a_containers_process_is_as_the_runtime_alone_makes_it(void **state)
{
    static const char *const command[] = {
        "/bin/sh", "-c", "exec cat /proc/self/status /proc/self/limits /proc/self/oom_score_adj", NULL};
    struct fixture *fixture = *state;
    struct bare bare;
    struct pod_request pod;
    struct container_request container;
    char *pod_id = pod_begin_plain(fixture, &pod, "compared", true);

    container_request_init(&container, &pod, pod_id, "main", busybox, sleeping);
    autofree char *id = container_begin(fixture, &container);
    bare_start(&bare, fixture);
    autofree char *bare_first = process_text(bare.pid), *first = process_text(container_pid(fixture, id));
    autofree char *bare_execed = bare_exec(&bare, command);
    bare_end(&bare);
    autofree char *execed = script_output(fixture, id, command[2], 0);
    must_be_the_same("the first process", bare_first, first);
    must_be_the_same("an exec", bare_execed, execed);
    pod_end(fixture, pod_id);
    container_request_fini(&container);
    pod_request_fini(&pod);
}

/* Whoever started the test may ignore signals, glibc's own two as well, which its sigaction(3) would not change: what
 * is inherited from there is none of this test's affair. */
static void dispositions_reset(void)
{
    const struct {
        void (*handler)(int);
        unsigned long flags;
        void (*restorer)(void);
        unsigned long mask;
    } plain = {0};

    for (int number = 1; number <= 64; number++)
        syscall(SYS_rt_sigaction, number, &plain, NULL, sizeof(plain.mask));
}

/* Daemons raise their own soft limit of descriptors, where it is lower than the hard one; a container must not get
 * theirs. */
static void descriptors_limit(void)
{
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = SOFT_DESCRIPTORS < limit.rlim_max ? SOFT_DESCRIPTORS : limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_EACH_RUNTIME(a_containers_process_is_as_the_runtime_alone_makes_it),
    };

    dispositions_reset();
    descriptors_limit();
    return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
