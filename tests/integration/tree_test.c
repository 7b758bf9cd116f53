/* The tree of backstop, keeper, supervisor and (stand-in) daemons under kill -9. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/keeper_protocol.h"
#include "common/memory.h"
#include "services/supervisor/keeper/exits.h"
#include "tests/integration/tree.h"

static const int64_t second_ns = 1000000000;
enum { KILLS = 15 };

static void each_runs_as_its_own_user(void **state)
{
    static const struct {
        const char *name;
        int uid;
    } expected[] = {{"backstop", 0},           {"keeper", 0},
                    {"supervisor", UID_FIRST}, {"criapi", UID_FIRST + 1},
                    {"sandboxd", UID_FIRST + 2}, {"imaged", UID_FIRST + 3},
                    {"logd", UID_FIRST + 4}};

    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
        assert_int_equal(number_of(*state, expected[i].name, "uid"), expected[i].uid);
}

static void a_killed_daemon_is_replaced_and_the_socket_never_refuses(void **state)
{
    struct tree *tree = *state;

    client_start(tree);
    for (size_t i = 0; i < 4; i++) {
        long long generation = number_of(tree, tree_daemons[i], "generation");
        long long restarts = number_of(tree, tree_daemons[i], "restarts");
        for (int k = 0; k < KILLS; k++) {
            pid_t pid = pid_of(tree, tree_daemons[i]);
            kill(pid, SIGKILL);
            wait_for_other(tree, tree_daemons[i], pid);
        }
        assert_int_equal(number_of(tree, tree_daemons[i], "generation"), generation + KILLS);
        assert_int_equal(number_of(tree, tree_daemons[i], "restarts"), restarts + KILLS);
        json_t *row = row_of(tree, tree_daemons[i]);
        assert_string_equal(json_string_value(json_object_get(row, "lastReason")), "killed");
        json_decref(row);
    }
    client_end(tree);
}

static void pids_read(const struct tree *tree, pid_t pids[4])
{
    for (size_t i = 0; i < 4; i++)
        pids[i] = wait_for_other(tree, tree_daemons[i], 0);
}

static void assert_same_pids(const struct tree *tree, const pid_t pids[4])
{
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(wait_for_other(tree, tree_daemons[i], 0), pids[i]);
}

static void the_daemons_outlive_supervisor_and_keeper_and_are_adopted(void **state)
{
    static const char *const victims[][2] = {{"supervisor", NULL}, {"keeper", NULL}, {"keeper", "supervisor"}};
    struct tree *tree = *state;
    pid_t before[4];

    client_start(tree);
    pids_read(tree, before);
    for (int k = 0; k < KILLS; k++) {
        pid_t pids[2] = {0};
        for (int i = 0; i < 2 && victims[k % 3][i]; i++)
            pids[i] = pid_of(tree, victims[k % 3][i]);
        for (int i = 0; i < 2 && pids[i]; i++)
            kill(pids[i], SIGKILL);
        for (int i = 0; i < 2 && pids[i]; i++)
            wait_for_other(tree, victims[k % 3][i], pids[i]);
        assert_same_pids(tree, before);
    }
    client_end(tree);
}

static void a_killed_backstop_is_replaced_and_adopts_the_keeper(void **state)
{
    struct tree *tree = *state;
    pid_t before[4];

    client_start(tree);
    pids_read(tree, before);
    for (int k = 0; k < 5; k++) {
        pid_t keeper = pid_of(tree, "keeper"), backstop = tree->backstop;
        backstop_kill(tree);
        backstop_start(tree);
        wait_for_other(tree, "backstop", backstop);
        assert_int_equal(pid_of(tree, "keeper"), keeper);
        assert_same_pids(tree, before);
    }
    client_end(tree);
}

static void with_backstop_and_keeper_dead_criapi_hands_the_socket_back(void **state)
{
    struct tree *tree = *state;
    pid_t before[4];

    client_start(tree);
    pids_read(tree, before);
    for (int k = 0; k < 5; k++) {
        pid_t keeper = pid_of(tree, "keeper"), supervisor = pid_of(tree, "supervisor");
        kill(keeper, SIGKILL);
        backstop_kill(tree);
        if (k % 2)
            kill(supervisor, SIGKILL);
        backstop_start(tree);
        wait_for_other(tree, "keeper", keeper);
        assert_same_pids(tree, before);
        sleep_ms(300); /* criapi's turn */
        pid_t criapi = pid_of(tree, "criapi");
        kill(criapi, SIGKILL);
        before[3] = wait_for_other(tree, "criapi", criapi);
    }
    client_end(tree);
}

