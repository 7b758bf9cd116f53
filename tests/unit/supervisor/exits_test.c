/* An end is on disk before the zombie is given up, and stays until somebody drops it or a minute has passed. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/log.h"
#include "services/supervisor/keeper/exits.h"
#include "services/supervisor/keeper/identity.h"

struct place {
    char path[64];
    int fd;
};

static int setup(void **state)
{
    struct place *place = calloc(1, sizeof(*place));

    strcpy(place->path, "/tmp/bulkhead-exits-XXXXXX");
    assert_non_null(mkdtemp(place->path));
    place->fd = open(place->path, O_RDONLY | O_DIRECTORY);
    log_open("test", LOG_LEVEL_ERROR);
    *state = place;
    return 0;
}

static int teardown(void **state)
{
    struct place *place = *state;

    unlinkat(place->fd, "self", 0);
    close(place->fd);
    assert_int_equal(rmdir(place->path), 0); /* each test has dropped its records */
    free(place);
    return 0;
}

static pid_t child_start(int status, int signal)
{
    pid_t child = fork();

    if (child == 0) {
        if (signal)
            raise(signal);
        _exit(status);
    }
    return child;
}

static void end_wait(int fd, struct ended_process *ret)
{
    while (!exit_next(fd, ret))
        usleep(1000);
}

static void an_end_is_recorded_with_its_status_while_it_is_still_a_zombie(void **state)
{
    static const struct {
        int status, signal, wait_status;
    } ends[] = {{0, 0, 0}, {3, 0, 3 << 8}, {255, 0, 255 << 8}, {0, SIGKILL, SIGKILL}, {0, SIGTERM, SIGTERM}};
    const struct place *place = *state;

    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        struct ended_process ended;
        struct keeper_exit_record record;
        siginfo_t zombie = {0};
        int64_t before_ns = clock_realtime_ns();
        pid_t child = child_start(ends[i].status, ends[i].signal);
        end_wait(place->fd, &ended);
        assert_int_equal(ended.process.pid, child);
        assert_null(exit_load(place->fd, &ended.process, &record));
        assert_int_equal(record.wait_status, ends[i].wait_status);
        assert_int_equal(record.process.pid, child);
        assert_true(record.time_ns >= before_ns && record.time_ns <= clock_realtime_ns());
        assert_int_equal(waitid(P_PID, (id_t)child, &zombie, WEXITED | WNOHANG | WNOWAIT), 0);
        assert_int_equal(zombie.si_pid, child); /* recorded, not yet reaped */
        exit_reap(&ended);
        assert_int_equal(waitid(P_PID, (id_t)child, &zombie, WEXITED | WNOHANG), -1);
        assert_false(exit_next(place->fd, &ended));
        exit_drop(place->fd, &record.process);
    }
}

static void a_record_is_of_one_process_and_gone_once_dropped(void **state)
{
    const struct place *place = *state;
    struct keeper_exit_record record;
    struct ended_process ended;

    child_start(1, 0);
    end_wait(place->fd, &ended);
    exit_reap(&ended);
    struct process_id other = ended.process;
    other.start_ticks++;
    autoptr(error) not_its = exit_load(place->fd, &other, &record);
    assert_int_equal(not_its->code, ERROR_NOT_FOUND);
    struct process_id after_a_boot = ended.process; /* numbers can come again, where the state directory stayed */
    after_a_boot.boot_id[0] = after_a_boot.boot_id[0] == 'a' ? 'b' : 'a';
    autoptr(error) of_another_boot = exit_load(place->fd, &after_a_boot, &record);
    assert_non_null(of_another_boot);
    assert_int_equal(of_another_boot->code, ERROR_NOT_FOUND);
    exit_drop(place->fd, &other);
    assert_null(exit_load(place->fd, &ended.process, &record));
    exit_drop(place->fd, &ended.process);
    autoptr(error) dropped = exit_load(place->fd, &ended.process, &record);
    assert_int_equal(dropped->code, ERROR_NOT_FOUND);
    exit_drop(place->fd, &ended.process); /* twice is fine */
}

/* The age begins with the first sweep that sees it, in BOOTTIME: a wall clock that jumps drops nothing. */
static void the_sweep_counts_from_when_it_first_saw_a_record(void **state)
{
    const struct place *place = *state;
    struct keeper_exit_record record;
    struct ended_process ended;

    child_start(0, 0);
    end_wait(place->fd, &ended);
    exit_reap(&ended);
    for (int turn = 0; turn < 3; turn++) {
        exits_sweep(place->fd, 60 * INT64_C(1000000000));
        assert_null(exit_load(place->fd, &ended.process, &record));
    }
    exits_sweep(place->fd, -INT64_C(2000000000)); /* as if it had been seen long ago */
    autoptr(error) swept = exit_load(place->fd, &ended.process, &record);
    assert_non_null(swept);
}

static void restarts_are_counted_since_the_last_ordered_end(void **state)
{
    const struct place *place = *state;
    struct identity identity;

    for (uint32_t turn = 0; turn < 3; turn++) {
        assert_null(identity_save(place->fd, "self", DEATH_KILLED));
        assert_null(identity_load(place->fd, "self", &identity));
        assert_int_equal(identity.restarts, turn);
        assert_int_equal(identity.generation, turn + 1);
        assert_int_equal(identity.last_death, turn ? DEATH_KILLED : DEATH_NONE);
        assert_int_equal(identity.process.pid, getpid());
        assert_int_equal(identity.is_ended, 0);
    }
    identity_end(place->fd, "self");
    assert_null(identity_load(place->fd, "self", &identity));
    assert_int_equal(identity.is_ended, 1);
    assert_null(identity_save(place->fd, "self", DEATH_UNKNOWN));
    assert_null(identity_load(place->fd, "self", &identity));
    assert_int_equal(identity.restarts, 0);
    assert_int_equal(identity.generation, 4); /* goes on */
    assert_int_equal(identity.last_death, DEATH_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(an_end_is_recorded_with_its_status_while_it_is_still_a_zombie),
        TEST(a_record_is_of_one_process_and_gone_once_dropped),
        TEST(the_sweep_counts_from_when_it_first_saw_a_record),
        TEST(restarts_are_counted_since_the_last_ordered_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
