/* criapi between real gRPC clients and stand-ins for sandboxd and imaged: routing, errors, deadlines, cancels, kills.
 * The test holds the listening socket, as the keeper does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/config.h"
#include "common/fd.h"
#include "common/ipc.h"
#include "common/memory.h"
#include "proto/cri.pb-c.h"
#include "cli/clients/cri_stream.h"

enum {
    PATIENCE_MS = 30000,
    CALLERS = 200,
    CLIENTS = 20,
    KILLS = 50,
    REPLY_TOO_BIG = (16 << 20) + 1,
    CRIAPI_UID = 61301
};

extern char **environ;

/* ---- the stand-in: this program again, run as `criapi_test --stand-in STATE NAME GENERATION` ---- */

struct stand_in {
    const char *state, *name;
};

/* Leaves a line in STATE/NAME.notes. */
static void note(const struct stand_in *stand_in, const char *text)
{
    autofree char *path = xasprintf("%s/%s.notes", stand_in->state, stand_in->name);
    autofree char *line = xasprintf("%s\n", text);
    autoclose int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    error_free(fd_write_all(fd, line, strlen(line)));
}

static struct error *answer_echo(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    (void)state;
    reply->data = call->payload_size > 0 ? xmemdup(call->payload, call->payload_size) : NULL;
    reply->size = call->payload_size;
    return NULL;
}

static struct error *answer_name(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    const struct stand_in *stand_in = state;

    reply->data = (uint8_t *)xasprintf("%s %s", stand_in->name, call->method);
    reply->size = strlen((char *)reply->data);
    return NULL;
}

/* The payload is how many milliseconds to take. */
static struct error *answer_late(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    autofree char *text = xstrndup((const char *)call->payload, call->payload_size);
    int64_t end = clock_boottime_ns() + atoll(text) * 1000000;

    note(state, "begun");
    while (clock_boottime_ns() < end) {
        if (ipc_call_is_over(call)) {
            note(state, atomic_load(call->cancelled) ? "cancelled" : "deadline");
            return error_new(ERROR_CANCELLED, "the client has gone");
        }
        usleep(2000);
    }
    note(state, "finished");
    return answer_echo(state, call, reply);
}

static struct error *answer_deadline(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    (void)state;
    reply->data = (uint8_t *)xasprintf("%" PRId64, (call->deadline_ns - clock_boottime_ns()) / 1000000);
    reply->size = strlen((char *)reply->data);
    return NULL;
}

static struct error *answer_error(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    (void)state;
    (void)reply;
    return error_new(ERROR_NOT_FOUND, "no container \"%.*s\"", (int)call->payload_size, (const char *)call->payload);
}

static struct error *answer_big(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    (void)state;
    (void)call;
    reply->size = REPLY_TOO_BIG;
    reply->data = xcalloc(1, reply->size);
    return NULL;
}

/* A list: the payload says how many items, and of how many bytes (200 at least, so that all lengths have two bytes or more). */
static struct error *answer_list(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    autofree char *text = xstrndup((const char *)call->payload, call->payload_size);
    unsigned count = 0, size = 0;

    (void)state;
    sscanf(text, "%u %u", &count, &size);
    reply->data = xmalloc((size_t)count * (size + 6) + 1);
    for (unsigned i = 0; i < count; i++) {
        uint8_t *at = reply->data + reply->size;
        unsigned length = size;
        *at++ = 0x0a;
        for (; length >= 0x80; length >>= 7)
            *at++ = (uint8_t)(length | 0x80);
        *at++ = (uint8_t)length;
        memset(at, 'i', size);
        snprintf((char *)at, size, "%u", i);
        reply->size = (size_t)(at + size - reply->data);
    }
    return NULL;
}

static const struct ipc_method stand_in_methods[] = {
    {"ListContainerStats", answer_list},  {"ListImages", answer_name},
    {"ListContainers", answer_echo},      {"ExecSync", answer_late},
    {"ContainerStatus", answer_deadline}, {"RemoveContainer", answer_error},
    {"ListPodSandbox", answer_big},       {"Status", answer_name},
    {"RunPodSandbox", answer_late},       {"ImageFsInfo", answer_name},
    {"PullImage", answer_deadline},       {NULL, NULL},
};