static void an_adopted_daemon_that_dies_is_replaced_with_its_true_reason(void **state)
{
    struct tree *tree = *state;
    pid_t keeper = pid_of(tree, "keeper"), imaged = pid_of(tree, "imaged");

    kill(keeper, SIGKILL);
    wait_for_other(tree, "keeper", keeper);
    kill(imaged, SIGABRT);
    wait_for_other(tree, "imaged", imaged);
    json_t *row = row_of(tree, "imaged");
    assert_string_equal(json_string_value(json_object_get(row, "lastReason")), "fault (SIGABRT)");
    json_decref(row);
}

static void mark(const struct tree *tree, const char *daemon, const char *what, bool on)
{
    autofree char *path = xasprintf("%s/%s/%s", tree->state, daemon, what);

    if (on)
        close(open(path, O_CREAT | O_WRONLY, 0644));
    else
        unlink(path);
}

static void a_hanging_daemon_is_killed_and_replaced(void **state)
{
    struct tree *tree = *state;
    pid_t pid = pid_of(tree, "sandboxd");

    kill(pid, SIGSTOP);
    wait_for_other(tree, "sandboxd", pid);
    json_t *row = row_of(tree, "sandboxd");
    assert_string_equal(json_string_value(json_object_get(row, "lastReason")), "hang");
    json_decref(row);
}

/* A new supervisor has never heard it, and knows from the record that it was ready: it has seconds, not a start's half minute. */
static void a_daemon_that_hangs_before_a_new_supervisor_heard_it_is_no_daemon_that_starts(void **state)
{
    struct tree *tree = *state;
    pid_t pid = pid_of(tree, "sandboxd"), supervisor = pid_of(tree, "supervisor");

    kill(pid, SIGSTOP);
    kill(supervisor, SIGKILL);
    wait_for_other(tree, "supervisor", supervisor);
    json_t *row = row_of(tree, "sandboxd");
    assert_int_equal(json_integer_value(json_object_get(row, "pid")), pid);
    assert_true(json_is_true(json_object_get(row, "ready")));
    json_decref(row);
    wait_for_other(tree, "sandboxd", pid);
    row = row_of(tree, "sandboxd");
    assert_string_equal(json_string_value(json_object_get(row, "lastReason")), "hang");
    json_decref(row);
}

static void a_stopped_supervisor_and_a_stopped_keeper_are_replaced(void **state)
{
    struct tree *tree = *state;
    pid_t before[4], supervisor = pid_of(tree, "supervisor"), keeper = pid_of(tree, "keeper");

    pids_read(tree, before);
    kill(supervisor, SIGSTOP);
    wait_for_other(tree, "supervisor", supervisor);
    kill(keeper, SIGSTOP);
    wait_for_other(tree, "keeper", keeper);
    assert_same_pids(tree, before);
}

static void a_daemon_that_aborts_before_it_served_waits_longer_each_time(void **state)
{
    struct tree *tree = *state;
    pid_t pid = pid_of(tree, "logd");
    long long restarts = number_of(tree, "logd", "restarts");

    mark(tree, "logd", "fault", true);
    sleep_ms(4000);
    json_t *status = status_read(tree);
    assert_true(json_is_true(json_object_get(status, "degraded")));
    json_decref(status);
    long long after = number_of(tree, "logd", "restarts");
    mark(tree, "logd", "fault", false);
    print_message("%lld restarts in 4 s\n", after - restarts);
    assert_in_range(after - restarts, 3, 8);
    wait_for_other(tree, "logd", pid);
}

struct exits {
    pthread_mutex_t lock;
    struct keeper_message last;
    int count;
};

static void exit_told(void *argument, const struct keeper_message *exit)
{
    struct exits *exits = argument;

    pthread_mutex_lock(&exits->lock);
    exits->last = *exit;
    exits->count++;
    pthread_mutex_unlock(&exits->lock);
}

