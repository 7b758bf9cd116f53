/* Whole reads, descriptors over sockets, sockets at a path. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "common/fd.h"
#include "common/memory.h"

static void pair(int ret[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret), 0);
}

static void expect_code(struct error *error, enum error_code code)
{
    assert_non_null(error);
    assert_int_equal(error->code, code);
    error_free(error);
}

static void descriptors_arrive_with_their_message_and_closed_at_exec(void **state)
{
    int ends[2], pipes[2], fds[FD_PASS_MAX];
    char text[16];
    size_t size, count;

    (void)state;
    pair(ends);
    assert_int_equal(pipe(pipes), 0);
    assert_null(fd_send(ends[0], "hello", 5, pipes, 2));
    assert_null(fd_receive(ends[1], text, sizeof(text), &size, fds, &count));
    assert_int_equal(size, 5);
    assert_int_equal(count, 2);
    assert_int_equal(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_int_equal(read(pipes[0], text, 1), 1);
    fds_close(fds, 2);
    fds_close(pipes, 2);
    fds_close(ends, 2);
}

static void thirty_two_descriptors_fit_and_more_are_refused(void **state)
{
    int ends[2], many[FD_PASS_MAX + 1], fds[FD_PASS_MAX];
    char text[16];
    size_t size, count;

    (void)state;
    pair(ends);
    for (size_t i = 0; i < FD_PASS_MAX + 1; i++)
        many[i] = ends[0];
    assert_null(fd_send(ends[0], "x", 1, many, FD_PASS_MAX));
    assert_null(fd_receive(ends[1], text, sizeof(text), &size, fds, &count));
    assert_int_equal(count, FD_PASS_MAX);
    fds_close(fds, count);
    expect_code(fd_send(ends[0], "x", 1, many, FD_PASS_MAX + 1), ERROR_INVALID_ARGUMENT);
    fds_close(ends, 2);
}

static void a_cut_message_is_refused_and_leaks_no_descriptor(void **state)
{
    int ends[2], fds[FD_PASS_MAX];
    char text[4];
    size_t size, count;

    (void)state;
    pair(ends);
    int before = dup(0);
    close(before);
    assert_null(fd_send(ends[0], "too long", 8, ends, 2));
    expect_code(fd_receive(ends[1], text, sizeof(text), &size, fds, &count), ERROR_INVALID_ARGUMENT);
    int after = dup(0);
    close(after);
    assert_int_equal(before, after);
    fds_close(ends, 2);
}

static void a_closed_peer_is_size_zero_to_the_reader_and_unavailable_to_the_writer(void **state)
{
    int ends[2], fds[FD_PASS_MAX];
    char text[4];
    size_t size = 9, count;

    (void)state;
    pair(ends);
    close(ends[0]);
    assert_null(fd_receive(ends[1], text, sizeof(text), &size, fds, &count));
    assert_int_equal(size, 0);
    expect_code(fd_send(ends[1], "x", 1, NULL, 0), ERROR_UNAVAILABLE);
    close(ends[1]);
}

static void a_non_blocking_socket_says_empty_and_full(void **state)
{
    int ends[2], fds[FD_PASS_MAX];
    char block[4096] = "";
    size_t size, count;
    struct error *error = NULL;

    (void)state;
    pair(ends);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    expect_code(fd_receive(ends[0], block, sizeof(block), &size, fds, &count), ERROR_ABORTED);
    while (!error)
        error = fd_send(ends[0], block, sizeof(block), NULL, 0);
    expect_code(error, ERROR_RESOURCE_EXHAUSTED);
    fds_close(ends, 2);
}

static void a_file_is_read_whole_and_not_beyond_its_limit(void **state)
{
    char path[] = "/tmp/bulkhead-fd-XXXXXX";
    int fd = mkstemp(path);
    autofree char *data = xmalloc(100000);
    autofree char *read = NULL;
    size_t size;

    (void)state;
    memset(data, 'a', 100000);
    assert_null(fd_write_all(fd, data, 100000));
    close(fd);
    assert_null(file_read_all(path, 100000, &read, &size));
    assert_int_equal(size, 100000);
    assert_memory_equal(read, data, size);
    assert_int_equal(read[size], 0);
    char *none = NULL;
    expect_code(file_read_all(path, 99999, &none, &size), ERROR_RESOURCE_EXHAUSTED);
    unlink(path);
    expect_code(file_read_all(path, 9, &none, &size), ERROR_NOT_FOUND);
}

static void a_socket_takes_over_the_name_of_a_dead_one_with_mode_and_owner(void **state)
{
    char directory[] = "/tmp/bulkhead-fd-XXXXXX";
    struct stat status;
    int dead, living, peer, listener;
    uid_t uid;
    pid_t pid;

    (void)state;
    assert_non_null(mkdtemp(directory));
    autofree char *path = xasprintf("%s/sock", directory);
    expect_code(socket_connect(path, &peer), ERROR_UNAVAILABLE);
    assert_null(socket_listen(path, 0666, (uid_t)-1, &dead));
    close(dead);
    expect_code(socket_connect(path, &peer), ERROR_UNAVAILABLE);
    assert_null(socket_listen(path, 0600, 61333, &living));
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(status.st_uid, 61333);
    assert_null(socket_connect(path, &peer));
    listener = accept(living, NULL, NULL);
    assert_true(listener >= 0);
    assert_null(socket_peer(listener, &pid, &uid));
    assert_int_equal(pid, getpid());
    assert_int_equal(uid, getuid());
    fds_close((int[]){peer, listener, living}, 3);
    unlink(path);
    rmdir(directory);
}

static void a_socket_name_that_is_too_long_is_an_error(void **state)
{
    char path[200] = "/tmp/";
    int fd;

    (void)state;
    memset(path + 5, 'x', 150);
    expect_code(socket_connect(path, &fd), ERROR_INVALID_ARGUMENT);
    expect_code(socket_listen(path, 0600, (uid_t)-1, &fd), ERROR_INVALID_ARGUMENT);
}

/* Can a process that gave up root, as the daemons do, reach the socket? */
static bool user_connects(const char *path, uid_t uid)
{
    int status, fd;
    pid_t child = fork();

    if (child == 0) {
        if (setgid(uid) < 0 || setuid(uid) < 0)
            _exit(2);
        struct error *failure = socket_connect(path, &fd);
        _exit(failure ? 1 : 0);
    }
    waitpid(child, &status, 0);
    return status == 0;
}

