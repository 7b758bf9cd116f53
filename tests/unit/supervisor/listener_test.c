/* The gRPC socket is bound where nobody listens, and never taken from a living holder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/memory.h"
#include "services/supervisor/keeper/listener.h"

static char directory[] = "/tmp/bulkhead-listener-XXXXXX";

static int setup(void **state)
{
    strcpy(directory, "/tmp/bulkhead-listener-XXXXXX");
    assert_non_null(mkdtemp(directory));
    *state = xasprintf("%s/below/sock", directory);
    return 0;
}

static int teardown(void **state)
{
    autofree char *path = *state;
    autofree char *below = xasprintf("%s/below", directory);

    unlink(path);
    rmdir(below);
    return rmdir(directory); /* nothing is left beside */
}

static bool is_reached(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    strcpy(address.sun_path, path);
    return connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
}

static void a_socket_is_made_with_its_directory_for_root_and_its_group(void **state)
{
    struct stat status;
    int fd = -1;

    assert_null(listener_open(*state, &fd));
    assert_int_equal(stat(*state, &status), 0);
    assert_true(S_ISSOCK(status.st_mode));
    assert_int_equal(status.st_mode & 07777, 0660);
    assert_true(is_reached(*state));
    close(fd);
}

/* As long as any process has it: whoever holds a copy answers, or will. */
static void a_living_holder_keeps_it(void **state)
{
    int holder = -1, other = -1;

    assert_null(listener_open(*state, &holder));
    int copy = dup(holder);
    close(holder);
    autoptr(error) refused = listener_open(*state, &other);
    assert_non_null(refused);
    assert_int_equal(refused->code, ERROR_ABORTED);
    assert_true(is_reached(*state));
    close(copy);
}

static void a_holder_that_does_not_accept_still_holds_it(void **state)
{
    int holder = -1, other = -1;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int waiting[3];

    assert_null(listener_open(*state, &holder));
    assert_int_equal(listen(holder, 0), 0);
    strcpy(address.sun_path, *state);
    for (int i = 0; i < 3; i++) { /* its queue is full: the probe is told to try later, not that nobody is there */
        waiting[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        connect(waiting[i], (struct sockaddr *)&address, sizeof(address));
    }
    autoptr(error) refused = listener_open(*state, &other);
    assert_non_null(refused);
    assert_int_equal(refused->code, ERROR_ABORTED);
    for (int i = 0; i < 3; i++)
        close(waiting[i]);
    close(holder);
}

static void a_dead_holders_name_is_taken_over(void **state)
{
    int dead = -1, living = -1;

    assert_null(listener_open(*state, &dead));
    close(dead);
    assert_false(is_reached(*state));
    assert_null(listener_open(*state, &living));
    assert_true(is_reached(*state));
    close(living);
}

static void what_cannot_be_bound_is_an_error_that_names_it(void **state)
{
    autofree char *deep = xasprintf("%s/no/such/sock", directory);
    char endless[200];
    int fd = -1;

    (void)state;
    autoptr(error) missing = listener_open(deep, &fd);
    assert_non_null(missing);
    assert_int_equal(missing->code, ERROR_NOT_FOUND);
    assert_non_null(strstr(missing->text, deep));
    memset(endless, 'x', sizeof(endless) - 1);
    endless[sizeof(endless) - 1] = '\0';
    autoptr(error) too_long = listener_open(endless, &fd);
    assert_non_null(too_long);
    assert_int_equal(too_long->code, ERROR_INVALID_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_socket_is_made_with_its_directory_for_root_and_its_group),
        TEST(a_living_holder_keeps_it),
        TEST(a_holder_that_does_not_accept_still_holds_it),
        TEST(a_dead_holders_name_is_taken_over),
        TEST(what_cannot_be_bound_is_an_error_that_names_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