static int stand_in_main(char **argv)
{
    struct stand_in stand_in = {argv[0], argv[1]};
    autofree char *directory = xasprintf("%s/%s", stand_in.state, stand_in.name);
    const uint32_t callers[] = {CRIAPI_UID, 0};
    struct ipc_server *server;
    struct error *error = ipc_server_open(&(struct ipc_server_options){.directory = directory,
                                                                       .service = stand_in.name,
                                                                       .generation = strtoull(argv[2], NULL, 10),
                                                                       .methods = stand_in_methods,
                                                                       .state = &stand_in,
                                                                       .allowed_uids = callers},
                                          &server);
    if (error) {
        fprintf(stderr, "stand-in: %s\n", error->text);
        return 1;
    }
    for (;;)
        pause();
}

/* ---- the bench: criapi, two stand-ins, and the socket that outlives them ---- */

struct bench {
    char directory[32];
    char *state, *address;
    int listen_fd;
    pid_t criapi, sandboxd, imaged;
    int generation;
    struct cri_client *client;
};

static pid_t spawn(char **argv, char **environment, int listen_fd)
{
    posix_spawn_file_actions_t actions;
    pid_t pid;

    posix_spawn_file_actions_init(&actions);
    if (listen_fd >= 0)
        posix_spawn_file_actions_adddup2(&actions, listen_fd, 3);
    assert_int_equal(posix_spawn(&pid, argv[0], &actions, NULL, argv, environment), 0);
    posix_spawn_file_actions_destroy(&actions);
    return pid;
}

static void end(pid_t *pid, int number)
{
    int status;

    if (*pid <= 0)
        return;
    kill(*pid, number);
    while (waitpid(*pid, &status, 0) < 0 && errno == EINTR)
        ;
    *pid = 0;
}

static pid_t start_stand_in(struct bench *bench, const char *name)
{
    autofree char *generation = xasprintf("%d", ++bench->generation);
    char *argv[] = {"/proc/self/exe", "--stand-in", bench->state, (char *)name, generation, NULL};

    return spawn(argv, environ, -1);
}

static void start_criapi(struct bench *bench)
{
    const char *programs = getenv("BULKHEAD_PROGRAMS");
    autofree char *program = xasprintf("%s/bulkhead-criapi", programs ? programs : "bin");
    autofree char *root = xasprintf("%s/root", bench->directory);
    autofree char *notify = xasprintf("NOTIFY_SOCKET=%s/notify", bench->directory);
    char *argv[] = {program,     "--root",       root,          "--state", bench->state,
                    "--address", bench->address, "--log-level", "warn",    NULL};
    char *environment[] = {"LISTEN_FDS=1", "LISTEN_FDNAMES=cri", notify, NULL};

    bench->criapi = spawn(argv, environment, bench->listen_fd);
}

static struct sockaddr_un address_of(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    return address;
}

static void bench_listen(struct bench *bench)
{
    struct sockaddr_un address = address_of(bench->address);

    bench->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(bench->listen_fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(bench->listen_fd, 4096), 0);
}

