/* Which connections are handed over, and which are closed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "services/criapi/acceptor.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

enum { LONG_MS = 20000, IDLE_MS = 300 };

/* The listening socket is an abstract one; what the acceptor hands over comes through a pipe. */
struct bench {
    struct sockaddr_un address;
    socklen_t address_size;
    int listen_fd;
    int handed[2];
    struct acceptor *acceptor;
};

static void take(void *argument, int fd)
{
    struct bench *bench = argument;

    assert_int_equal(write(bench->handed[1], &fd, sizeof(fd)), sizeof(fd));
}

static void bench_open(struct bench *bench, int idle_ms)
{
    bench->address = (struct sockaddr_un){.sun_family = AF_UNIX};
    bench->address_size = sizeof(bench->address);
    bench->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(bench->listen_fd, (struct sockaddr *)&bench->address, sizeof(sa_family_t)), 0);
    assert_int_equal(getsockname(bench->listen_fd, (struct sockaddr *)&bench->address, &bench->address_size), 0);
    assert_int_equal(listen(bench->listen_fd, 4096), 0);
    assert_int_equal(pipe(bench->handed), 0);
    assert_null(acceptor_open(&(struct acceptor_options){bench->listen_fd, idle_ms, take, bench}, &bench->acceptor));
}

static void bench_close(struct bench *bench)
{
    acceptor_close(bench->acceptor);
    close(bench->listen_fd);
    close(bench->handed[0]);
    close(bench->handed[1]);
}

static int bench_connect(struct bench *bench)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(connect(fd, (struct sockaddr *)&bench->address, bench->address_size), 0);
    return fd;
}

static bool is_readable(int fd, int limit_ms)
{
    return poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, limit_ms) == 1;
}

static int bench_handed(struct bench *bench)
{
    int fd = -1;

    assert_true(is_readable(bench->handed[0], LONG_MS));
    assert_int_equal(read(bench->handed[0], &fd, sizeof(fd)), sizeof(fd));
    return fd;
}

static void expect_closed(int fd)
{
    char byte;

    assert_true(is_readable(fd, LONG_MS));
    ssize_t size = recv(fd, &byte, 1, 0); /* ECONNRESET: our bytes were never read */
    assert_true(size == 0 || (size < 0 && errno == ECONNRESET));
    close(fd);
}

static void a_client_that_speaks_http2_is_handed_over_with_every_byte(void **state)
{
    char bytes[64] = {0};
    struct bench bench;

    (void)state;
    bench_open(&bench, LONG_MS);
    int client = bench_connect(&bench);
    assert_int_equal(write(client, PREFACE "more", 28), 28);
    int fd = bench_handed(&bench);
    assert_int_equal(read(fd, bytes, sizeof(bytes)), 28);
    assert_string_equal(bytes, PREFACE "more");
    close(fd);
    close(client);
    bench_close(&bench);
}

static void a_preface_may_come_byte_by_byte(void **state)
{
    struct bench bench;

    (void)state;
    bench_open(&bench, LONG_MS);
    int client = bench_connect(&bench);
    for (size_t i = 0; i < strlen(PREFACE); i++) {
        assert_false(is_readable(bench.handed[0], 1));
        assert_int_equal(write(client, PREFACE + i, 1), 1);
    }
    close(bench_handed(&bench));
    close(client);
    bench_close(&bench);
}

static void another_protocol_is_closed_at_once(void **state)
{
    struct bench bench;

    (void)state;
    bench_open(&bench, LONG_MS);
    int client = bench_connect(&bench);
    assert_int_equal(write(client, "GET / HTTP/1.1\r\n", 16), 16);
    expect_closed(client);
    assert_false(is_readable(bench.handed[0], 0));
    bench_close(&bench);
}

static void a_silent_connection_is_closed_after_the_limit_and_others_are_not(void **state)
{
    struct bench bench;

    (void)state;
    bench_open(&bench, IDLE_MS);
    int silent = bench_connect(&bench), half = bench_connect(&bench), good = bench_connect(&bench);
    assert_int_equal(write(half, PREFACE, 10), 10);
    assert_int_equal(write(good, PREFACE, 24), 24);
    int fd = bench_handed(&bench);
    assert_false(is_readable(silent, IDLE_MS / 3));
    expect_closed(silent);
    expect_closed(half);
    assert_false(is_readable(good, IDLE_MS));
    close(fd);
    close(good);
    bench_close(&bench);
}

static void the_oldest_silent_connection_gives_way(void **state)
{
    int clients[ACCEPTOR_UNPROVEN_MAX + 1];
    struct bench bench;

    (void)state;
    bench_open(&bench, LONG_MS);
    for (size_t i = 0; i <= ACCEPTOR_UNPROVEN_MAX; i++)
        clients[i] = bench_connect(&bench);
    expect_closed(clients[0]);
    for (size_t i = 1; i <= ACCEPTOR_UNPROVEN_MAX; i++) {
        assert_false(is_readable(clients[i], 0));
        close(clients[i]);
    }
    bench_close(&bench);
}

/* 1,500 connections, one at a time: more than the limit, but each has ended before the next. */
static void an_ended_connection_makes_room(void **state)
{
    struct bench bench;

    (void)state;
    bench_open(&bench, LONG_MS);
    for (int i = 0; i < 1500; i++) {
        int client = bench_connect(&bench);
        assert_int_equal(write(client, PREFACE, 24), 24);
        int fd = bench_handed(&bench);
        if (i % 2) { /* the server ends it */
            shutdown(fd, SHUT_RDWR);
            expect_closed(client);
            close(fd);
        } else {
            close(client);
            close(fd);
        }
    }
    bench_close(&bench);
}

static void a_connection_can_be_added_from_inside(void **state)
{
    struct bench bench;
    int pair[2];

    (void)state;
    bench_open(&bench, LONG_MS);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    assert_null(acceptor_add(bench.acceptor, pair[1]));
    assert_int_equal(write(pair[0], PREFACE, 24), 24);
    close(bench_handed(&bench));
    close(pair[0]);
    bench_close(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_that_speaks_http2_is_handed_over_with_every_byte),
        cmocka_unit_test(a_preface_may_come_byte_by_byte),
        cmocka_unit_test(another_protocol_is_closed_at_once),
        cmocka_unit_test(a_silent_connection_is_closed_after_the_limit_and_others_are_not),
        cmocka_unit_test(the_oldest_silent_connection_gives_way),
        cmocka_unit_test(an_ended_connection_makes_room),
        cmocka_unit_test(a_connection_can_be_added_from_inside),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
