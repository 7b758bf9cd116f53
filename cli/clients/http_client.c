/* How a client of streaming sessions asks by HTTP. */
#include "cli/clients/http_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/memory.h"

int tcp_dial(const char *host, uint16_t port)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    bool is_v4 = inet_pton(AF_INET, host, &v4.sin_addr) == 1;
    const struct sockaddr *address = is_v4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;

    if (!is_v4 && inet_pton(AF_INET6, host, &v6.sin6_addr) != 1)
        return -1;
    autoclose int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, address, is_v4 ? sizeof(v4) : sizeof(v6)) < 0)
        return -1;
    return TAKE_FD(fd);
}

/* One byte; false at the end, or where none comes. */
static bool byte_read(int fd, char *ret)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    if (fd < 0 || poll(&poll_fd, 1, CLIENT_LIMIT_MS) == 0)
        return false;
    return recv(fd, ret, 1, 0) == 1;
}

/* Byte by byte, so that nothing of what follows is taken. */
static char *text_read(int fd, const char *until)
{
    size_t room = 65536, size = 0;
    char *text = xmalloc(room);

    text[0] = '\0';
    while (size + 1 < room && byte_read(fd, text + size)) {
        text[++size] = '\0';
        if (until && strstr(size > 3 ? text + size - 4 : text, until))
            return text;
    }
    if (until)
        text[0] = '\0';
    return text;
}

char *http_ask(int fd, const char *request)
{
    send(fd, request, strlen(request), MSG_NOSIGNAL);
    return text_read(fd, "\r\n\r\n");
}

char *http_rest(int fd)
{
    return text_read(fd, NULL);
}

int http_status(const char *head)
{
    int status = 0;

    return sscanf(head, "HTTP/1.1 %d", &status) == 1 ? status : 0;
}