static int bench_open(void **state)
{
    struct bench *bench = xcalloc(1, sizeof(*bench));

    *state = bench;
    strcpy(bench->directory, "/tmp/criapi-XXXXXX");
    assert_non_null(mkdtemp(bench->directory));
    assert_int_equal(chmod(bench->directory, 0711), 0);
    bench->state = xasprintf("%s/state", bench->directory);
    bench->address = xasprintf("%s/cri.sock", bench->directory);
    autofree char *sandboxd = xasprintf("%s/sandboxd", bench->state), *imaged = xasprintf("%s/imaged", bench->state);
    assert_true(mkdir(bench->state, 0711) == 0 && mkdir(sandboxd, 0711) == 0 && mkdir(imaged, 0711) == 0);
    bench_listen(bench);
    bench->sandboxd = start_stand_in(bench, "sandboxd");
    bench->imaged = start_stand_in(bench, "imaged");
    start_criapi(bench);
    assert_null(cri_client_open(bench->address, &bench->client));
    return 0;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

static int bench_close(void **state)
{
    struct bench *bench = *state;

    cri_client_close(bench->client);
    end(&bench->criapi, SIGKILL);
    end(&bench->sandboxd, SIGKILL);
    end(&bench->imaged, SIGKILL);
    close(bench->listen_fd);
    nftw(bench->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(bench->state);
    free(bench->address);
    free(bench);
    return 0;
}

/* How often the line stands in the stand-in's notes. */
static int notes_count(struct bench *bench, const char *line)
{
    autofree char *path = xasprintf("%s/sandboxd.notes", bench->state);
    autofree char *wanted = xasprintf("%s\n", line);
    char *text = NULL;
    size_t size;
    int count = 0;

    error_free(file_read_all(path, 1 << 20, &text, &size));
    for (char *found = text; found && (found = strstr(found, wanted)); found++)
        count++;
    free(text);
    return count;
}

static void wait_note(struct bench *bench, const char *line, int count)
{
    int64_t limit = clock_boottime_ns() + PATIENCE_MS * INT64_C(1000000);

    while (notes_count(bench, line) < count) {
        assert_true(clock_boottime_ns() < limit);
        usleep(5000);
    }
}

static struct error *call(struct bench *bench, const char *service, const char *method, const char *request,
                          int64_t timeout_ms, char **ret)
{
    uint8_t *reply = NULL;
    size_t size = 0;
    struct error *error =
        cri_client_call(bench->client, service, method, request, strlen(request), timeout_ms, &reply, &size);

    if (!error && ret)
        *ret = xstrndup((char *)reply, size);
    free(reply);
    return error;
}

static void expect_reply(struct bench *bench, const char *service, const char *method, const char *request,
                         const char *expected)
{
    autofree char *reply = NULL;
    autoptr(error) error = call(bench, service, method, request, PATIENCE_MS, &reply);

    if (error)
        fail_msg("%s: %s: %s", method, error_code_name(error->code), error->text);
    assert_string_equal(reply, expected);
}

static void expect_error(struct bench *bench, const char *service, const char *method, const char *request,
                         enum error_code code, const char *text)
{
    autoptr(error) error = call(bench, service, method, request, PATIENCE_MS, NULL);

    assert_non_null(error);
    if (error->code != code || !strstr(error->text, text))
        fail_msg("%s: %s: %s", method, error_code_name(error->code), error->text);
}

/* ---- tests ---- */

static void version_is_answered_while_no_daemon_lives(void **state)
{
    struct bench *bench = *state;
    Runtime__V1__VersionRequest request = RUNTIME__V1__VERSION_REQUEST__INIT;
    Runtime__V1__VersionResponse *reply = NULL;

    end(&bench->sandboxd, SIGKILL);
    end(&bench->imaged, SIGKILL);
    assert_null(
        CRI_CALL(bench->client, "RuntimeService", "Version", &request.base, PATIENCE_MS, version_response, &reply));
    assert_string_equal(reply->runtime_name, "bulkhead");
    runtime__v1__version_response__free_unpacked(reply, NULL);
}

static void calls_reach_the_daemon_of_their_service_with_every_byte(void **state)
{
    expect_reply(*state, "RuntimeService", "Status", "", "sandboxd Status");
    expect_reply(*state, "ImageService", "ImageFsInfo", "", "imaged ImageFsInfo");
    expect_reply(*state, "RuntimeService", "ListContainers", "any bytes \x01\x02\xff", "any bytes \x01\x02\xff");
    expect_reply(*state, "RuntimeService", "ListContainers", "", "");
}

static void a_daemons_error_arrives_with_its_code_and_text(void **state)
{
    char name[8000];

    expect_error(*state, "RuntimeService", "RemoveContainer", "a % b", ERROR_NOT_FOUND, "no container \"a % b\"");
    memset(name, 'x', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    expect_error(*state, "RuntimeService", "RemoveContainer", name, ERROR_NOT_FOUND, "no container \"xxxxxx");
}

static void what_nobody_answers_is_unimplemented_by_name(void **state)
{
    expect_error(*state, "RuntimeService", "CheckpointContainer", "", ERROR_UNIMPLEMENTED,
                 "CheckpointContainer is not implemented");
    expect_error(*state, "RuntimeService", "CheckpointPod", "", ERROR_UNIMPLEMENTED, "CheckpointPod");
    expect_error(*state, "RuntimeService", "Fly", "", ERROR_UNIMPLEMENTED, "unknown method Fly");
    expect_error(*state, "runtime.v1alpha1.RuntimeService", "Version", "", ERROR_UNIMPLEMENTED,
                 "unknown service runtime.v1alpha1.RuntimeService");
    expect_error(*state, "RuntimeService", "a/b/c", "", ERROR_UNIMPLEMENTED, "unknown service");
}

static void malformed_and_oversized_messages_are_refused_and_the_next_call_works(void **state)
{
    struct bench *bench = *state;
    autofree uint8_t *big = xcalloc(1, REPLY_TOO_BIG);
    uint8_t *reply = NULL;
    size_t size;

    expect_error(bench, "RuntimeService", "Version", "\x0a\x7f", ERROR_INVALID_ARGUMENT, "does not parse");
    autoptr(error) error = cri_client_call(bench->client, "RuntimeService", "ListContainers", big, REPLY_TOO_BIG,
                                           PATIENCE_MS, &reply, &size);
    assert_non_null(error);
    assert_int_equal(error->code, ERROR_RESOURCE_EXHAUSTED);
    expect_error(bench, "RuntimeService", "ListPodSandbox", "", ERROR_RESOURCE_EXHAUSTED, "16777217 bytes");
    expect_reply(bench, "RuntimeService", "Status", "", "sandboxd Status");
}

static void a_connection_that_speaks_no_http2_is_closed(void **state)
{
    struct bench *bench = *state;
    struct sockaddr_un address = address_of(bench->address);
    autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char byte;

    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(write(fd, "hello there", 11), 11);
    assert_int_equal(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, PATIENCE_MS), 1);
    assert_true(recv(fd, &byte, 1, 0) <= 0);
    expect_reply(bench, "RuntimeService", "Status", "", "sandboxd Status");
}

static void the_daemon_sees_the_clients_deadline(void **state)
{
    struct bench *bench = *state;
    autofree char *left = NULL;

    assert_null(call(bench, "RuntimeService", "ContainerStatus", "", 20000, &left));
    assert_in_range(atoll(left), 1, 20000);
    assert_true(atoll(left) > 5000);
}

static void a_deadline_ends_the_call_and_the_work(void **state)
{
    struct bench *bench = *state;

    expect_reply(bench, "RuntimeService", "Status", "", "sandboxd Status");
    int64_t start = clock_boottime_ns();
    autoptr(error) error = call(bench, "RuntimeService", "ExecSync", "60000", 3000, NULL);
    assert_non_null(error);
    assert_int_equal(error->code, ERROR_DEADLINE_EXCEEDED);
    assert_true(clock_boottime_ns() - start < INT64_C(20000000000));
    int64_t limit = clock_boottime_ns() + PATIENCE_MS * INT64_C(1000000);
    while (notes_count(bench, "cancelled") + notes_count(bench, "deadline") < 1) {
        assert_true(clock_boottime_ns() < limit);
        usleep(5000);
    }
}

static void a_cancel_reaches_the_daemon(void **state)
{
    struct bench *bench = *state;

    autoptr(error) error = cri_client_call_cancelled(bench->client, "RuntimeService", "ExecSync", "600000", 6, 3000);
    assert_non_null(error);
    assert_int_equal(error->code, ERROR_CANCELLED);
    wait_note(bench, "begun", 1);
    wait_note(bench, "cancelled", 1);
}

static void the_end_of_the_clients_connection_is_a_cancel(void **state)
{
    struct bench *bench = *state;
    pid_t pid = fork(); /* before this process's first call: gRPC has no threads yet */

    if (pid == 0) {
        struct cri_client *client;
        uint8_t *reply;
        size_t size;
        error_free(cri_client_open(bench->address, &client));
        error_free(cri_client_call(client, "RuntimeService", "ExecSync", "600000", 6, 600000, &reply, &size));
        _exit(0);
    }
    wait_note(bench, "begun", 1);
    end(&pid, SIGKILL);
    wait_note(bench, "cancelled", 1);
}

static void a_call_waits_for_a_daemon_that_is_away(void **state)
{
    struct bench *bench = *state;

    end(&bench->sandboxd, SIGKILL);
    autoptr(error) error = call(bench, "RuntimeService", "Status", "", 1000, NULL);
    assert_non_null(error);
    assert_int_equal(error->code, ERROR_DEADLINE_EXCEEDED);
    bench->sandboxd = start_stand_in(bench, "sandboxd");
    expect_reply(bench, "RuntimeService", "Status", "", "sandboxd Status");
}

/* ---- lists that are streamed ---- */

static struct cri_stream *list_begin(struct bench *bench, const char *method, const char *request)
{
    struct cri_stream *stream = NULL;
    const char *service = strcmp(method, "StreamImages") == 0 ? "ImageService" : "RuntimeService";

    assert_null(cri_stream_open(bench->client, service, method, request, strlen(request), -1, &stream));
    return stream;
}

/* How many items of that many bytes, with their lengths, are in the message; each must be the next one. */
static unsigned items_check(const uint8_t *bytes, size_t size, unsigned item_size, unsigned first)
{
    size_t head = item_size < 1 << 14 ? 3 : item_size < 1 << 21 ? 4 : 5;
    unsigned count = (unsigned)(size / (item_size + head));

    assert_int_equal(size, count * (item_size + head));
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(atoll((const char *)bytes + i * (item_size + head) + head), first + i);
    return count;
}

/* Reads to the end, which must be OK; returns the messages. */
static unsigned list_read(struct cri_stream *stream, unsigned item_count, unsigned item_size)
{
    unsigned messages = 0, items = 0;

    for (;; messages++) {
        uint8_t *bytes = NULL;
        size_t size = 0;
        autoptr(error) error = cri_stream_next(stream, PATIENCE_MS, &bytes, &size);
        if (error)
            fail_msg("%s: %s", error_code_name(error->code), error->text);
        if (!bytes)
            break;
        assert_true(size > 0);
        items += items_check(bytes, size, item_size, items);
        free(bytes);
    }
    assert_int_equal(items, item_count);
    return messages;
}

static void expect_list(struct bench *bench, unsigned count, unsigned size, unsigned messages)
{
    autofree char *request = xasprintf("%u %u", count, size);
    struct cri_stream *stream = list_begin(bench, "StreamContainerStats", request);

    assert_int_equal(list_read(stream, count, size), messages);
    cri_stream_close(stream);
}

static void expect_list_error(struct bench *bench, const char *method, const char *request, enum error_code code,
                              const char *text)
{
    struct cri_stream *stream = list_begin(bench, method, request);
    uint8_t *bytes = NULL;
    size_t size;
    autoptr(error) error = cri_stream_next(stream, PATIENCE_MS, &bytes, &size);

    assert_non_null(error);
    if (error->code != code || !strstr(error->text, text))
        fail_msg("%s: %s: %s", method, error_code_name(error->code), error->text);
    cri_stream_close(stream);
}

static void a_streamed_list_has_every_item_once_in_messages_of_at_most_a_megabyte(void **state)
{
    expect_list(*state, 0, 200, 0);
    expect_list(*state, 1, 200, 1);
    expect_list(*state, 10000, 1000, 10);
    expect_list(*state, 5, 3 << 20, 5);
}

static void a_streamed_list_may_be_larger_than_any_message(void **state)
{
    expect_list(*state, 40000, 1500, 58);
    expect_error(*state, "RuntimeService", "ListContainerStats", "40000 1500", ERROR_RESOURCE_EXHAUSTED, "60120000 bytes");
}

static void a_streamed_list_ends_as_its_unary_one_does(void **state)
{
    struct bench *bench = *state;

    expect_list_error(bench, "StreamPodSandboxStats", "", ERROR_UNIMPLEMENTED, "no method ListPodSandboxStats");
    expect_list_error(bench, "StreamPodSandboxMetrics", "", ERROR_UNIMPLEMENTED, "no method ListPodSandboxMetrics");
    expect_list_error(bench, "StreamPodSandboxes", "", ERROR_INTERNAL, "begins no item");
    expect_list_error(bench, "StreamImages", "", ERROR_INTERNAL, "begins no item");
    expect_list_error(bench, "StreamContainers", "hello", ERROR_INTERNAL, "begins no item");
    expect_list_error(bench, "StreamContainerStats", "4 17000000", ERROR_RESOURCE_EXHAUSTED, "larger than");
    expect_list_error(bench, "StreamContainerStats", "1 17000000", ERROR_RESOURCE_EXHAUSTED, "an item has 17000005 bytes");
}

/* Five times 60 MB are more than may wait; what was cut off is given back. */
static void clients_that_do_not_read_hold_up_nobody_and_only_so_much_waits_for_them(void **state)
{
    enum { SLOW = 4 };
    struct bench *bench = *state;
    struct cri_stream *slow[SLOW];

    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < SLOW; i++) {
            slow[i] = list_begin(bench, "StreamContainerStats", "40 1500000");
            assert_null(cri_stream_headers(slow[i], PATIENCE_MS));
        }
        expect_reply(bench, "RuntimeService", "Status", "", "sandboxd Status");
        expect_list(bench, 100, 1000, 1);
        expect_list_error(bench, "StreamContainerStats", "40 1500000", ERROR_RESOURCE_EXHAUSTED, "wait for their clients");
        assert_int_equal(list_read(slow[0], 40, 1500000), 40);
        for (int i = 0; i < SLOW; i++)
            cri_stream_close(slow[i]);
    }
}

