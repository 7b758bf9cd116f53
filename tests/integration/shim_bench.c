/* How the workbench drives keepers and shims as sandboxd and the backstop do. */
#include "tests/integration/shim_bench.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/keeper_protocol.h"
#include "common/memory.h"
#include "services/supervisor/keeper/exits.h"

enum { CALL_LIMIT_S = 60, EXIT_LIMIT_S = 30, NS_PER_MS = 1000000 };
static const int64_t ns_per_s = 1000000000;

static void must(struct error *failure)
{
    if (failure)
        fail_msg("%s", failure->text);
}

static void shell(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    autofree char *command = xvasprintf(format, arguments);
    va_end(arguments);
    if (system(command) != 0)
        fail_msg("failed: %s", command);
}

/* --- keeper and backstop ------------------------------------------------------------------------------------------ */

static void keeper_spawn(struct bench *bench)
{
    const char *programs = getenv("BULKHEAD_PROGRAMS");
    autofree char *path = xasprintf("%s/bulkhead-keeper", programs);
    autofree char *table = xasprintf("%s/programs", bench->directory);
    autofree char *address = xasprintf("%s/cri.sock", bench->directory);
    autofree char *log = xasprintf("%s/log", bench->directory);

    bench->keeper = fork();
    if (bench->keeper)
        return;
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(fd, 1); /* not the test's own output: its reader waits for the last holder */
    dup2(fd, 2);
    setenv("BULKHEAD_FAILPOINT_DIR", bench->failpoints, 1);
    execl(path, "bulkhead-keeper", "--state", bench->state, "--root", bench->root, "--address", address, "--programs",
          table, "--uid-first", "61300", "--log-level", "info", NULL);
    _exit(127);
}

void bench_turn(struct bench *bench)
{
    autofree char *path = xasprintf("%s/keeper/exits", bench->state);
    struct ended_process ended;
    autoclose int exits = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    while (exit_next(exits, &ended)) {
        exit_reap(&ended);
        if (ended.process.pid != bench->keeper)
            continue;
        exit_drop(exits, &ended.process);
        if (ended.wait_status != SIGKILL && bench->has_keeper_restart)
            fprintf(stderr, "the keeper died: wait status %d\n", ended.wait_status);
        bench->keeper = 0;
        if (bench->has_keeper_restart)
            keeper_spawn(bench);
    }
}

void bench_sleep(struct bench *bench, unsigned ms)
{
    int64_t until_ns = clock_boottime_ns() + (int64_t)ms * NS_PER_MS;

    while (clock_boottime_ns() < until_ns) {
        bench_turn(bench);
        poll(NULL, 0, 1);
    }
}

static void keeper_await(struct bench *bench)
{
    autofree char *path = xasprintf("%s/keeper/sock", bench->state);

    for (int i = 0; i < 5000; i++) {
        int fd = -1;
        struct error *failure = socket_connect(path, &fd);
        if (!failure) {
            close(fd);
            return;
        }
        error_free(failure);
        bench_turn(bench);
        poll(NULL, 0, 1);
    }
    fail_msg("no keeper after 5 s; see %s/log", bench->directory);
}

static void mounts_make(void)
{
    if (unshare(CLONE_NEWNS) < 0)
        fail_msg("unshare: %s", strerror(errno));
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        fail_msg("make / private: %s", strerror(errno));
    if (access("/sys/fs/cgroup/unified/cgroup.procs", F_OK) == 0 && mount("none", "/sys/fs/cgroup/unified", "tmpfs", 0, NULL) < 0)
        fail_msg("hide the hybrid hierarchy: %s", strerror(errno));
}

