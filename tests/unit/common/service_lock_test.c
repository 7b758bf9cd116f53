/* Generations of one daemon that run at once: each is a process of its own here, which takes the lock and waits. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/log.h"
#include "common/memory.h"
#include "common/service_lock.h"

enum { AT_ONCE = 8, ROUNDS = 30 };

struct fixture {
    char directory[64];
    pid_t pids[AT_ONCE + 1]; /* by generation; 0: none */
};

static int setup(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));

    strcpy(fixture->directory, "/tmp/bulkhead-lock-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    log_open("test", LOG_LEVEL_ERROR);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    autofree char *path = xasprintf("%s/tested.lock", fixture->directory);

    for (int i = 0; i <= AT_ONCE; i++) {
        if (fixture->pids[i] > 0 && kill(fixture->pids[i], SIGKILL) == 0)
            waitpid(fixture->pids[i], NULL, 0);
    }
    unlink(path);
    assert_int_equal(rmdir(fixture->directory), 0);
    free(fixture);
    return 0;
}

/* The child's life: it ends with the error's code, or waits for its end with the lock. */
static void generation_main(const struct fixture *fixture, uint64_t generation, int start, int told, bool is_traced)
{
    int fd = -1;
    char byte;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (is_traced)
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    if (start >= 0 && read(start, &byte, 1) != 0) /* ends when all are to start */
        _exit(100);
    struct error *failure = service_lock(fixture->directory, "tested", generation, &fd);
    byte = (char)(failure ? failure->code : ERROR_OK);
    if (write(told, &byte, 1) != 1 || failure)
        _exit(byte);
    if (is_traced)
        raise(SIGSTOP);
    for (;;)
        pause();
}

static void generation_fork(struct fixture *fixture, int generation, const int start[2], int told, bool is_traced)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        if (start)
            close(start[1]);
        generation_main(fixture, (uint64_t)generation, start ? start[0] : -1, told, is_traced);
    }
    fixture->pids[generation] = pid;
}

/* Starts one and waits for what service_lock said to it. */
static enum error_code generation_start(struct fixture *fixture, int generation, bool is_traced)
{
    char code = -1;
    int told[2];

    assert_int_equal(pipe(told), 0);
    generation_fork(fixture, generation, NULL, told[1], is_traced);
    close(told[1]);
    assert_int_equal(read(told[0], &code, 1), 1);
    close(told[0]);
    if (code != ERROR_OK) {
        waitpid(fixture->pids[generation], NULL, 0);
        fixture->pids[generation] = 0;
    }
    return (enum error_code)code;
}

static void assert_runs(const struct fixture *fixture, int generation)
{
    assert_int_equal(waitpid(fixture->pids[generation], NULL, WNOHANG), 0);
}

static void the_same_generation_a_second_time_is_refused_and_told_the_pid(void **state)
{
    struct fixture *fixture = *state;
    int fd = -1;

    assert_int_equal(generation_start(fixture, 3, false), ERROR_OK);
    autoptr(error) failure = service_lock(fixture->directory, "tested", 3, &fd);
    autofree char *expected = xasprintf("tested: generation 3 runs already, pid %d", fixture->pids[3]);
    assert_non_null(failure);
    assert_int_equal(failure->code, ERROR_ALREADY_EXISTS);
    assert_string_equal(failure->text, expected);
    assert_runs(fixture, 3);
}

static void an_older_generation_is_refused_by_a_newer_one_that_runs(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(generation_start(fixture, 4, false), ERROR_OK);
    assert_int_equal(generation_start(fixture, 3, false), ERROR_ALREADY_EXISTS);
    assert_int_equal(generation_start(fixture, 0, false), ERROR_ALREADY_EXISTS);
    assert_runs(fixture, 4);
}