static size_t resident_bytes(pid_t pid)
{
    autofree char *path = xasprintf("/proc/%d/statm", (int)pid);
    unsigned long pages = 0;
    FILE *file = fopen(path, "r");

    assert_non_null(file);
    assert_int_equal(fscanf(file, "%*u %lu", &pages), 1);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* 60 lists of 30 MB, each cancelled after its first message, would be 1.8 GB. */
static void lists_and_clients_of_events_that_are_cut_off_leave_no_memory_behind(void **state)
{
    enum { ROUNDS = 60, MOST = 150 << 20 };
    struct bench *bench = *state;
    size_t size;

    for (int i = 0; i < ROUNDS; i++) {
        struct cri_stream *stream = list_begin(bench, "StreamContainerStats", "20 1500000"), *events = NULL;
        uint8_t *bytes = NULL;
        autoptr(error) error = cri_stream_next(stream, PATIENCE_MS, &bytes, &size);
        if (error && error->code != ERROR_RESOURCE_EXHAUSTED) /* criapi has not heard of all cancels yet */
            fail_msg("%s: %s", error_code_name(error->code), error->text);
        free(bytes);
        assert_null(
            cri_stream_open(bench->client, "RuntimeService", "GetContainerEvents", "", 0, -1, &events));
        cri_stream_close(events);
        cri_stream_close(stream);
    }
    expect_list(bench, 10, 200, 1);
    size_t resident = resident_bytes(bench->criapi);
    print_message("criapi has %zu MB after %d lists of 30 MB\n", resident >> 20, ROUNDS);
    assert_in_range(resident, 1, MOST);
}

static void a_list_under_way_is_cut_off_by_the_end_of_criapi(void **state)
{
    struct bench *bench = *state;
    struct cri_stream *stream = list_begin(bench, "StreamContainerStats", "40 1500000");
    struct error *error;
    uint8_t *bytes = NULL;
    size_t size;

    assert_null(cri_stream_headers(stream, PATIENCE_MS));
    end(&bench->criapi, SIGTERM);
    while (!(error = cri_stream_next(stream, PATIENCE_MS, &bytes, &size)) && bytes)
        free(bytes);
    assert_non_null(error);
    assert_true(error->code == ERROR_UNAVAILABLE || error->code == ERROR_CANCELLED);
    error_free(error);
    cri_stream_close(stream);
}

/* Without sandboxd nobody knows from where on to tell: the client waits for headers. */
static void a_client_of_events_that_waits_for_sandboxd_is_let_go_at_the_end(void **state)
{
    struct bench *bench = *state;
    struct cri_stream *stream = NULL;
    uint8_t *bytes = NULL;
    size_t size;

    end(&bench->sandboxd, SIGKILL);
    assert_null(cri_stream_open(bench->client, "RuntimeService", "GetContainerEvents", "", 0, -1, &stream));
    expect_reply(bench, "ImageService", "ImageFsInfo", "", "imaged ImageFsInfo"); /* the call before it has arrived */
    autoptr(error) none = cri_stream_headers(stream, 100);
    assert_non_null(none);
    end(&bench->criapi, SIGTERM);
    autoptr(error) error = cri_stream_next(stream, PATIENCE_MS, &bytes, &size);
    assert_non_null(error);
    assert_int_equal(error->code, ERROR_UNAVAILABLE);
    assert_non_null(strstr(error->text, "call again"));
    cri_stream_close(stream);
}

/* ---- many callers ---- */

struct caller {
    struct cri_client *client;
    const char *method, *request;
    int calls;
    atomic_int *failures;
    atomic_int *answered;
};

static void *caller_run(void *argument)
{
    struct caller *caller = argument;

    for (int i = 0; i < caller->calls; i++) {
        uint8_t *reply = NULL;
        size_t size = 0;
        autoptr(error) error = cri_client_call(caller->client, "RuntimeService", caller->method, caller->request,
                                               strlen(caller->request), 60000, &reply, &size);
        if (error)
            fprintf(stderr, "%s: %s: %s\n", caller->method, error_code_name(error->code), error->text);
        if (error || size != strlen(caller->request) || memcmp(reply, caller->request, size) != 0)
            atomic_fetch_add(caller->failures, 1);
        atomic_fetch_add(caller->answered, 1);
        free(reply);
    }
    return NULL;
}

struct crowd {
    pthread_t threads[CALLERS];
    struct caller callers[CALLERS];
    struct cri_client *clients[CLIENTS];
    atomic_int failures, answered;
};

static void crowd_start(struct crowd *crowd, struct bench *bench, const char *method, const char *request, int calls)
{
    for (int i = 0; i < CLIENTS; i++)
        assert_null(cri_client_open(bench->address, &crowd->clients[i]));
    for (int i = 0; i < CALLERS; i++) {
        crowd->callers[i] = (struct caller){.client = crowd->clients[i % CLIENTS],
                                            .method = method,
                                            .request = request,
                                            .calls = calls,
                                            .failures = &crowd->failures,
                                            .answered = &crowd->answered};
        assert_int_equal(pthread_create(&crowd->threads[i], NULL, caller_run, &crowd->callers[i]), 0);
    }
}

static void crowd_end(struct crowd *crowd)
{
    for (int i = 0; i < CALLERS; i++)
        pthread_join(crowd->threads[i], NULL);
    for (int i = 0; i < CLIENTS; i++)
        cri_client_close(crowd->clients[i]);
}

static void two_hundred_calls_at_a_time_are_all_answered(void **state)
{
    struct crowd crowd = {0};

    crowd_start(&crowd, *state, "ExecSync", "500", 2);
    crowd_end(&crowd);
    assert_int_equal(atomic_load(&crowd.failures), 0);
    assert_int_equal(atomic_load(&crowd.answered), 2 * CALLERS);
}

static void no_call_fails_when_the_daemon_is_killed_in_its_middle(void **state)
{
    struct bench *bench = *state;
    struct crowd crowd = {0};

    crowd_start(&crowd, bench, "ExecSync", "100", 8);
    for (int i = 0; i < 10; i++) {
        usleep(150000);
        end(&bench->sandboxd, SIGKILL);
        bench->sandboxd = start_stand_in(bench, "sandboxd");
    }
    crowd_end(&crowd);
    assert_int_equal(atomic_load(&crowd.failures), 0);
    assert_int_equal(atomic_load(&crowd.answered), 8 * CALLERS);
}

/* ---- criapi's own ends ---- */

/* At each kill one call may be cut off; connect() is never refused. */
static void fifty_kills_refuse_no_connection_and_cost_one_call_each(void **state)
{
    struct bench *bench = *state;
    struct sockaddr_un address = address_of(bench->address);
    int unavailable = 0, connects = 0;

    for (int i = 0; i < KILLS; i++) {
        expect_reply(bench, "RuntimeService", "ListContainers", "x", "x");
        end(&bench->criapi, SIGKILL);
        for (int j = 0; j < 20; j++, connects++) {
            int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
            assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
            close(fd);
        }
        start_criapi(bench);
        for (;;) {
            autoptr(error) error = call(bench, "RuntimeService", "ListContainers", "x", PATIENCE_MS, NULL);
            if (!error)
                break;
            assert_int_equal(error->code, ERROR_UNAVAILABLE);
            unavailable++;
        }
    }
    print_message("%d kills: %d connects, none refused; %d calls UNAVAILABLE\n", KILLS, connects, unavailable);
    assert_true(unavailable <= KILLS);
}

struct long_call {
    struct bench *bench;
    const char *milliseconds;
    struct error *error;
};

static void *long_call_run(void *argument)
{
    struct long_call *long_call = argument;

    long_call->error = call(long_call->bench, "RuntimeService", "ExecSync", long_call->milliseconds, 60000, NULL);
    return NULL;
}

static void sigterm_lets_short_calls_end_and_cancels_nothing(void **state)
{
    struct bench *bench = *state;
    struct long_call calls[2] = {{bench, "2000", NULL}, {bench, "12000", NULL}};
    pthread_t threads[2];

    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, long_call_run, &calls[i]), 0);
    wait_note(bench, "begun", 2);
    end(&bench->criapi, SIGTERM);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_null(calls[0].error);
    assert_non_null(calls[1].error);
    assert_int_equal(calls[1].error->code, ERROR_UNAVAILABLE);
    assert_non_null(strstr(calls[1].error->text, "call again"));
    error_free(calls[1].error);
    wait_note(bench, "finished", 2);
    assert_int_equal(notes_count(bench, "cancelled"), 0);
}