void bench_open(struct bench *bench)
{
    static const char *const names[] = {"supervisor", "criapi", "sandboxd", "imaged", "logd", "stream", "fetch", "unpack"};

    *bench = (struct bench){.has_keeper_restart = true};
    assert_non_null(getenv("BULKHEAD_PROGRAMS"));
    mounts_make();
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    snprintf(bench->directory, sizeof(bench->directory), "/tmp/bhshim.XXXXXX");
    assert_non_null(mkdtemp(bench->directory));
    chmod(bench->directory, 0755);
    snprintf(bench->state, sizeof(bench->state), "%s/s", bench->directory);
    snprintf(bench->root, sizeof(bench->root), "%s/r", bench->directory);
    snprintf(bench->failpoints, sizeof(bench->failpoints), "%s/f", bench->directory);
    snprintf(bench->cgroup, sizeof(bench->cgroup), "/bhshim-%d", getpid());
    shell("cd %s && mkdir -p s r f programs layer/bin layer/etc layer/proc layer/dev layer/sys layer/tmp && cp /bin/busybox "
          "layer/bin/sh && echo root:x:0:0::/:/bin/sh > layer/etc/passwd && ln -s passwd layer/etc/group",
          bench->directory);
    shell("ln -s %s/bulkhead-shim %s/programs/bulkhead-shim", getenv("BULKHEAD_PROGRAMS"), bench->directory);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) /* the keeper's table; nobody asks for them here */
        shell("ln -s /bin/true %s/programs/bulkhead-%s", bench->directory, names[i]);
    shell("ln -sf /bin/busybox %s/programs/busybox", bench->directory);
    keeper_spawn(bench);
    keeper_await(bench);
}

/* --- the end ------------------------------------------------------------------------------------------------------ */

/* What the command prints is what is left of something. */
static bool is_gone(const char *what, const char *format, ...)
{
    va_list arguments;
    char line[512];
    bool is_empty = true;

    va_start(arguments, format);
    autofree char *command = xvasprintf(format, arguments);
    va_end(arguments);
    FILE *output = popen(command, "r");
    for (; output && fgets(line, sizeof(line), output); is_empty = false)
        print_error("%s is left: %s", what, line);
    if (output)
        pclose(output);
    return output && is_empty;
}

static bool are_processes_gone(struct bench *bench)
{
    for (int i = 0; i < 300; i++) {
        bench_turn(bench);
        if (waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD)
            return true;
        poll(NULL, 0, 10);
    }
    return is_gone("a process", "ps -f --ppid %d | grep -v 'ps -f'", getpid());
}

/* All that are ours, until none becomes ours any more: this process is the subreaper. */
static void processes_end(void)
{
    autofree char *path = xasprintf("/proc/self/task/%d/children", getpid());

    do {
        FILE *children = fopen(path, "re");
        int pid;
        while (children && fscanf(children, "%d", &pid) == 1)
            kill(pid, SIGKILL);
        if (children)
            fclose(children);
    } while (wait(NULL) > 0);
}

/* After a failure: another run begins as if alone. */
static void remains_remove(const struct bench *bench)
{
    processes_end();
    shell("awk '$5 ~ \"^%s/\" {print $5}' /proc/self/mountinfo | tac | xargs -r umount -l", bench->directory);
    shell("find /sys/fs/cgroup -depth -type d -path '*%s*' -not -path '*/unified/*' -exec rmdir {} +", bench->cgroup);
}

void bench_close(struct bench *bench)
{
    bench->has_keeper_restart = false;
    bool is_clean = is_gone("a shim's state", "ls %s/shim 2> /dev/null", bench->state);
    is_clean &= is_gone("a shim's storage", "ls %s/shim 2> /dev/null", bench->root);
    if (bench->keeper)
        kill(bench->keeper, SIGTERM);
    is_clean &= are_processes_gone(bench);
    is_clean &= is_gone("a mount", "grep %s /proc/self/mountinfo", bench->directory);
    /* not below `unified`, which is a tmpfs of ours where a runtime makes plain directories */
    is_clean &= is_gone("a cgroup", "find /sys/fs/cgroup -maxdepth 2 -name '%s' | grep -v /unified/", bench->cgroup + 1);
    if (!is_clean)
        remains_remove(bench);
    if (!getenv("BENCH_KEEP"))
        shell("rm -rf %s", bench->directory);
    assert_true(is_clean);
}

int bench_fixture_open(void **state)
{
    static struct bench bench;

    bench_open(&bench);
    *state = &bench;
    return 0;
}

int bench_fixture_close(void **state)
{
    bench_close(*state);
    return 0;
}

void bench_failpoint(struct bench *bench, const char *name, const char *order)
{
    autofree char *path = xasprintf("%s/%s", bench->failpoints, name);
    autofree char *fresh = xasprintf("%s.new", path);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC, 0644);

    must(fd_write_all(fd, order, strlen(order)));
    close(fd);
    assert_int_equal(rename(fresh, path), 0);
}

void bench_failpoint_clear(struct bench *bench, const char *name)
{
    autofree char *path = xasprintf("%s/%s", bench->failpoints, name);

    unlink(path);
}

