/* What a daemon takes from its environment, and does not leave there for others. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/service_environment.h"

static void give(const char *fds, const char *names, const char *generation, const char *death)
{
    setenv("LISTEN_FDS", fds, 1);
    setenv("LISTEN_FDNAMES", names, 1);
    setenv("LISTEN_PID", "1", 1);
    setenv("BULKHEAD_GENERATION", generation, 1);
    setenv("BULKHEAD_LAST_DEATH", death, 1);
}

static void check(bool is_right)
{
    if (!is_right)
        _exit(1);
}

static bool is_cloexec(int fd)
{
    return fcntl(fd, F_GETFD) == FD_CLOEXEC;
}

/* The descriptors 3 to 5 are given in a child, since they may be the test's own. */
static void take_in_child(void)
{
    struct service_environment environment = {0};

    for (int fd = 3; fd < 6; fd++)
        dup2(STDERR_FILENO, fd);
    give("3", "page::cri", "18446744073709551615", "4");
    service_environment_init(&environment);
    check(environment.generation == UINT64_MAX && environment.last_death == DEATH_EXIT && environment.count == 3);
    check(service_environment_fd(&environment, "page") == 3 && service_environment_fd(&environment, "") == 4);
    check(service_environment_fd(&environment, "cri") == 5 && service_environment_fd(&environment, "none") == -1);
    check(is_cloexec(3) && is_cloexec(4) && is_cloexec(5));
    static const char *const names[] = {"LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID", "BULKHEAD_GENERATION",
                                        "BULKHEAD_LAST_DEATH"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        check(!getenv(names[i]));
    _exit(0);
}

static void everything_is_taken_and_nothing_is_left(void **state)
{
    int status = -1;

    (void)state;
    pid_t child = fork();
    if (child == 0)
        take_in_child();
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void a_daemon_alone_has_generation_0_and_no_descriptor(void **state)
{
    struct service_environment environment = {.generation = 9};

    (void)state;
    service_environment_init(&environment);
    assert_int_equal(environment.generation, 0);
    assert_int_equal(environment.last_death, DEATH_NONE);
    assert_int_equal(environment.count, 0);
    assert_int_equal(service_environment_fd(&environment, "page"), -1);
    free(environment.fds);
    free(environment.names);
}

static void fewer_names_than_descriptors_leave_the_rest_nameless(void **state)
{
    struct service_environment environment = {0};

    (void)state;
    give("2", "only", "x", "fault");
    service_environment_init(&environment);
    assert_int_equal(environment.generation, 0);
    assert_int_equal(environment.last_death, DEATH_FAULT); /* by its name, as a person would set it */
    assert_string_equal(environment.names[0], "only");
    assert_string_equal(environment.names[1], "");
    for (size_t i = 0; i < environment.count; i++)
        free(environment.names[i]);
    free(environment.fds);
    free(environment.names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_taken_and_nothing_is_left),
        cmocka_unit_test(a_daemon_alone_has_generation_0_and_no_descriptor),
        cmocka_unit_test(fewer_names_than_descriptors_leave_the_rest_nameless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