static void the_heartbeat_is_told_once_ready(void **state)
{
    struct bench *bench = *state;
    autofree char *path = xasprintf("%s/notify", bench->directory);
    struct sockaddr_un address = address_of(path);
    autoclose int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool is_ready = false, is_alive = false;
    char text[256];

    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(chmod(path, 0666), 0);
    end(&bench->criapi, SIGKILL);
    start_criapi(bench);
    while (!is_ready || !is_alive) {
        assert_int_equal(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, PATIENCE_MS), 1);
        ssize_t size = recv(fd, text, sizeof(text) - 1, 0);
        assert_true(size >= 0);
        text[size] = '\0';
        is_ready = is_ready || strstr(text, "READY=1");
        is_alive = is_alive || strstr(text, "WATCHDOG=1");
    }
}

#define BENCH_TEST(name) cmocka_unit_test_setup_teardown(name, bench_open, bench_close)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(the_end_of_the_clients_connection_is_a_cancel),
        BENCH_TEST(version_is_answered_while_no_daemon_lives),
        BENCH_TEST(calls_reach_the_daemon_of_their_service_with_every_byte),
        BENCH_TEST(a_daemons_error_arrives_with_its_code_and_text),
        BENCH_TEST(what_nobody_answers_is_unimplemented_by_name),
        BENCH_TEST(malformed_and_oversized_messages_are_refused_and_the_next_call_works),
        BENCH_TEST(a_connection_that_speaks_no_http2_is_closed),
        BENCH_TEST(the_daemon_sees_the_clients_deadline),
        BENCH_TEST(a_deadline_ends_the_call_and_the_work),
        BENCH_TEST(a_cancel_reaches_the_daemon),
        BENCH_TEST(a_call_waits_for_a_daemon_that_is_away),
        BENCH_TEST(a_streamed_list_has_every_item_once_in_messages_of_at_most_a_megabyte),
        BENCH_TEST(a_streamed_list_may_be_larger_than_any_message),
        BENCH_TEST(a_streamed_list_ends_as_its_unary_one_does),
        BENCH_TEST(clients_that_do_not_read_hold_up_nobody_and_only_so_much_waits_for_them),
        BENCH_TEST(lists_and_clients_of_events_that_are_cut_off_leave_no_memory_behind),
        BENCH_TEST(a_list_under_way_is_cut_off_by_the_end_of_criapi),
        BENCH_TEST(a_client_of_events_that_waits_for_sandboxd_is_let_go_at_the_end),
        BENCH_TEST(two_hundred_calls_at_a_time_are_all_answered),
        BENCH_TEST(no_call_fails_when_the_daemon_is_killed_in_its_middle),
        BENCH_TEST(fifty_kills_refuse_no_connection_and_cost_one_call_each),
        BENCH_TEST(sigterm_lets_short_calls_end_and_cancels_nothing),
        BENCH_TEST(the_heartbeat_is_told_once_ready),
    };

    if (argc == 5 && strcmp(argv[1], "--stand-in") == 0)
        return stand_in_main(argv + 2);
    cmocka_set_test_filter(getenv("BULKHEAD_TEST_FILTER"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