bool bench_failpoint_was_hit(struct bench *bench, const char *name)
{
    autofree char *path = xasprintf("%s/%s", bench->failpoints, name);
    autofree char *hit = xasprintf("%s.hit", path);

    unlink(path);
    return unlink(hit) == 0;
}

/* --- connections -------------------------------------------------------------------------------------------------- */

/* As sandboxd does: asks the keeper for a shim that adopts. One that runs keeps the lock, and the new one ends. */
static void shim_spawn(struct bench_pod *pod)
{
    struct keeper_message message = {
        .version = KEEPER_VERSION, .type = KEEPER_SPAWN, .serial = 7, .program = KEEPER_SHIM, .flags = KEEPER_ADOPT,
    };
    autofree char *path = xasprintf("%s/keeper/sock", pod->bench->state);
    int fds[FD_PASS_MAX];
    size_t size, count = 0;
    autoclose int fd = -1;

    autoptr(error) failure = socket_connect(path, &fd);
    if (failure)
        return; /* its backstop starts another */
    snprintf(message.name, sizeof(message.name), "%s", pod->id);
    error_free(fd_send(fd, &message, sizeof(message), NULL, 0));
    if (poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 1000) <= 0)
        return;
    struct error *unread = fd_receive(fd, &message, sizeof(message), &size, fds, &count);
    if (!unread)
        fds_close(fds, count);
    error_free(unread);
}

static void pod_disconnect(struct bench_pod *pod)
{
    if (pod->socket >= 0)
        close(pod->socket);
    pod->socket = -1;
}

static struct error *pod_send(struct bench_pod *pod, uint64_t step, enum shim_type type, const struct wire_writer *fields)
{
    struct shim_header header = {.version = SHIM_VERSION, .type = type, .step = step};
    size_t size = sizeof(header) + (fields ? fields->size : 0);
    autofree uint8_t *packet = xmalloc(size);

    memcpy(packet, &header, sizeof(header));
    if (fields && fields->size)
        memcpy(packet + sizeof(header), fields->data, fields->size);
    return fd_send(pod->socket, packet, size, NULL, 0);
}

static bool pod_connect(struct bench_pod *pod)
{
    autofree char *path = xasprintf("%s/shim/%s/sock", pod->bench->state, pod->id);

    if (pod->socket >= 0)
        return true;
    struct error *failure = socket_connect(path, &pod->socket);
    if (!failure)
        failure = pod_send(pod, 0, SHIM_HELLO, NULL);
    if (!failure)
        return true;
    error_free(failure);
    pod_disconnect(pod);
    shim_spawn(pod);
    bench_sleep(pod->bench, 2);
    return false;
}

static struct wire_reader reply_reader(const struct bench_reply *reply)
{
    return (struct wire_reader){.data = reply->data, .size = reply->size};
}

const char *bench_reply_text(const struct bench_reply *reply, uint16_t tag)
{
    struct wire_reader reader = reply_reader(reply);
    struct wire_field field;
    struct error *failure = NULL;
    const char *text = NULL;

    while (wire_next(&reader, &field, &failure))
        if (field.tag == tag)
            must(wire_string(&field, &text));
    must(failure);
    return text;
}

uint64_t bench_reply_u64(const struct bench_reply *reply, uint16_t tag)
{
    struct wire_reader reader = reply_reader(reply);
    struct wire_field field;
    struct error *failure = NULL;
    uint64_t value = 0;

    while (wire_next(&reader, &field, &failure))
        if (field.tag == tag)
            must(wire_u64(&field, &value));
    must(failure);
    return value;
}

void bench_reply_fini(struct bench_reply *reply)
{
    fds_close(reply->fds, reply->fd_count);
    free(reply->data);
    *reply = (struct bench_reply){0};
}

