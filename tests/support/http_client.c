/* How a test asks by HTTP. */
#include "tests/support/http_client.h"

#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/memory.h"

int tcp_dial(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        perror("tcp_dial");
        abort();
    }
    return fd;
}

/* One byte; false at the end. */
static int byte_read(int fd, char *ret)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    if (poll(&poll_fd, 1, CLIENT_LIMIT_MS) == 0) {
        fprintf(stderr, "http_client: nothing came\n");
        abort();
    }
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
