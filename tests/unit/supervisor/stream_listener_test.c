/* The streaming socket keeps its port over an end without order, and its address is in a file. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include "common/fd.h"
#include "common/memory.h"
#include "services/supervisor/keeper/stream_listener.h"

static char directory[] = "/tmp/bulkhead-stream-listener-XXXXXX";

static int setup(void **state)
{
    (void)state;
    strcpy(directory, "/tmp/bulkhead-stream-listener-XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    stream_listener_forget(directory);
    return rmdir(directory); /* nothing is left beside */
}

static char *address_read(int fd)
{
    assert_null(stream_listener_publish(directory, fd));
    autofree char *path = xasprintf("%s/stream_address", directory);
    struct stat about;
    char *text;
    size_t size;

    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 07777, 0644);
    assert_null(file_read_all(path, STREAM_ADDRESS_SIZE, &text, &size));
    return text;
}

static bool is_reached(const char *text)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    autoclose int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_memory_equal(text, "127.0.0.1:", 10);
    address.sin_port = htons((uint16_t)strtoul(text + 10, NULL, 10));
    return connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
}

static void its_address_is_published(void **state)
{
    int fd = -1, any = -1;

    (void)state;
    assert_null(stream_listener_open(directory, "127.0.0.1", 0, false, &fd));
    autofree char *text = address_read(fd);
    assert_true(is_reached(text));
    close(fd);
    stream_listener_forget(directory);
    assert_null(stream_listener_open(directory, "0.0.0.0", 0, false, &any));
    autofree char *loopback = address_read(any);
    assert_true(is_reached(loopback));
    close(any);
}

static void its_port_stays_the_same(void **state)
{
    int first = -1, second = -1, third = -1;

    (void)state;
    assert_null(stream_listener_open(directory, "127.0.0.1", 0, false, &first));
    autofree char *before = address_read(first);
    autoptr(error) held = stream_listener_open(directory, "127.0.0.1", 0, false, &second);
    assert_int_equal(held->code, ERROR_ABORTED);
    assert_int_equal(second, -1);
    close(first);
    assert_null(stream_listener_open(directory, "127.0.0.1", 0, false, &second));
    autofree char *after = address_read(second);
    assert_string_equal(before, after);
    assert_null(stream_listener_open(directory, "127.0.0.1", 0, true, &third)); /* held, but nobody hands it over */
    autofree char *afresh = address_read(third);
    assert_string_not_equal(after, afresh);
    close(second);
    close(third);
}

static void an_ipv6_address_is_written_in_brackets(void **state)
{
    int fd = -1;

    (void)state;
    autoptr(error) failure = stream_listener_open(directory, "::1", 0, false, &fd);
    if (failure && failure->code != ERROR_INVALID_ARGUMENT) /* a host without IPv6 */
        skip();
    assert_null(failure);
    autofree char *text = address_read(fd);
    assert_memory_equal(text, "[::1]:", 6);
    close(fd);
}

static void a_port_in_use_by_others_and_a_name_are_errors(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    autoclose int other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int fd = -1;

    (void)state;
    assert_int_equal(bind(other, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(other, 1), 0);
    assert_int_equal(getsockname(other, (struct sockaddr *)&address, &size), 0);
    autoptr(error) used = stream_listener_open(directory, "127.0.0.1", ntohs(address.sin_port), false, &fd);
    assert_non_null(used);
    assert_int_not_equal(used->code, ERROR_ABORTED);
    autoptr(error) name = stream_listener_open(directory, "localhost", 0, false, &fd);
    assert_int_equal(name->code, ERROR_INVALID_ARGUMENT);
    assert_int_equal(fd, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(its_address_is_published, setup, teardown),
        cmocka_unit_test_setup_teardown(its_port_stays_the_same, setup, teardown),
        cmocka_unit_test_setup_teardown(an_ipv6_address_is_written_in_brackets, setup, teardown),
        cmocka_unit_test_setup_teardown(a_port_in_use_by_others_and_a_name_are_errors, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