static void take_exit(struct bench_pod *pod, const struct bench_reply *reply)
{
    const char *id = bench_reply_text(reply, SHIM_TAG_CONTAINER);
    struct bench_exit *found = NULL;

    for (size_t i = 0; i < pod->exit_count; i++)
        if (strcmp(pod->exits[i].container, id) == 0)
            found = &pod->exits[i];
    if (!found) {
        assert_true(pod->exit_count < sizeof(pod->exits) / sizeof(pod->exits[0]));
        found = &pod->exits[pod->exit_count++];
        *found = (struct bench_exit){.status = (int)bench_reply_u64(reply, SHIM_TAG_STATUS)};
        snprintf(found->container, sizeof(found->container), "%s", id);
        found->is_unknown = bench_reply_u64(reply, SHIM_TAG_UNKNOWN);
        found->is_oom = bench_reply_u64(reply, SHIM_TAG_OOM);
    } else if (found->status != (int)bench_reply_u64(reply, SHIM_TAG_STATUS)) {
        fail_msg("%s was told twice, with codes %d and %d", id, found->status, (int)bench_reply_u64(reply, SHIM_TAG_STATUS));
    }
    found->reports++;
    if (pod->acks) {
        struct wire_writer fields = {0};
        wire_put_string(&fields, SHIM_TAG_CONTAINER, id);
        error_free(pod_send(pod, 0, SHIM_ACK_EXIT, &fields));
        wire_writer_fini(&fields);
    }
}

/* Takes one packet, if one comes within wait_ms. True: it is the result of that step, now in ret. */
static bool pod_receive(struct bench_pod *pod, int wait_ms, uint64_t step, struct bench_reply *ret)
{
    autofree uint8_t *packet = xmalloc(WIRE_SIZE_MAX);
    struct shim_header header;
    struct bench_reply reply = {0};
    int fds[FD_PASS_MAX];
    size_t size;

    if (poll(&(struct pollfd){.fd = pod->socket, .events = POLLIN}, 1, wait_ms) <= 0)
        return false;
    struct error *failure = fd_receive(pod->socket, packet, WIRE_SIZE_MAX, &size, fds, &reply.fd_count);
    if (failure || size < sizeof(header)) {
        error_free(failure);
        pod_disconnect(pod);
        return false;
    }
    memcpy(&header, packet, sizeof(header));
    memcpy(reply.fds, fds, reply.fd_count * sizeof(int));
    reply.code = header.code;
    reply.size = size - sizeof(header);
    reply.data = xmemdup(packet + sizeof(header), reply.size);
    if (header.type == SHIM_EXITED)
        take_exit(pod, &reply);
    if (header.type == SHIM_HELLO)
        pod->shim = (pid_t)bench_reply_u64(&reply, SHIM_TAG_PID);
    if (header.type == SHIM_RESULT && step && header.step == step) {
        *ret = reply;
        return true;
    }
    bench_reply_fini(&reply);
    return false;
}

int32_t bench_call(struct bench_pod *pod, uint64_t step, enum shim_type type, struct wire_writer *fields,
                   struct bench_reply *ret)
{
    int64_t limit_ns = clock_boottime_ns() + CALL_LIMIT_S * ns_per_s;
    struct bench_reply own = {0};
    struct bench_reply *reply = ret ? ret : &own;
    uint64_t id = step ? step : ++pod->next_step;
    bool is_sent = false;

    for (;;) {
        if (clock_boottime_ns() > limit_ns)
            fail_msg("step type %d of pod %s got no result; see %s/log", type, pod->id, pod->bench->directory);
        if (pod->socket < 0)
            is_sent = false;
        bench_turn(pod->bench);
        if (!pod_connect(pod))
            continue;
        if (!is_sent) {
            error_free(pod_send(pod, id, type, fields));
            is_sent = true;
        }
        if (pod_receive(pod, 1, id, reply))
            break;
    }
    if (fields)
        wire_writer_fini(fields);
    if (reply->code && getenv("BENCH_TRACE"))
        fprintf(stderr, "step %d: code %d: %s\n", type, reply->code, bench_reply_text(reply, SHIM_TAG_TEXT));
    int32_t code = reply->code;
    error_free(pod_send(pod, id, SHIM_ACK, NULL));
    bench_reply_fini(&own);
    return code;
}

void bench_pod_listen(struct bench_pod *pod, unsigned ms)
{
    int64_t until_ns = clock_boottime_ns() + (int64_t)ms * NS_PER_MS;

    do {
        bench_turn(pod->bench);
        if (pod_connect(pod))
            pod_receive(pod, 1, 0, NULL);
    } while (clock_boottime_ns() < until_ns);
}