static int wait_status_recorded(const struct tree *tree, const struct process_id *process)
{
    autofree char *path = xasprintf("%s/keeper/exits", tree->state);
    autoclose int exits = open(path, O_RDONLY | O_DIRECTORY);
    struct keeper_exit_record record;

    for (int64_t end = clock_boottime_ns() + 10 * second_ns; clock_boottime_ns() < end; sleep_ms(5)) {
        struct error *missing = exit_load(exits, process, &record);
        if (!missing) {
            exit_drop(exits, process);
            return record.wait_status;
        }
        error_free(missing);
    }
    fail_msg("no exit record of %d", process->pid);
    return -1;
}

static int told(struct exits *exits)
{
    pthread_mutex_lock(&exits->lock);
    int count = exits->count;
    pthread_mutex_unlock(&exits->lock);
    return count;
}

static void wait_told(struct exits *exits, int count)
{
    for (int64_t end = clock_boottime_ns() + 10 * second_ns; told(exits) < count; sleep_ms(5))
        if (clock_boottime_ns() > end)
            fail_msg("no EXIT");
}

/* With the keeper that started it alive, killed and replaced, or dead at that instant. */
static void each_end_is_recorded_with_its_true_status(void **state)
{
    static const int signals[] = {SIGUSR1, SIGHUP, SIGINT, SIGALRM, SIGUSR2, SIGTERM, SIGQUIT, SIGPIPE, SIGKILL};
    struct tree *tree = *state;
    struct exits exits = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct keeper_client *client = NULL;
    struct keeper_client_options options = {.state_directory = tree->state,
                                            .on_exit = exit_told,
                                            .subscribe = KEEPER_SHIM,
                                            .argument = &exits};

    assert_null(keeper_client_open(&options, &client));
    for (size_t i = 0; i < 2 * sizeof(signals) / sizeof(signals[0]); i++) {
        struct process_id shim;
        int signal = signals[i / 2];
        shim_spawn(client, "pod1", &shim);
        sleep_ms(20);
        pid_t keeper = pid_of(tree, "keeper");
        if (i % 2)
            kill(keeper, SIGKILL);
        if (i % 4 == 3)
            wait_for_other(tree, "keeper", keeper);
        int before = told(&exits);
        kill(shim.pid, signal);
        assert_int_equal(wait_status_recorded(tree, &shim) & 0x7f, signal);
        if (i % 2 == 0) {
            wait_told(&exits, before + 1);
            assert_int_equal(exits.last.process.pid, shim.pid);
            assert_int_equal(exits.last.wait_status & 0x7f, signal);
            assert_int_equal(exits.last.found, 1);
        } else if (i % 4 == 1) {
            wait_for_other(tree, "keeper", keeper);
        }
    }
    keeper_client_close(client);
}

static struct error *ask(int socket, struct keeper_message *request, struct keeper_message *reply)
{
    int fds[FD_PASS_MAX];
    size_t size = 0, count = 0;

    request->version = KEEPER_VERSION;
    TRY(fd_send(socket, request, sizeof(*request), NULL, 0));
    TRY(fd_receive(socket, reply, sizeof(*reply), &size, fds, &count));
    fds_close(fds, count);
    return size == sizeof(*reply) ? NULL : error_new(ERROR_UNAVAILABLE, "closed");
}

/* As the user of `who`: the reply's code. Runs in a process of its own. */
static int code_for_user(const struct tree *tree, uid_t who, struct keeper_message *request)
{
    autofree char *path = xasprintf("%s/keeper/sock", tree->state);
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        struct keeper_message reply;
        int socket = -1;
        if (setgid(who) < 0 || setuid(who) < 0)
            _exit(100);
        autoptr(error) failure = socket_connect(path, &socket);
        if (!failure)
            failure = ask(socket, request, &reply);
        _exit(failure ? 101 : reply.code);
    }
    waitpid(child, &status, 0);
    return WEXITSTATUS(status);
}

