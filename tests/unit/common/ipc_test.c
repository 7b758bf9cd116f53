/* Calls between processes: over deaths, hangs, deadlines and cancels. The server is this program, run again. */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/ipc.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/request_page.h"

enum { SECOND_NS = 1000000000 };

/* ---- the server's side ---- */

struct server_state {
    uint64_t generation;
};

static void sleep_ms(unsigned ms)
{
    nanosleep(&(struct timespec){ms / 1000, (long)(ms % 1000) * 1000000}, NULL);
}

/* Sleeps as many milliseconds as the payload says, and answers it with the generation behind. */
static struct error *handle_echo(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    struct server_state *server = state;
    autofree char *text = xstrndup((const char *)call->payload, call->payload_size);

    sleep_ms((unsigned)atoi(text));
    reply->data = (uint8_t *)xasprintf("%s %ju", text, (uintmax_t)server->generation);
    reply->size = strlen((char *)reply->data);
    return NULL;
}

static struct error *handle_fail(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    (void)state;
    (void)call;
    (void)reply;
    return error_new(ERROR_FAILED_PRECONDITION, "step seven: no");
}

/* Waits until its client is gone or its deadline has passed, and writes which to the file named by the payload. */
static struct error *handle_wait(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    autofree char *path = xstrndup((const char *)call->payload, call->payload_size);

    (void)state;
    (void)reply;
    while (!ipc_call_is_over(call))
        sleep_ms(1);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    dprintf(fd, "%s", *call->cancelled ? "cancelled" : "deadline");
    close(fd);
    return error_new(*call->cancelled ? ERROR_CANCELLED : ERROR_DEADLINE_EXCEEDED, "Wait: over");
}

static struct error *handle_crash(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    (void)state;
    (void)call;
    (void)reply;
    _exit(3);
}

static struct error *handle_big(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    (void)state;
    reply->size = strtoul((const char *)call->payload, NULL, 10);
    reply->data = xcalloc(1, reply->size);
    return NULL;
}

/* What a bad request does to the others: it holds what they need, for ever. Both leave a file that says that they are there. */
static pthread_mutex_t table = PTHREAD_MUTEX_INITIALIZER;

static void mark(const struct ipc_call *call)
{
    autofree char *path = xasprintf("%.*s/%s", (int)call->payload_size, (const char *)call->payload, call->method);

    close(open(path, O_CREAT | O_WRONLY, 0600));
}

static struct error *handle_hang(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    (void)state;
    (void)reply;
    pthread_mutex_lock(&table);
    mark(call);
    pthread_mutex_lock(&table); /* its own lock again */
    return NULL;
}

static struct error *handle_list(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    (void)state;
    mark(call);
    pthread_mutex_lock(&table);
    pthread_mutex_unlock(&table);
    reply->data = (uint8_t *)xstrdup("listed");
    reply->size = strlen("listed");
    return NULL;
}

static const struct ipc_method methods[] = {
    {"Echo", handle_echo}, {"Fail", handle_fail}, {"Wait", handle_wait},
    {"Crash", handle_crash}, {"Big", handle_big}, {"Hang", handle_hang}, {"List", handle_list}, {0},
};

static int server_main(char **argv)
{
    struct server_state state = {strtoull(argv[3], NULL, 10)};
    struct request_page *page = NULL;
    struct ipc_server *server;
    uint32_t allowed[] = {(uint32_t)atoi(argv[4]), 0};

    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed assertion leaves none behind */
    log_open("server", LOG_LEVEL_ERROR);
    if (argv[5])
        error_free(request_page_open(atoi(argv[5]), (enum death_reason)atoi(argv[6]), &page));
    struct error *failure = ipc_server_open(
        &(struct ipc_server_options){.directory = argv[2], .service = "test", .generation = state.generation,
                                     .methods = methods, .state = &state, .allowed_uids = allowed, .page = page},
        &server);
    if (failure) {
        fprintf(stderr, "%s\n", failure->text);
        return 1;
    }
    for (;;)
        pause();
}

