/* The skeleton: what a daemon is and is not after service_main(). The daemon is this program, run again. */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/memory.h"
#include "common/process_id.h"
#include "common/service.h"
#include "proto/bulkhead.pb-c.h"

enum { SECOND_NS = 1000000000 };

/* ---- the daemon ---- */

static struct error *handle_facts(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    (void)call;
    reply->data = (uint8_t *)xstrdup(state);
    reply->size = strlen(state);
    return NULL;
}

static struct error *daemon_open(void *state, const struct service_context *context)
{
    char *facts = state;

    snprintf(facts, 200, "uid=%u gen=%ju last=%s extra=%d none=%d", (unsigned)geteuid(),
             (uintmax_t)context->generation, death_reason_name(context->last_death), service_fd(context, "extra"),
             service_fd(context, "none"));
    return NULL;
}

static struct error *daemon_recover(void *state, const struct service_context *context)
{
    char *facts = state;

    autoclose int fd = openat(context->root_fd, "mine", O_CREAT | O_WRONLY, 0600);
    snprintf(facts + strlen(facts), 100, " then=%u file=%s", (unsigned)geteuid(), fd >= 0 ? "yes" : "no");
    return getenv("TEST_FAIL") ? error_new(ERROR_DATA_LOSS, "nothing is right") : NULL;
}

static struct error *daemon_ping(void *state)
{
    (void)state;
    if (access("/tmp/bulkhead-test-hang", F_OK) == 0)
        pause();
    return NULL;
}

static int daemon_main(int argc, char **argv)
{
    static char facts[400];
    static const struct ipc_method methods[] = {{"Facts", handle_facts}, {0}};
    static const char *const everywhere[] = {"/", NULL};
    static const struct service_privileges privileges = {.user = CONFIG_USER_IMAGED,
                                                         .nofile = 700,
                                                         .syscalls = SYSCALLS_THREADS | SYSCALLS_READ | SYSCALLS_WRITE | SYSCALLS_UNIX,
                                                         .writes = everywhere};

    prctl(PR_SET_PDEATHSIG, SIGKILL); /* the change of user clears it; the tests end what they start */
    return service_main(argc, argv, &(struct service){
        .name = "tested",
        .methods = methods,
        .privileges = &privileges,
        .state = facts,
        .open = daemon_open,
        .recover = daemon_recover,
        .ping = daemon_ping,
    });
}

/* ---- the tests ---- */

struct fixture {
    char base[64];
    int notify;
    pid_t pid;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    strcpy(fixture->base, "/tmp/bulkhead-svc-XXXXXX");
    assert_non_null(mkdtemp(fixture->base));
    chmod(fixture->base, 0711);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", fixture->base);
    fixture->notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fixture->notify, (struct sockaddr *)&address, sizeof(address)), 0);
    chmod(address.sun_path, 0666);
    *state = fixture;
    return 0;
}

static void daemon_start(struct fixture *fixture, const char *extra_argument)
{
    fixture->pid = fork();
    if (fixture->pid != 0)
        return;
    autofree char *state = xasprintf("--state=%s/s", fixture->base);
    autofree char *root = xasprintf("--root=%s/r", fixture->base);
    autofree char *notify = xasprintf("%s/notify", fixture->base);
    int extra = open("/dev/null", O_RDONLY);
    dup2(extra, 3);
    dup2(extra, 4);
    setenv("LISTEN_FDS", "2", 1);
    setenv("LISTEN_FDNAMES", "other:extra", 1);
    setenv("BULKHEAD_GENERATION", "7", 1);
    setenv("BULKHEAD_LAST_DEATH", "hang", 1);
    setenv("NOTIFY_SOCKET", notify, 1);
    execl("/proc/self/exe", "daemon", state, root, "--config=/dev/stdin", "--log-level=error", extra_argument, NULL);
    _exit(127);
}

static void daemon_end(struct fixture *fixture)
{
    if (fixture->pid > 0) {
        kill(fixture->pid, SIGKILL);
        waitpid(fixture->pid, NULL, 0);
    }
    fixture->pid = 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    autofree char *command = xasprintf("rm -r %s", fixture->base);

    unlink("/tmp/bulkhead-test-hang");
    daemon_end(fixture);
    close(fixture->notify);
    free(fixture);
    return system(command);
}

/* Does this notice come within so many milliseconds? */
static bool notice_comes(struct fixture *fixture, const char *wanted, int limit_ms)
{
    int64_t end = clock_boottime_ns() + limit_ms * INT64_C(1000000);
    char text[256];

    while (clock_boottime_ns() < end) {
        struct pollfd wait = {.fd = fixture->notify, .events = POLLIN};
        if (poll(&wait, 1, 20) != 1)
            continue;
        ssize_t size = recv(fixture->notify, text, sizeof(text) - 1, 0);
        text[size < 0 ? 0 : size] = '\0';
        if (strcmp(text, wanted) == 0)
            return true;
    }
    return false;
}