static void the_peers_user_decides_what_it_may_ask(void **state)
{
    struct tree *tree = *state;
    struct keeper_message shim = {.type = KEEPER_SPAWN, .program = KEEPER_SHIM, .name = "pod2"};
    struct keeper_message climbs = {.type = KEEPER_SPAWN, .program = KEEPER_SHIM, .name = "../pod2"};
    struct keeper_message supervisor = {.type = KEEPER_SPAWN, .program = KEEPER_SUPERVISOR};
    struct keeper_message page = {.type = KEEPER_STORE_GET, .name = "page"};
    struct keeper_message file = {.type = KEEPER_OPEN_FILE, .directory = KEEPER_DIRECTORY_CNI, .name = "none"};
    struct keeper_message way_out = {.type = KEEPER_OPEN_FILE, .directory = KEEPER_DIRECTORY_CNI, .name = ".."};

    assert_int_equal(code_for_user(tree, UID_FIRST + 3, &shim), ERROR_PERMISSION_DENIED);
    assert_int_equal(code_for_user(tree, UID_FIRST + 2, &climbs), ERROR_INVALID_ARGUMENT);
    assert_int_equal(code_for_user(tree, 0, &supervisor), ERROR_PERMISSION_DENIED);
    assert_int_equal(code_for_user(tree, UID_FIRST + 1, &page), ERROR_PERMISSION_DENIED);
    assert_int_equal(code_for_user(tree, UID_FIRST, &page), ERROR_OK);
    assert_int_equal(code_for_user(tree, UID_FIRST + 1, &file), ERROR_PERMISSION_DENIED);
    assert_int_equal(code_for_user(tree, UID_FIRST + 2, &file), ERROR_NOT_FOUND);
    assert_int_equal(code_for_user(tree, UID_FIRST + 2, &way_out), ERROR_INVALID_ARGUMENT);
    assert_int_equal(code_for_user(tree, 12345, &page), 101); /* a stranger is not even heard */
}

/* As that user: how many descriptors the store takes of it, 250 at most. */
static int puts_taken(const struct tree *tree, uid_t who, const char *owner)
{
    autofree char *path = xasprintf("%s/keeper/sock", tree->state);
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        struct keeper_message reply, put = {.type = KEEPER_STORE_PUT, .version = KEEPER_VERSION, .fd_count = 1};
        int socket = -1, taken = 0, fds[FD_PASS_MAX];
        size_t size, count;
        if (setgid(who) < 0 || setuid(who) < 0 || socket_connect(path, &socket))
            _exit(255);
        snprintf(put.name, sizeof(put.name), "%s", owner);
        for (reply.code = 0; taken < 250 && reply.code == 0; taken += reply.code == 0) {
            snprintf(put.fd_names[0], KEEPER_NAME_SIZE, "fd%d", taken);
            if (fd_send(socket, &put, sizeof(put), &socket, 1) ||
                fd_receive(socket, &reply, sizeof(reply), &size, fds, &count))
                _exit(254);
        }
        _exit(taken);
    }
    waitpid(child, &status, 0);
    return WEXITSTATUS(status);
}

static void a_daemon_cannot_fill_the_store_that_the_shims_need(void **state)
{
    struct tree *tree = *state;
    struct keeper_message drop = {.type = KEEPER_STORE_DROP, .name = "criapi"};
    struct keeper_message drop_pod = {.type = KEEPER_STORE_DROP, .name = "pod9"};

    assert_int_equal(puts_taken(tree, UID_FIRST + 1, "criapi"), 64);
    assert_int_equal(puts_taken(tree, UID_FIRST + 1, "pod9"), 0);
    assert_int_equal(puts_taken(tree, 0, "pod9"), 250);
    assert_int_equal(code_for_user(tree, UID_FIRST + 1, &drop), ERROR_OK);
    assert_int_equal(code_for_user(tree, 0, &drop_pod), ERROR_OK);
}

static void malformed_messages_are_dropped_and_harm_nobody(void **state)
{
    struct tree *tree = *state;
    autofree char *path = xasprintf("%s/keeper/sock", tree->state);
    struct keeper_message reply, hello = {.type = KEEPER_HELLO}, unterminated = {.version = 1, .type = KEEPER_LIST};
    pid_t keeper = pid_of(tree, "keeper");
    autoclose int socket = -1;
    char noise[5000];

    memset(noise, 0xa5, sizeof(noise));
    memset(unterminated.name, 'x', sizeof(unterminated.name));
    assert_null(socket_connect(path, &socket));
    for (size_t size = 1; size < sizeof(noise); size += 97)
        assert_null(fd_send(socket, noise, size, &socket, 1));
    assert_null(fd_send(socket, &unterminated, sizeof(unterminated), &socket, 1));
    assert_null(ask(socket, &hello, &reply));
    assert_int_equal(reply.process.pid, keeper);
}

