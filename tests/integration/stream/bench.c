/* How a session of `stream` is started in a test. */
#include "tests/integration/stream/bench.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/memory.h"

static const char pod[] = "c0ffee00112233445566778899aabbccddeeff00112233445566778899aabbcc";

static int listen_any(uint16_t *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 512), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static int notify_open(const char *state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", state);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    chmod(address.sun_path, 0666);
    return fd;
}

void bench_configure(struct bench *bench, const char *json)
{
    autofree char *path = xasprintf("%s/config.json", bench->state);
    autoclose int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    check(fd_write_all(fd, json, strlen(json)));
}

int bench_setup(void **state)
{
    struct bench *bench = xcalloc(1, sizeof(*bench));
    char name[] = "/tmp/bulkhead-stream-XXXXXX";

    assert_non_null(mkdtemp(name));
    chmod(name, 0755);
    bench->state = xstrdup(name);
    bench_configure(bench, "{}");
    bench->shim = stream_shim_new(bench->state, pod);
    bench->listener = listen_any(&bench->port);
    bench->notify = notify_open(bench->state);
    *state = bench;
    return 0;
}

static int remove_one(const char *path, const struct stat *info, int flag, struct FTW *position)
{
    (void)info;
    (void)flag;
    (void)position;
    return remove(path);
}

int bench_teardown(void **state)
{
    struct bench *bench = *state;
    int result = 0;

    close(bench->listener);
    for (size_t i = 0; i < bench->session_count; i++) {
        if (bench->sessions[i] == 0)
            continue;
        if (result != 0)
            kill(bench->sessions[i], SIGKILL); /* it is told already */
        int status = bench_wait(bench, bench->sessions[i]);
        if (status != 0) {
            print_message("a session ended with status %x\n", (unsigned)status);
            result = -1;
        }
    }
    stream_shim_free(bench->shim);
    close(bench->notify);
    nftw(bench->state, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(bench->state);
    free(bench);
    return result;
}

static _Noreturn void spare_run(const struct bench *bench)
{
    autofree char *program = xasprintf("%s/bulkhead-stream", getenv("BULKHEAD_PROGRAMS"));
    autofree char *notify = xasprintf("%s/notify", bench->state);
    autofree char *config = xasprintf("--config=%s/config.json", bench->state);

    setenv("LISTEN_FDS", "1", 1);
    setenv("LISTEN_FDNAMES", "stream", 1);
    setenv("NOTIFY_SOCKET", notify, 1);
    if (bench->listener != 3)
        dup2(bench->listener, 3);
    else
        fcntl(3, F_SETFD, 0);
    syscall(SYS_close_range, 4, ~0U, 0);
    execl(program, "bulkhead-stream", "--state", bench->state, "--root", bench->state, "--log-level", "warn", config,
          NULL);
    _exit(127);
}

pid_t bench_spare(struct bench *bench)
{
    pid_t pid = fork();

    assert_true(pid >= 0 && bench->session_count < BENCH_SESSIONS_MAX);
    if (pid == 0)
        spare_run(bench);
    bench->sessions[bench->session_count++] = pid;
    return pid;
}

int bench_wait(struct bench *bench, pid_t pid)
{
    struct pollfd fd = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
    int status = 0;
    bool has_ended = poll(&fd, 1, CLIENT_LIMIT_MS) == 1;

    if (!has_ended)
        kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    close(fd.fd);
    for (size_t i = 0; i < bench->session_count; i++)
        if (bench->sessions[i] == pid)
            bench->sessions[i] = 0;
    return has_ended ? status : -1;
}

void bench_wait_notified(struct bench *bench, const char *words)
{
    struct pollfd fd = {.fd = bench->notify, .events = POLLIN};
    char text[1024];

    do {
        assert_int_equal(poll(&fd, 1, CLIENT_LIMIT_MS), 1);
        ssize_t size = recv(bench->notify, text, sizeof(text) - 1, 0);
        assert_true(size >= 0);
        text[size] = '\0';
    } while (!strstr(text, words));
}

char *bench_path(struct bench *bench, uint32_t kind, uint32_t flags, const char *command)
{
    static const char *const names[] = {
        [STREAM_EXEC] = "exec", [STREAM_ATTACH] = "attach", [STREAM_PORT_FORWARD] = "portforward"};
    static const char *argvs[BENCH_SESSIONS_MAX][4];
    const char **argv = argvs[bench->session_count];

    argv[0] = "sh";
    argv[1] = "-c";
    argv[2] = command;
    bench_spare(bench);
    autofree char *token = stream_shim_token(bench->shim, kind, flags, command ? argv : NULL);
    return xasprintf("/%s/%s", names[kind], token);
}

struct bench_exec bench_spdy(struct bench *bench, uint32_t kind, uint32_t flags, const char *command)
{
    autofree char *path = bench_path(bench, kind, flags, command);
    struct bench_exec exec = {0};
    int status;

    exec.client = spdy_client_open(bench->port, path, "v4.channel.k8s.io", &status);
    assert_int_equal(status, 101);
    exec.error = spdy_client_stream_of(exec.client, "error");
    if (flags & STREAM_STDIN)
        exec.in = spdy_client_stream_of(exec.client, "stdin");
    if (flags & STREAM_STDOUT)
        exec.out = spdy_client_stream_of(exec.client, "stdout");
    if (flags & STREAM_STDERR && !(flags & STREAM_TTY))
        exec.err = spdy_client_stream_of(exec.client, "stderr");
    if (flags & STREAM_TTY)
        exec.resize = spdy_client_stream_of(exec.client, "resize");
    return exec;
}

struct websocket_client *bench_websocket(struct bench *bench, uint32_t kind, uint32_t flags, const char *command,
                                         const char *protocol)
{
    autofree char *path = bench_path(bench, kind, flags, command);
    int status;
    struct websocket_client *client = websocket_client_open(bench->port, path, protocol, &status);

    assert_int_equal(status, 101);
    assert_string_equal(websocket_client_protocol(client), protocol ? protocol : "");
    return client;
}

struct spdy_client *bench_forward(struct bench *bench)
{
    autofree char *path = bench_path(bench, STREAM_PORT_FORWARD, 0, NULL);
    int status;
    struct spdy_client *client = spdy_client_open(bench->port, path, "portforward.k8s.io", &status);

    assert_int_equal(status, 101);
    return client;
}

long bench_memory_kib(const struct bench *bench)
{
    autofree char *path = xasprintf("/proc/%d/status", (int)bench->sessions[bench->session_count - 1]);
    autofree char *text = NULL;
    size_t size;

    check(file_read_all(path, 65536, &text, &size));
    const char *line = strstr(text, "\nVmRSS:");
    return line ? strtol(line + 7, NULL, 10) : 0;
}
