/* What a failpoint does when it is asked for, once, and that it does nothing else. Each is reached in a process of its
 * own. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/cleanup.h"
#include "common/failpoint.h"
#include "common/memory.h"

enum { REACHED = 7 };

static char directory[] = "/tmp/bulkhead-failpoint-XXXXXX";

static char *file_of(const char *name)
{
    return xasprintf("%s/%s", directory, name);
}

static int setup(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(directory));
    return setenv("BULKHEAD_FAILPOINT_DIR", directory, 1);
}

static int teardown(void **state)
{
    autofree char *hit = file_of("part.step.hit");
    autofree char *other = file_of("part.other");

    (void)state;
    unlink(hit);
    unlink(other);
    return rmdir(directory);
}

static void order(const char *name, const char *text)
{
    autofree char *path = file_of(name);
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* The wait status of a process that comes by the failpoint and ends with REACHED; with WUNTRACED it may be a stop. */
static int status_of_reaching(void)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        failpoint_reach("part.step");
        _exit(REACHED);
    }
    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
    if (!WIFSTOPPED(status))
        return status;
    kill(child, SIGCONT);
    int end = 0;
    assert_int_equal(waitpid(child, &end, 0), child);
    assert_int_equal(end, REACHED << 8);
    return status;
}

static void nothing_happens_where_nothing_is_asked_for(void **state)
{
    (void)state;
    order("part.other", "kill");
    assert_int_equal(status_of_reaching(), REACHED << 8);
    unsetenv("BULKHEAD_FAILPOINT_DIR");
    order("part.step", "kill");
    assert_int_equal(status_of_reaching(), REACHED << 8);
    setenv("BULKHEAD_FAILPOINT_DIR", directory, 1);
    assert_int_equal(status_of_reaching(), SIGKILL);
}

static void a_kill_an_abort_and_a_stop_are_obeyed_once(void **state)
{
    static const struct {
        const char *text;
        int status;
    } orders[] = {{"kill", SIGKILL}, {"kill\n", SIGKILL}, {"stop", SIGSTOP << 8 | 0x7f}};

    (void)state;
    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        order("part.step", orders[i].text);
        assert_int_equal(status_of_reaching(), orders[i].status);
        assert_int_equal(status_of_reaching(), REACHED << 8); /* it is a .hit now */
    }
    order("part.step", "abort");
    assert_int_equal(WTERMSIG(status_of_reaching()), SIGABRT);
    assert_int_equal(status_of_reaching(), REACHED << 8);
}

static void a_sleep_takes_its_time_and_goes_on(void **state)
{
    (void)state;
    order("part.step", "sleep 60");
    int64_t begin = clock_boottime_ns();
    assert_int_equal(status_of_reaching(), REACHED << 8);
    assert_true(clock_boottime_ns() - begin >= 60 * INT64_C(1000000));
}

static void what_is_no_order_is_passed_by(void **state)
{
    static const char *const texts[] = {"", "sleep", "sleep x", "Kill", "restart"};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        order("part.step", texts[i]);
        assert_int_equal(status_of_reaching(), REACHED << 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_happens_where_nothing_is_asked_for),
        cmocka_unit_test(a_kill_an_abort_and_a_stop_are_obeyed_once),
        cmocka_unit_test(a_sleep_takes_its_time_and_goes_on),
        cmocka_unit_test(what_is_no_order_is_passed_by),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