static pid_t server_start_with(const char *directory, unsigned generation, int page, enum death_reason last)
{
    char number[16], page_text[16], last_text[16];

    snprintf(number, sizeof(number), "%u", generation);
    snprintf(page_text, sizeof(page_text), "%d", page);
    snprintf(last_text, sizeof(last_text), "%d", last);
    pid_t pid = fork();
    if (pid == 0) {
        if (page >= 0)
            fcntl(page, F_SETFD, 0);
        execl("/proc/self/exe", "server", "server", directory, number, "61399", page >= 0 ? page_text : NULL, last_text,
              NULL);
        _exit(127);
    }
    return pid;
}

static pid_t server_start(const char *directory, unsigned generation)
{
    return server_start_with(directory, generation, -1, DEATH_NONE);
}

/* Waits: a kill() returns while the process runs on, until the thread that takes SIGSTOP has been on a CPU. */
static void server_stop(pid_t pid)
{
    kill(pid, SIGSTOP);
    waitpid(pid, NULL, WUNTRACED);
}

static void server_kill(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

/* ---- the client's side ---- */

struct fixture {
    char directory[64];
    struct ipc_client *client;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    strcpy(fixture->directory, "/tmp/bulkhead-ipc-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    chmod(fixture->directory, 0711);
    assert_null(ipc_client_open(fixture->directory, &fixture->client));
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    autofree char *command = xasprintf("rm -r %s", fixture->directory);

    ipc_client_close(fixture->client);
    assert_int_equal(system(command), 0);
    free(fixture);
    return 0;
}

static struct error *call(struct ipc_client *client, const char *method, const char *payload, int64_t limit_ns,
                          char **ret_text)
{
    uint8_t *reply = NULL;
    size_t size = 0;

    struct error *error =
        ipc_client_call(client, method, NULL, clock_boottime_ns() + limit_ns, payload, strlen(payload), &reply, &size);
    if (!error)
        *ret_text = xstrndup((char *)reply, size);
    free(reply);
    return error;
}

static void expect_echo(struct ipc_client *client, const char *payload, const char *answer)
{
    autofree char *text = NULL;

    autoptr(error) error = call(client, "Echo", payload, 20ll * SECOND_NS, &text);
    if (error)
        fail_msg("%s", error->text);
    assert_string_equal(text, answer);
}

static void expect_error(struct ipc_client *client, const char *method, const char *payload, int64_t limit_ns,
                         enum error_code code, const char *part)
{
    autofree char *text = NULL;

    autoptr(error) error = call(client, method, payload, limit_ns, &text);
    assert_non_null(error);
    if (error->code != code || !strstr(error->text, part))
        fail_msg("%s: %s, not %s with '%s'", error_code_name(error->code), error->text, error_code_name(code), part);
}

static void a_call_made_before_the_daemon_starts_is_answered(void **state)
{
    struct fixture *fixture = *state;

    pid_t server = fork();
    if (server == 0) { /* starts late */
        sleep_ms(200);
        execl("/proc/self/exe", "server", "server", fixture->directory, "1", "61399", NULL);
        _exit(127);
    }
    expect_echo(fixture->client, "0", "0 1");
    server_kill(server);
}

static void an_error_of_the_daemon_arrives_as_it_was(void **state)
{
    struct fixture *fixture = *state;
    pid_t server = server_start(fixture->directory, 1);

    expect_error(fixture->client, "Fail", "", SECOND_NS * 10ll, ERROR_FAILED_PRECONDITION, "step seven: no");
    expect_error(fixture->client, "Nonsense", "", SECOND_NS * 10ll, ERROR_UNIMPLEMENTED, "no method Nonsense");
    server_kill(server);
}

static void a_deadline_ends_a_call_at_both_ends(void **state)
{
    struct fixture *fixture = *state;
    autofree char *path = xasprintf("%s/over", fixture->directory);
    pid_t server = server_start(fixture->directory, 1);

    expect_echo(fixture->client, "0", "0 1");
    int64_t start = clock_boottime_ns();
    expect_error(fixture->client, "Wait", path, SECOND_NS / 5, ERROR_DEADLINE_EXCEEDED, "Wait: "); /* whoever is first */
    assert_true(clock_boottime_ns() - start < 2ll * SECOND_NS);
    for (int i = 0; i < 1000 && access(path, F_OK) != 0; i++)
        sleep_ms(1);
    assert_int_equal(access(path, F_OK), 0);
    expect_error(fixture->client, "Echo", "0", -1, ERROR_DEADLINE_EXCEEDED, "has passed");
    server_kill(server);
}

struct pending {
    pthread_mutex_t lock;
    pthread_cond_t done;
    int left, failed;
    char last[64];
};

static void pending_done(void *argument, struct error *error, uint8_t *reply, size_t size)
{
    struct pending *pending = argument;

    pthread_mutex_lock(&pending->lock);
    pending->left--;
    if (error) {
        pending->failed++;
        snprintf(pending->last, sizeof(pending->last), "%s", error->text);
    } else {
        snprintf(pending->last, sizeof(pending->last), "%.*s", (int)size, (char *)reply);
    }
    pthread_cond_signal(&pending->done);
    pthread_mutex_unlock(&pending->lock);
    error_free(error);
    free(reply);
}

static void pending_wait(struct pending *pending)
{
    pthread_mutex_lock(&pending->lock);
    while (pending->left > 0)
        pthread_cond_wait(&pending->done, &pending->lock);
    pthread_mutex_unlock(&pending->lock);
}

#define PENDING(count) {.lock = PTHREAD_MUTEX_INITIALIZER, .done = PTHREAD_COND_INITIALIZER, .left = (count)}

static void start_calls(struct ipc_client *client, struct pending *pending, const char *payload)
{
    for (int i = 0, count = pending->left; i < count; i++)
        ipc_client_call_async(client, "Echo", NULL, clock_boottime_ns() + 20ll * SECOND_NS, payload, strlen(payload),
                              pending_done, pending);
}

static void every_call_in_flight_at_a_kill_is_answered_by_the_next_generation(void **state)
{
    struct fixture *fixture = *state;
    struct pending pending = PENDING(300);
    pid_t server = server_start(fixture->directory, 1);

    expect_echo(fixture->client, "0", "0 1");
    start_calls(fixture->client, &pending, "3000");
    sleep_ms(100);
    server_kill(server);
    assert_int_equal(pending.left, 300);
    server = server_start(fixture->directory, 2);
    pending_wait(&pending);
    if (pending.failed)
        fail_msg("%d: %s", pending.failed, pending.last);
    assert_string_equal(pending.last, "3000 2");
    server_kill(server);
}

struct caller {
    struct ipc_client *client;
    atomic_bool *stop;
    int calls;
    struct error *error;
};

static void *caller_main(void *argument)
{
    struct caller *caller = argument;

    while (!*caller->stop && !caller->error) {
        autofree char *text = NULL;
        caller->error = call(caller->client, "Echo", "1", 20ll * SECOND_NS, &text);
        caller->calls++;
    }
    return NULL;
}

static void no_call_fails_while_the_daemon_is_killed_forty_times(void **state)
{
    struct fixture *fixture = *state;
    struct caller callers[8] = {0};
    pthread_t threads[8];
    atomic_bool stop = false;
    pid_t server = server_start(fixture->directory, 1);

    for (int i = 0; i < 8; i++) {
        callers[i] = (struct caller){.client = fixture->client, .stop = &stop};
        pthread_create(&threads[i], NULL, caller_main, &callers[i]);
    }
    for (unsigned generation = 2; generation < 42; generation++) {
        sleep_ms(20 + generation);
        if (generation % 3 == 0)
            server_stop(server); /* a corpse that keeps its connection until the end of the test */
        pid_t next = server_start(fixture->directory, generation);
        if (generation % 3 == 0)
            sleep_ms(60);
        server_kill(server);
        server = next;
    }
    expect_echo(fixture->client, "0", "0 41");
    stop = true;
    int total = 0;
    for (int i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
        if (callers[i].error)
            fail_msg("%s", callers[i].error->text);
        total += callers[i].calls;
    }
    print_message("%d calls\n", total);
    server_kill(server);
}

static int count_fds(void)
{
    int count = 0;
    DIR *fds = opendir("/proc/self/fd");

    while (readdir(fds))
        count++;
    closedir(fds);
    return count;
}

static void sixty_generations_leave_no_descriptor_behind(void **state)
{
    struct fixture *fixture = *state;
    pid_t server = server_start(fixture->directory, 1);
    char answer[16];

    expect_echo(fixture->client, "0", "0 1");
    sleep_ms(200); /* until the watching thread has looked, too */
    int before = count_fds();
    for (unsigned generation = 2; generation < 62; generation++) {
        if (generation % 2)
            server_stop(server);
        pid_t next = server_start(fixture->directory, generation);
        if (generation % 2)
            sleep_ms(20);
        server_kill(server);
        server = next;
        snprintf(answer, sizeof(answer), "0 %u", generation);
        expect_echo(fixture->client, "0", answer);
    }
    int after = count_fds();
    for (int i = 0; i < 3000 && after > before; i++) {
        sleep_ms(1);
        after = count_fds();
    }
    assert_int_equal(after, before);
    server_kill(server);
}

/* Calls of read() by the thread that follows the daemon's name. */
static unsigned long watcher_reads(void)
{
    DIR *threads = opendir("/proc/self/task");
    unsigned long reads = 0;

    for (const struct dirent *entry; (entry = readdir(threads));) {
        char name[32] = "", path[300], line[64];
        snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
        FILE *file = fopen(path, "r");
        if (file) {
            (void)!fgets(name, sizeof(name), file);
            fclose(file);
        }
        snprintf(path, sizeof(path), "/proc/self/task/%s/io", entry->d_name);
        file = strcmp(name, "ipc-watch\n") == 0 ? fopen(path, "r") : NULL;
        while (file && fgets(line, sizeof(line), file))
            sscanf(line, "syscr: %lu", &reads);
        if (file)
            fclose(file);
    }
    closedir(threads);
    return reads;
}

static void who_follows_a_daemon_sleeps_while_nothing_changes(void **state)
{
    struct fixture *fixture = *state;
    pid_t first = server_start(fixture->directory, 1);

    expect_echo(fixture->client, "0", "0 1");
    server_kill(first);
    pid_t second = server_start(fixture->directory, 2);
    expect_echo(fixture->client, "0", "0 2");
    sleep_ms(200);
    unsigned long before = watcher_reads();
    sleep_ms(300);
    assert_in_range(watcher_reads() - before, 0, 20); /* one look a second; some 10,000 where its own events wake it */
    server_kill(second);
}

static void a_stopped_generation_is_abandoned_when_the_next_takes_the_name(void **state)
{
    struct fixture *fixture = *state;
    struct pending pending = PENDING(20);
    pid_t old = server_start(fixture->directory, 1);

    expect_echo(fixture->client, "0", "0 1");
    server_stop(old);
    start_calls(fixture->client, &pending, "0");
    sleep_ms(50);
    assert_int_equal(pending.left, 20);
    pid_t server = server_start(fixture->directory, 2);
    pending_wait(&pending);
    assert_int_equal(pending.failed, 0); /* all before their deadlines: nothing else ends a call to who is stopped */
    assert_string_equal(pending.last, "0 2");
    server_kill(old);
    server_kill(server);
}

static void a_daemon_stopped_before_it_answered_the_dial_is_abandoned_too(void **state)
{
    struct fixture *fixture = *state;
    pid_t old = server_start(fixture->directory, 1);
    struct ipc_client *late;

    expect_echo(fixture->client, "0", "0 1");
    server_stop(old);
    assert_null(ipc_client_open(fixture->directory, &late));
    sleep_ms(50);
    pid_t server = server_start(fixture->directory, 2);
    expect_echo(late, "0", "0 2");
    ipc_client_close(late);
    server_kill(old);
    server_kill(server);
}

static void a_cancel_reaches_its_call_and_the_next_generation_hears_of_it_too(void **state)
{
    struct fixture *fixture = *state;
    autofree char *path = xasprintf("%s/over", fixture->directory);
    struct pending pending = PENDING(2);
    uint8_t id[IPC_REQUEST_ID_SIZE], other[IPC_REQUEST_ID_SIZE];
    char text[16] = "";
    pid_t server = server_start(fixture->directory, 1);

    ipc_request_id_new(id);
    ipc_request_id_new(other);
    ipc_client_call_async(fixture->client, "Wait", id, 0, path, strlen(path), pending_done, &pending);
    sleep_ms(100);
    ipc_client_cancel(fixture->client, id);
    while (pending.left > 1)
        sleep_ms(1);
    int fd = open(path, O_RDONLY);
    assert_true(read(fd, text, sizeof(text) - 1) > 0);
    close(fd);
    assert_string_equal(text, "cancelled");

    ipc_client_call_async(fixture->client, "Echo", other, 0, "60000", 5, pending_done, &pending);
    sleep_ms(50);
    ipc_client_cancel(fixture->client, other);
    sleep_ms(50);
    server_kill(server);
    server = server_start(fixture->directory, 2); /* gets the call again; Echo ignores the cancel: only its arrival counts */
    sleep_ms(50);
    assert_int_equal(pending.left, 1);
    ipc_client_close(fixture->client);
    assert_int_equal(pending.left, 0);
    assert_int_equal(pending.failed, 2);
    fixture->client = NULL;
    server_kill(server);
}

static void large_requests_and_larger_replies_pass_and_what_is_beyond_is_refused(void **state)
{
    struct fixture *fixture = *state;
    pid_t server = server_start(fixture->directory, 1);
    size_t size = 0;
    uint8_t *reply = NULL;

    assert_null(ipc_client_call(fixture->client, "Big", NULL, 0, "67108864", 9, &reply, &size));
    assert_int_equal(size, IPC_REPLY_MAX);
    free(reply);
    expect_error(fixture->client, "Big", "67108865", SECOND_NS * 20ll, ERROR_RESOURCE_EXHAUSTED, "larger");
    autofree char *big = xcalloc(1, IPC_MESSAGE_MAX + 1);
    autoptr(error) error = ipc_client_call(fixture->client, "Echo", NULL, 0, big, IPC_MESSAGE_MAX + 1, &reply, &size);
    assert_non_null(error);
    assert_int_equal(error->code, ERROR_RESOURCE_EXHAUSTED);
    autoptr(error) fits = ipc_client_call(fixture->client, "Echo", NULL, 0, big, IPC_MESSAGE_MAX, &reply, &size);
    assert_null(fits);
    free(reply);
    server_kill(server);
}

static void a_ping_is_answered_while_every_handler_is_busy(void **state)
{
    struct fixture *fixture = *state;
    struct pending pending = PENDING(1500);
    pid_t server = server_start(fixture->directory, 1);
    autofree char *text = NULL;

    expect_echo(fixture->client, "0", "0 1");
    start_calls(fixture->client, &pending, "6000");
    sleep_ms(1000);
    assert_null(call(fixture->client, "Ping", "", 20ll * SECOND_NS, &text));
    assert_int_equal(pending.left, 1500);
    pending_wait(&pending);
    assert_int_equal(pending.failed, 0);
    server_kill(server);
}

static void touch_socket(const char *directory, const char *bytes, size_t size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s/sock", directory);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(send(fd, bytes, size, MSG_NOSIGNAL), size);
    close(fd);
}

static void peers_that_die_while_they_connect_leave_a_daemon_that_accepts(void **state)
{
    static const char greeting[] = "\0SP\0\0\x30\0\0";
    struct fixture *fixture = *state;
    pid_t server = server_start(fixture->directory, 1);

    expect_echo(fixture->client, "0", "0 1");
    for (int round = 0; round < 40; round++) {
        struct ipc_client *client;
        touch_socket(fixture->directory, greeting, (size_t)round % 9);
        touch_socket(fixture->directory, "nonsense", 8);
        assert_null(ipc_client_open(fixture->directory, &client));
        expect_echo(client, "0", "0 1");
        ipc_client_close(client);
    }
    server_kill(server);
}

static void a_user_that_is_not_allowed_is_refused(void **state)
{
    struct fixture *fixture = *state;
    pid_t server = server_start(fixture->directory, 1);
    int status;

    expect_echo(fixture->client, "0", "0 1");
    pid_t stranger = fork();
    if (stranger == 0) {
        execl("/proc/self/exe", "client", "client", fixture->directory, NULL);
        _exit(127);
    }
    waitpid(stranger, &status, 0);
    assert_int_equal(WEXITSTATUS(status), ERROR_PERMISSION_DENIED);
    server_kill(server);
}

static int stranger_main(char **argv)
{
    struct ipc_client *client;
    autofree char *text = NULL;

    if (setresgid(61398, 61398, 61398) < 0 || setresuid(61398, 61398, 61398) < 0)
        return 100;
    if (ipc_client_open(argv[2], &client))
        return 101;
    autoptr(error) error = call(client, "Echo", "0", 10ll * SECOND_NS, &text);
    ipc_client_close(client);
    return error ? (int)error->code : 0;
}

static void a_request_that_ended_the_daemon_twice_is_not_run_again(void **state)
{
    struct fixture *fixture = *state;
    struct pending pending = PENDING(1);
    int page, status;
    enum death_reason last = DEATH_NONE;

    assert_null(request_page_create(&page));
    ipc_client_call_async(fixture->client, "Crash", NULL, 0, "x", 1, pending_done, &pending);
    for (unsigned generation = 1; generation < 3; generation++) {
        pid_t server = server_start_with(fixture->directory, generation, page, last);
        waitpid(server, &status, 0);
        assert_int_equal(WEXITSTATUS(status), 3);
        last = DEATH_FAULT;
    }
    pid_t server = server_start_with(fixture->directory, 3, page, last);
    pending_wait(&pending);
    assert_int_equal(pending.failed, 1);
    expect_error(fixture->client, "Crash", "x", SECOND_NS * 5ll, ERROR_INTERNAL, "not run again");
    expect_echo(fixture->client, "0", "0 3");
    server_kill(server);
    close(page);
}

/* Waits for the handler's file, and takes it away. */
static void wait_for_mark(const struct fixture *fixture, const char *method)
{
    autofree char *path = xasprintf("%s/%s", fixture->directory, method);

    while (unlink(path) < 0)
        sleep_ms(5);
}

/* Three seconds are longer than any call should have to wait, and shorter than the limit of those that wait for a suspect. */
static void what_only_waited_behind_a_request_that_hangs_is_not_taken_for_it(void **state)
{
    struct fixture *fixture = *state;
    struct pending hang = PENDING(1), list = PENDING(1);
    const char *where = fixture->directory;
    int page;

    assert_null(request_page_create(&page));
    pid_t server = server_start_with(where, 1, page, DEATH_NONE);
    ipc_client_call_async(fixture->client, "Hang", NULL, 0, where, strlen(where), pending_done, &hang);
    wait_for_mark(fixture, "Hang");
    ipc_client_call_async(fixture->client, "List", NULL, 0, where, strlen(where), pending_done, &list);
    wait_for_mark(fixture, "List");
    server_kill(server);
    server = server_start_with(where, 2, page, DEATH_HANG); /* both are suspects, and were sent again */
    wait_for_mark(fixture, "Hang");
    sleep_ms(3000);
    server_kill(server);
    server = server_start_with(where, 3, page, DEATH_HANG);
    pending_wait(&hang);
    pending_wait(&list);
    assert_int_equal(hang.failed, 1);
    assert_int_equal(list.failed, 0);
    expect_error(fixture->client, "Hang", where, SECOND_NS * 5ll, ERROR_INTERNAL, "not run again");
    autofree char *text = NULL;
    assert_null(call(fixture->client, "List", where, SECOND_NS * 20ll, &text));
    assert_string_equal(text, "listed");
    server_kill(server);
    close(page);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_call_made_before_the_daemon_starts_is_answered),
        TEST(an_error_of_the_daemon_arrives_as_it_was),
        TEST(a_deadline_ends_a_call_at_both_ends),
        TEST(every_call_in_flight_at_a_kill_is_answered_by_the_next_generation),
        TEST(no_call_fails_while_the_daemon_is_killed_forty_times),
        TEST(sixty_generations_leave_no_descriptor_behind),
        TEST(who_follows_a_daemon_sleeps_while_nothing_changes),
        TEST(a_stopped_generation_is_abandoned_when_the_next_takes_the_name),
        TEST(a_daemon_stopped_before_it_answered_the_dial_is_abandoned_too),
        TEST(a_cancel_reaches_its_call_and_the_next_generation_hears_of_it_too),
        TEST(large_requests_and_larger_replies_pass_and_what_is_beyond_is_refused),
        TEST(a_ping_is_answered_while_every_handler_is_busy),
        TEST(peers_that_die_while_they_connect_leave_a_daemon_that_accepts),
        TEST(a_user_that_is_not_allowed_is_refused),
        TEST(a_request_that_ended_the_daemon_twice_is_not_run_again),
        TEST(what_only_waited_behind_a_request_that_hangs_is_not_taken_for_it),
    };

    if (argc > 1 && strcmp(argv[1], "server") == 0)
        return server_main(argv);
    if (argc > 1 && strcmp(argv[1], "client") == 0)
        return stranger_main(argv);
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
