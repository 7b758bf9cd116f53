/* A TCP server as it might run in a pod. */
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/memory.h"
#include "tests/integration/stream/bench.h"

struct server {
    enum server_kind kind;
    int listener;
    pthread_t thread;
};

struct connection_start {
    enum server_kind kind;
    int fd;
};

/* ECHO: what comes goes back. EOF_COUNT: at the client's end, how many bytes have come. GREETING: a line, then the end.
 */
static void connection_serve(enum server_kind kind, int fd)
{
    char data[65536];
    size_t total = 0;
    ssize_t count;

    if (kind == SERVER_GREETING) {
        error_free(fd_write_all(fd, "welcome\n", 8));
        shutdown(fd, SHUT_WR);
    }
    while ((count = recv(fd, data, sizeof(data), 0)) > 0) {
        total += (size_t)count;
        if (kind == SERVER_ECHO)
            error_free(fd_write_all(fd, data, (size_t)count));
    }
    if (kind == SERVER_EOF_COUNT) {
        snprintf(data, sizeof(data), "%zu bytes\n", total);
        error_free(fd_write_all(fd, data, strlen(data)));
    }
}

static void *connection_thread(void *argument)
{
    struct connection_start *start = argument;

    connection_serve(start->kind, start->fd);
    close(start->fd);
    free(start);
    return NULL;
}

static void *server_thread(void *argument)
{
    const struct server *server = argument;

    for (;;) {
        int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
        pthread_t thread;
        if (fd < 0)
            return NULL;
        struct connection_start *start = xcalloc(1, sizeof(*start));
        *start = (struct connection_start){server->kind, fd};
        pthread_create(&thread, NULL, connection_thread, start);
        pthread_detach(thread);
    }
}

struct server *server_new(enum server_kind kind, bool is_ipv6, uint16_t *ret_port)
{
    struct server *server = xcalloc(1, sizeof(*server));
    struct sockaddr_in6 address = {0};
    struct sockaddr_in *ipv4 = (struct sockaddr_in *)&address;
    socklen_t size = sizeof(address);
    int on = 1;

    server->kind = kind;
    server->listener = socket(is_ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin6_family = is_ipv6 ? AF_INET6 : AF_INET;
    if (is_ipv6) {
        address.sin6_addr = in6addr_loopback;
        setsockopt(server->listener, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    } else {
        ipv4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    }
    assert_int_equal(bind(server->listener, (struct sockaddr *)&address, is_ipv6 ? sizeof(address) : sizeof(*ipv4)), 0);
    assert_int_equal(listen(server->listener, 512), 0);
    assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &size), 0);
    *ret_port = ntohs(address.sin6_port); /* where IPv4 has it, too */
    pthread_create(&server->thread, NULL, server_thread, server);
    return server;
}

void server_free(struct server *server)
{
    shutdown(server->listener, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->listener);
    free(server);
}