void bench_pod_open(struct bench *bench, struct bench_pod *pod, const char *id)
{
    *pod = (struct bench_pod){.bench = bench, .socket = -1, .acks = true};
    pod->next_step = (uint64_t)clock_realtime_ns();
    snprintf(pod->id, sizeof(pod->id), "%s", id);
    snprintf(pod->cgroup, sizeof(pod->cgroup), "%s/%s", bench->cgroup, id);
    bench_pod_listen(pod, 0);
}

void bench_pod_close(struct bench_pod *pod)
{
    assert_int_equal(bench_call(pod, 0, SHIM_POD_TEARDOWN, NULL, NULL), 0);
    assert_int_equal(bench_call(pod, 0, SHIM_QUIT, NULL, NULL), 0);
    pod_disconnect(pod);
    bench_sleep(pod->bench, 20);
}

void bench_pod_kill_shim(struct bench_pod *pod)
{
    if (pod->shim > 1)
        kill(pod->shim, SIGKILL);
    pod->shim = 0;
}

/* --- steps -------------------------------------------------------------------------------------------------------- */

int32_t bench_setup(struct bench_pod *pod, bool own_pid_namespace)
{
    struct wire_writer fields = {0};

    wire_put_u64(&fields, SHIM_TAG_NETNS_MODE, SHIM_NAMESPACE_OWN);
    wire_put_u64(&fields, SHIM_TAG_IPC_MODE, SHIM_NAMESPACE_OWN);
    wire_put_u64(&fields, SHIM_TAG_PID_MODE, own_pid_namespace ? SHIM_NAMESPACE_OWN : SHIM_NAMESPACE_HOST);
    wire_put_string(&fields, SHIM_TAG_HOSTNAME, "bench");
    wire_put_string(&fields, SHIM_TAG_CGROUP, pod->cgroup);
    wire_put_u64(&fields, SHIM_TAG_SHM_SIZE, 1 << 20);
    return bench_call(pod, 0, SHIM_POD_SETUP, &fields, NULL);
}

static void bundle_write(struct bench_pod *pod, const char *id, const char *script, bool terminal)
{
    struct bench_reply where = {0};
    struct wire_writer fields = {0};
    autofree char *path = xasprintf("%s/b-%s-%s", pod->bench->directory, pod->id, id);
    char pid_namespace[96] = "";

    wire_put_string(&fields, SHIM_TAG_CGROUP, pod->cgroup);
    assert_int_equal(bench_call(pod, 0, SHIM_POD_SETUP, &fields, &where), 0);
    unsigned pid = (unsigned)bench_reply_u64(&where, SHIM_TAG_PID);
    unsigned pid_fd = (unsigned)bench_reply_u64(&where, SHIM_TAG_PID_NS_FD);
    if (pid_fd)
        snprintf(pid_namespace, sizeof(pid_namespace), ",\"path\":\"/proc/%u/fd/%u\"", pid, pid_fd);
    mkdir(path, 0755);
    autofree char *file = xasprintf("%s/config.json", path);
    FILE *out = fopen(file, "w");
    assert_non_null(out);
    fprintf(out,
            "{\"ociVersion\":\"1.0.2\",\"process\":{\"terminal\":%s,\"user\":{\"uid\":0,\"gid\":0},\"cwd\":\"/\","
            "\"args\":[\"/bin/sh\",\"-c\",\"%s\"],\"env\":[\"PATH=/bin\"]},\"root\":{\"path\":\"%s/shim/%s/rootfs/%s\"},"
            "\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"},"
            "{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\"},"
            "{\"destination\":\"/dev/pts\",\"type\":\"devpts\",\"source\":\"devpts\","
            "\"options\":[\"newinstance\",\"ptmxmode=0666\",\"mode=0620\"]}],"
            "\"linux\":{\"cgroupsPath\":\"%s/%s\",\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"pid\"%s},"
            "{\"type\":\"network\",\"path\":\"%s\"},{\"type\":\"ipc\",\"path\":\"/proc/%u/fd/%u\"},"
            "{\"type\":\"uts\",\"path\":\"/proc/%u/fd/%u\"}]}}\n",
            terminal ? "true" : "false", script, pod->bench->state, pod->id, id, pod->cgroup, id, pid_namespace,
            bench_reply_text(&where, SHIM_TAG_NETNS), pid, (unsigned)bench_reply_u64(&where, SHIM_TAG_IPC_FD), pid,
            (unsigned)bench_reply_u64(&where, SHIM_TAG_UTS_FD));
    fclose(out);
    bench_reply_fini(&where);
}