static void expect_status(pid_t pid, const char *line)
{
    char path[40];
    autofree char *text = NULL;
    size_t size;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    assert_null(file_read_all(path, 1 << 16, &text, &size));
    if (!strstr(text, line))
        fail_msg("/proc/PID/status lacks '%s' in:\n%s", line, text);
}

/* The program reads its configuration from its standard input here, which is empty in a test: an object is needed. */
static void feed_configuration(void)
{
    int pipes[2];

    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(write(pipes[1], "{}", 2), 2);
    close(pipes[1]);
    dup2(pipes[0], STDIN_FILENO);
    close(pipes[0]);
}

static void a_daemon_is_confined_when_it_says_ready(void **state)
{
    struct fixture *fixture = *state;
    char path[100];
    struct stat status;

    feed_configuration();
    daemon_start(fixture, NULL);
    assert_true(notice_comes(fixture, "READY=1", 5000));
    expect_status(fixture->pid, "\nUid:\t61303\t61303\t61303\t61303\n");
    expect_status(fixture->pid, "\nGid:\t61303\t61303\t61303\t61303\n");
    expect_status(fixture->pid, "\nGroups:\t \n");
    expect_status(fixture->pid, "\nCapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"
                                "CapBnd:\t0000000000000000\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\n");
    snprintf(path, sizeof(path), "%s/s/tested", fixture->base);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_uid, 61303);
    assert_int_equal(status.st_mode & 07777, 0711);
}

static void it_opens_as_root_recovers_confined_and_answers(void **state)
{
    struct fixture *fixture = *state;
    struct ipc_client *client;
    uint8_t *reply = NULL;
    size_t size;
    autofree char *directory = xasprintf("%s/s/tested", fixture->base);

    feed_configuration();
    daemon_start(fixture, NULL);
    assert_null(ipc_client_open(directory, &client));
    assert_null(ipc_client_call(client, "Facts", NULL, 0, NULL, 0, &reply, &size));
    autofree char *text = xstrndup((char *)reply, size);
    assert_string_equal(text, "uid=0 gen=7 last=hang extra=4 none=-1 then=61303 file=yes");
    free(reply);
    ipc_client_close(client);
}

static void the_heartbeat_stops_when_the_work_path_hangs(void **state)
{
    struct fixture *fixture = *state;

    feed_configuration();
    daemon_start(fixture, NULL);
    assert_true(notice_comes(fixture, "WATCHDOG=1", 5000));
    assert_true(notice_comes(fixture, "WATCHDOG=1", 2500));
    close(open("/tmp/bulkhead-test-hang", O_CREAT | O_WRONLY, 0644));
    usleep(1200000);
    while (recv(fixture->notify, &(char){0}, 1, MSG_DONTWAIT) > 0)
        ;
    assert_false(notice_comes(fixture, "WATCHDOG=1", 3000));
}

static void a_term_signal_ends_it_well(void **state)
{
    struct fixture *fixture = *state;
    int status;

    feed_configuration();
    daemon_start(fixture, NULL);
    assert_true(notice_comes(fixture, "READY=1", 5000));
    kill(fixture->pid, SIGTERM);
    assert_true(notice_comes(fixture, "STOPPING=1", 5000));
    waitpid(fixture->pid, &status, 0);
    fixture->pid = 0;
    assert_int_equal(status, 0);
}

static void what_it_does_not_understand_or_recover_from_ends_it_with_1(void **state)
{
    struct fixture *fixture = *state;
    int status;

    feed_configuration();
    daemon_start(fixture, "--frobnicate");
    waitpid(fixture->pid, &status, 0);
    assert_int_equal(WEXITSTATUS(status), 1);
    setenv("TEST_FAIL", "1", 1);
    feed_configuration();
    daemon_start(fixture, NULL);
    unsetenv("TEST_FAIL");
    waitpid(fixture->pid, &status, 0);
    fixture->pid = 0;
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_false(notice_comes(fixture, "READY=1", 100));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_daemon_is_confined_when_it_says_ready),
        TEST(it_opens_as_root_recovers_confined_and_answers),
        TEST(the_heartbeat_stops_when_the_work_path_hangs),
        TEST(a_term_signal_ends_it_well),
        TEST(what_it_does_not_understand_or_recover_from_ends_it_with_1),
    };

    if (strcmp(argv[0], "daemon") == 0)
        return daemon_main(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