static void a_socket_below_a_long_path_is_bound_and_reached_by_any_user(void **state)
{
    char directory[] = "/tmp/bulkhead-fd-XXXXXX";
    int listener;
    struct stat status;

    (void)state;
    assert_non_null(mkdtemp(directory));
    autofree char *below = xasprintf("%s/%0150d", directory, 0);
    autofree char *path = xasprintf("%s/sock", below);
    expect_code(socket_connect(path, &listener), ERROR_UNAVAILABLE); /* not even the directory is there */
    assert_int_equal(chmod(directory, 0711), 0);
    assert_int_equal(mkdir(below, 0711), 0);
    expect_code(socket_connect(path, &listener), ERROR_UNAVAILABLE);
    assert_null(socket_listen(path, 0600, 61333, &listener));
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(status.st_uid, 61333);
    assert_true(user_connects(path, 0));
    assert_true(user_connects(path, 61333));
    assert_false(user_connects(path, 61334));
    close(listener);
    unlink(path);
    rmdir(below);
    rmdir(directory);
}

static void what_a_peer_sent_before_it_died_is_read(void **state)
{
    int ends[2], fds[FD_PASS_MAX];
    char text[16];
    size_t size, count;

    (void)state;
    pair(ends);
    assert_null(fd_send(ends[1], "unread", 6, NULL, 0));
    assert_null(fd_send(ends[0], "one", 3, NULL, 0));
    assert_null(fd_send(ends[0], "two", 3, NULL, 0));
    close(ends[0]);
    assert_null(fd_receive(ends[1], text, sizeof(text), &size, fds, &count));
    assert_int_equal(size, 3);
    assert_memory_equal(text, "one", 3);
    expect_code(fd_send(ends[1], "to nobody", 9, NULL, 0), ERROR_UNAVAILABLE);
    assert_null(fd_receive(ends[1], text, sizeof(text), &size, fds, &count));
    assert_memory_equal(text, "two", 3);
    assert_null(fd_receive(ends[1], text, sizeof(text), &size, fds, &count));
    assert_int_equal(size, 0);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_peer_sent_before_it_died_is_read),
        cmocka_unit_test(descriptors_arrive_with_their_message_and_closed_at_exec),
        cmocka_unit_test(thirty_two_descriptors_fit_and_more_are_refused),
        cmocka_unit_test(a_cut_message_is_refused_and_leaks_no_descriptor),
        cmocka_unit_test(a_closed_peer_is_size_zero_to_the_reader_and_unavailable_to_the_writer),
        cmocka_unit_test(a_non_blocking_socket_says_empty_and_full),
        cmocka_unit_test(a_file_is_read_whole_and_not_beyond_its_limit),
        cmocka_unit_test(a_socket_takes_over_the_name_of_a_dead_one_with_mode_and_owner),
        cmocka_unit_test(a_socket_name_that_is_too_long_is_an_error),
        cmocka_unit_test(a_socket_below_a_long_path_is_bound_and_reached_by_any_user),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