static void a_newer_generation_kills_each_older_one_that_runs(void **state)
{
    struct fixture *fixture = *state;
    int status = 0;

    for (int generation = 0; generation < 4; generation++) {
        assert_int_equal(generation_start(fixture, generation + 1, false), ERROR_OK);
        if (generation == 0)
            continue;
        assert_int_equal(waitpid(fixture->pids[generation], &status, 0), fixture->pids[generation]);
        assert_int_equal(WTERMSIG(status), SIGKILL);
        fixture->pids[generation] = 0;
    }
    assert_runs(fixture, 4);
}

static void the_next_generation_takes_over_from_a_dead_one(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(generation_start(fixture, 1, false), ERROR_OK);
    kill(fixture->pids[1], SIGKILL);
    waitpid(fixture->pids[1], NULL, 0);
    fixture->pids[1] = 0;
    assert_int_equal(generation_start(fixture, 1, false), ERROR_OK); /* even of the same number */
    assert_int_equal(generation_start(fixture, 2, false), ERROR_OK);
}

/* The tracer holds it at the end of its life, killed and with its descriptors still open, as a hanging file system
 * would. */
static void what_is_killed_and_stuck_in_the_kernel_keeps_nobody_out(void **state)
{
    struct fixture *fixture = *state;
    int status = 0;

    assert_int_equal(generation_start(fixture, 1, true), ERROR_OK);
    assert_int_equal(waitpid(fixture->pids[1], &status, 0), fixture->pids[1]);
    assert_true(WIFSTOPPED(status));
    assert_int_equal(ptrace(PTRACE_SETOPTIONS, fixture->pids[1], NULL, (void *)PTRACE_O_TRACEEXIT), 0);
    assert_int_equal(ptrace(PTRACE_CONT, fixture->pids[1], NULL, NULL), 0);
    assert_int_equal(generation_start(fixture, 2, false), ERROR_OK);
    assert_int_equal(waitpid(fixture->pids[1], &status, 0), fixture->pids[1]);
    assert_int_equal(status >> 8, SIGTRAP | PTRACE_EVENT_EXIT << 8); /* it was not dead meanwhile */
    assert_int_equal(ptrace(PTRACE_CONT, fixture->pids[1], NULL, NULL), 0);
    assert_int_equal(waitpid(fixture->pids[1], &status, 0), fixture->pids[1]);
    assert_int_equal(WTERMSIG(status), SIGKILL);
    fixture->pids[1] = 0;
}

/* In the end only the newest runs, whatever the order in which they came. */
static void settle(struct fixture *fixture)
{
    for (int i = 1; i < AT_ONCE; i++) {
        int status = 0;
        assert_int_equal(waitpid(fixture->pids[i], &status, 0), fixture->pids[i]);
        assert_true(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : WEXITSTATUS(status) == ERROR_ALREADY_EXISTS);
        fixture->pids[i] = 0;
    }
    assert_runs(fixture, AT_ONCE);
    int fd = -1;
    autoptr(error) failure = service_lock(fixture->directory, "tested", AT_ONCE, &fd);
    assert_non_null(failure);
    kill(fixture->pids[AT_ONCE], SIGKILL);
    waitpid(fixture->pids[AT_ONCE], NULL, 0);
    fixture->pids[AT_ONCE] = 0;
}

static void of_those_that_start_at_once_the_newest_remains(void **state)
{
    struct fixture *fixture = *state;

    for (int round = 0; round < ROUNDS; round++) {
        int start[2], told[2];
        assert_int_equal(pipe(start), 0);
        assert_int_equal(pipe(told), 0);
        for (int i = 1; i <= AT_ONCE; i++)
            generation_fork(fixture, i, start, told[1], false);
        close(start[0]);
        close(start[1]);
        settle(fixture);
        close(told[0]);
        close(told[1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(the_same_generation_a_second_time_is_refused_and_told_the_pid),
        TEST(an_older_generation_is_refused_by_a_newer_one_that_runs),
        TEST(a_newer_generation_kills_each_older_one_that_runs),
        TEST(the_next_generation_takes_over_from_a_dead_one),
        TEST(what_is_killed_and_stuck_in_the_kernel_keeps_nobody_out),
        TEST(of_those_that_start_at_once_the_newest_remains),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