/* As sandboxd: a shim that died between the set-up and the create makes the numbers in config.json wrong, so both again. */
static int32_t create_once(struct bench_pod *pod, const char *id, const char *runtime, const char *script,
                           const char *log_path, bool terminal)
{
    struct wire_writer rootfs = {0};
    struct wire_writer fields = {0};
    autofree char *layer = xasprintf("%s/layer", pod->bench->directory);
    autofree char *bundle = xasprintf("%s/b-%s-%s", pod->bench->directory, pod->id, id);
    autofree char *cgroup = xasprintf("%s/%s", pod->cgroup, id);

    wire_put_string(&rootfs, SHIM_TAG_CONTAINER, id);
    wire_put_string(&rootfs, SHIM_TAG_LAYER, layer);
    int32_t code = bench_call(pod, 0, SHIM_ROOTFS, &rootfs, NULL);
    if (code)
        return code;
    bundle_write(pod, id, script, terminal);
    wire_put_string(&fields, SHIM_TAG_CONTAINER, id);
    wire_put_string(&fields, SHIM_TAG_RUNTIME, runtime);
    wire_put_string(&fields, SHIM_TAG_BUNDLE, bundle);
    wire_put_string(&fields, SHIM_TAG_CGROUP, cgroup);
    wire_put_string(&fields, SHIM_TAG_LOG_PATH, log_path);
    wire_put_u64(&fields, SHIM_TAG_FLAGS, terminal ? SHIM_FLAG_TERMINAL : 0);
    return bench_call(pod, 0, SHIM_CREATE, &fields, NULL);
}

int32_t bench_create(struct bench_pod *pod, const char *id, const char *runtime, const char *script, const char *log_path,
                     bool terminal)
{
    pid_t before, after;
    int32_t code;

    do {
        bench_pod_listen(pod, 1);
        before = pod->shim;
        code = create_once(pod, id, runtime, script, log_path, terminal);
        after = pod->shim;
    } while (code && before != after);
    return code;
}

int32_t bench_simple(struct bench_pod *pod, enum shim_type type, const char *id)
{
    struct wire_writer fields = {0};

    wire_put_string(&fields, SHIM_TAG_CONTAINER, id);
    if (type == SHIM_SIGNAL)
        wire_put_u64(&fields, SHIM_TAG_SIGNAL, SIGKILL);
    return bench_call(pod, 0, type, &fields, NULL);
}

int32_t bench_start(struct bench_pod *pod, const char *id)
{
    return bench_simple(pod, SHIM_START, id);
}

int32_t bench_exec(struct bench_pod *pod, uint64_t step, const char *id, const char *script, unsigned timeout_ms,
                   int *ret_status, char *output, size_t size)
{
    struct wire_writer fields = {0};
    struct bench_reply reply = {0};
    autofree char *process = xasprintf("{\"terminal\":false,\"user\":{\"uid\":0,\"gid\":0},\"cwd\":\"/\",\"env\":[\"PATH=/bin\"],"
                                       "\"args\":[\"/bin/sh\",\"-c\",\"%s\"]}", script);

    wire_put_string(&fields, SHIM_TAG_CONTAINER, id);
    wire_put_string(&fields, SHIM_TAG_PROCESS, process);
    wire_put_u64(&fields, SHIM_TAG_TIMEOUT_MS, timeout_ms);
    int32_t code = bench_call(pod, step, SHIM_EXEC, &fields, &reply);
    *ret_status = (int)bench_reply_u64(&reply, SHIM_TAG_STATUS);
    ssize_t got = reply.fd_count ? pread(reply.fds[0], output, size - 1, 0) : 0;
    output[got > 0 ? got : 0] = '\0';
    if (code)
        snprintf(output, size, "%s", bench_reply_text(&reply, SHIM_TAG_TEXT));
    bench_reply_fini(&reply);
    return code;
}

const struct bench_exit *bench_wait_exit(struct bench_pod *pod, const char *id)
{
    int64_t limit_ns = clock_boottime_ns() + EXIT_LIMIT_S * ns_per_s;

    for (;;) {
        for (size_t i = 0; i < pod->exit_count; i++)
            if (strcmp(pod->exits[i].container, id) == 0)
                return &pod->exits[i];
        if (clock_boottime_ns() > limit_ns)
            return NULL;
        bench_pod_listen(pod, 2);
    }
}