static size_t fds_of(pid_t pid)
{
    autofree char *path = xasprintf("/proc/%d/fd", pid);
    DIR *directory = opendir(path);
    size_t count = 0;

    assert_non_null(directory);
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

static void kill_a_dozen(const struct tree *tree)
{
    for (int k = 0; k < 12; k++) {
        const char *name = k % 3 ? tree_daemons[k % 4] : "supervisor";
        pid_t pid = pid_of(tree, name);
        kill(pid, SIGKILL);
        wait_for_other(tree, name, pid);
    }
    sleep_ms(1000); /* connections come and go */
}

/* The first dozen makes every process a child of this keeper, and every connection a settled one. */
static void kills_leave_no_descriptor_in_the_keeper(void **state)
{
    struct tree *tree = *state;
    pid_t keeper = pid_of(tree, "keeper");

    kill_a_dozen(tree);
    size_t before = fds_of(keeper);
    kill_a_dozen(tree);
    kill_a_dozen(tree);
    assert_int_equal(pid_of(tree, "keeper"), keeper);
    assert_int_equal(fds_of(keeper), before);
}

static void shims_outlive_an_ordered_end_and_are_adopted_at_the_next_start(void **state)
{
    struct tree *tree = *state;
    struct process_id shim;
    struct keeper_client *client = NULL;
    struct keeper_client_options options = {.state_directory = tree->state, .subscribe = -2};

    assert_null(keeper_client_open(&options, &client));
    shim_spawn(client, "pod3", &shim);
    keeper_client_close(client);
    backstop_stop(tree);
    assert_processes_left(tree, 1);
    assert_true(process_id_is_alive(&shim));
    backstop_start(tree);
    wait_for_other(tree, "shim pod3", 0);
    assert_int_equal(pid_of(tree, "shim pod3"), shim.pid);
    for (size_t i = 0; i < 4; i++)
        wait_for_other(tree, tree_daemons[i], 0);
    kill(shim.pid, SIGKILL);
    waitpid(shim.pid, NULL, 0); /* ours since its keeper and backstop ended */
}

static void an_end_in_the_middle_of_a_keepers_death_is_complete(void **state)
{
    struct tree *tree = *state;

    kill(pid_of(tree, "keeper"), SIGKILL);
    backstop_stop(tree);
    assert_processes_left(tree, 0);
    assert_int_equal(cgroups_left(tree), 0);
    backstop_start(tree);
    for (size_t i = 0; i < 4; i++)
        wait_for_other(tree, tree_daemons[i], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_runs_as_its_own_user),
        cmocka_unit_test(a_killed_daemon_is_replaced_and_the_socket_never_refuses),
        cmocka_unit_test(the_daemons_outlive_supervisor_and_keeper_and_are_adopted),
        cmocka_unit_test(a_killed_backstop_is_replaced_and_adopts_the_keeper),
        cmocka_unit_test(with_backstop_and_keeper_dead_criapi_hands_the_socket_back),
        cmocka_unit_test(an_adopted_daemon_that_dies_is_replaced_with_its_true_reason),
        cmocka_unit_test(a_hanging_daemon_is_killed_and_replaced),
        cmocka_unit_test(a_daemon_that_hangs_before_a_new_supervisor_heard_it_is_no_daemon_that_starts),
        cmocka_unit_test(a_stopped_supervisor_and_a_stopped_keeper_are_replaced),
        cmocka_unit_test(a_daemon_that_aborts_before_it_served_waits_longer_each_time),
        cmocka_unit_test(each_end_is_recorded_with_its_true_status),
        cmocka_unit_test(the_peers_user_decides_what_it_may_ask),
        cmocka_unit_test(a_daemon_cannot_fill_the_store_that_the_shims_need),
        cmocka_unit_test(malformed_messages_are_dropped_and_harm_nobody),
        cmocka_unit_test(kills_leave_no_descriptor_in_the_keeper),
        cmocka_unit_test(shims_outlive_an_ordered_end_and_are_adopted_at_the_next_start),
        cmocka_unit_test(an_end_in_the_middle_of_a_keepers_death_is_complete),
    };

    cmocka_set_test_filter(getenv("BULKHEAD_TEST_FILTER"));
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* stands in for an init that is slow to reap: it never does */
    return cmocka_run_group_tests(tests, tree_setup, tree_teardown);
}
