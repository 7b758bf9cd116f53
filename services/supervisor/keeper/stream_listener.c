/* Which port streaming sessions come to, and how it stays the same over the deaths of those who hold it. */
#include "services/supervisor/keeper/stream_listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/memory.h"

enum { BACKLOG = 4096 };

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static struct error *address_parse(const char *ip, uint16_t port, union address *ret, socklen_t *ret_size)
{
    *ret = (union address){0};
    if (inet_pton(AF_INET, ip, &ret->v4.sin_addr) == 1) {
        ret->v4.sin_family = AF_INET;
        ret->v4.sin_port = htons(port);
        *ret_size = sizeof(ret->v4);
        return NULL;
    }
    if (inet_pton(AF_INET6, ip, &ret->v6.sin6_addr) != 1)
        return error_new(ERROR_INVALID_ARGUMENT, "'%s' is no IP address", ip);
    ret->v6.sin6_family = AF_INET6;
    ret->v6.sin6_port = htons(port);
    *ret_size = sizeof(ret->v6);
    return NULL;
}

/* As a URL names it. kubelet, on this node, is who connects: any address means loopback to it. */
static char *address_format(const union address *address)
{
    char text[INET6_ADDRSTRLEN];

    if (address->any.sa_family == AF_INET) {
        struct in_addr ip = address->v4.sin_addr;
        if (ip.s_addr == htonl(INADDR_ANY))
            ip.s_addr = htonl(INADDR_LOOPBACK);
        inet_ntop(AF_INET, &ip, text, sizeof(text));
        return xasprintf("%s:%u", text, ntohs(address->v4.sin_port));
    }
    bool is_any = IN6_IS_ADDR_UNSPECIFIED(&address->v6.sin6_addr);
    inet_ntop(AF_INET6, is_any ? &in6addr_loopback : &address->v6.sin6_addr, text, sizeof(text));
    return xasprintf("[%s]:%u", text, ntohs(address->v6.sin6_port));
}

/* The port in the file that a tree without an orderly end left behind, or 0. */
static uint16_t port_recorded(const char *path)
{
    autofree char *text = NULL;
    size_t size;
    autoptr(error) missing = file_read_all(path, STREAM_ADDRESS_SIZE, &text, &size);
    const char *colon = missing ? NULL : strrchr(text, ':');
    unsigned long port = colon ? strtoul(colon + 1, NULL, 10) : 0;

    return port <= UINT16_MAX ? (uint16_t)port : 0;
}

static struct error *address_save(const char *path, const char *text)
{
    autofree char *beside = xasprintf("%s.new", path);
    autoclose int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    if (fd < 0 || fchmod(fd, 0644) < 0)
        return error_errno(errno, "write %s", beside);
    TRY_TO(fd_write_all(fd, text, strlen(text)), "write %s", beside);
    if (rename(beside, path) < 0)
        return error_errno(errno, "rename %s", beside);
    return NULL;
}

static struct error *socket_bind(const union address *address, socklen_t size, int *ret_fd)
{
    int on = 1;
    autoclose int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return error_errno(errno, "socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, &address->any, size) < 0 || listen(fd, BACKLOG) < 0) {
        autofree char *text = address_format(address);
        return error_errno(errno, "listen for streaming sessions at %s", text);
    }
    *ret_fd = TAKE_FD(fd);
    return NULL;
}

struct error *stream_listener_open(const char *state, const char *ip, uint16_t port, bool afresh, int *ret_fd)
{
    autofree char *path = xasprintf("%s/stream_address", state);
    uint16_t recorded = port_recorded(path);
    uint16_t wanted = port ? port : recorded;
    union address address;
    socklen_t size = 0;
    autoclose int fd = -1;

    TRY(address_parse(ip, afresh ? port : wanted, &address, &size));
    struct error *failure = socket_bind(&address, size, &fd);
    if (failure && !afresh && recorded && wanted == recorded)
        failure->code = ERROR_ABORTED;
    if (failure)
        return failure;
    *ret_fd = TAKE_FD(fd);
    return NULL;
}

struct error *stream_listener_publish(const char *state, int fd)
{
    autofree char *path = xasprintf("%s/stream_address", state);
    union address address = {0};
    socklen_t size = sizeof(address);

    if (getsockname(fd, &address.any, &size) < 0)
        return error_errno(errno, "getsockname");
    autofree char *text = address_format(&address);
    return address_save(path, text);
}

void stream_listener_forget(const char *state)
{
    autofree char *path = xasprintf("%s/stream_address", state);

    unlink(path);
}
