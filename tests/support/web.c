/* How a test's web server reads requests and writes answers: HTTP/1.1, a connection for each. */
#include "tests/support/web.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "common/memory.h"

enum { REQUEST_MAX = 64 << 10, READ_LIMIT_S = 60 };

struct web {
    web_handler handler;
    void *argument;
    int listener;
    unsigned port;
    pthread_t thread;
};

/* Reads up to the body's end. The text is NUL-terminated; false: the client broke off. */
static bool request_read(int fd, char *text, size_t room, char **ret_body)
{
    size_t size = 0;

    for (;;) {
        ssize_t count = recv(fd, text + size, room - 1 - size, 0);
        if (count <= 0)
            return false;
        size += (size_t)count;
        text[size] = '\0';
        char *end = strstr(text, "\r\n\r\n"), *length = strcasestr(text, "\r\nContent-Length:");
        if (end && size >= (size_t)(end + 4 - text) + (length && length < end ? strtoul(length + 17, NULL, 10) : 0)) {
            *ret_body = end + 4;
            end[2] = '\0';
            return true;
        }
    }
}

/* The header's value, "" if there is none. The caller frees it. */
static char *header_get(const char *head, const char *name)
{
    autofree char *key = xasprintf("\r\n%s:", name);
    const char *at = strcasestr(head, key);

    if (!at)
        return xstrdup("");
    at += strlen(key);
    at += strspn(at, " ");
    return xstrndup(at, strcspn(at, "\r"));
}

static void all_send(int fd, const void *data, size_t size)
{
    const char *from = data;

    while (size > 0) {
        ssize_t count = send(fd, from, size, MSG_NOSIGNAL);
        if (count <= 0)
            return; /* the client has gone */
        from += count;
        size -= (size_t)count;
    }
}

static void answer_send(int fd, const struct web_answer *answer)
{
    autofree char *type = answer->type ? xasprintf("Content-Type: %s\r\n", answer->type) : xstrdup("");
    autofree char *head =
        xasprintf("HTTP/1.1 %d Answer\r\nConnection: close\r\nContent-Length: %zu\r\n%s%s%s\r\n", answer->status,
                  answer->size, type, answer->header ? answer->header : "", answer->header ? "\r\n" : "");

    all_send(fd, head, strlen(head));
    all_send(fd, answer->body, answer->size > answer->cut ? answer->size - answer->cut : 0);
}

/* Closes so that nothing sent is lost: a close with unread input would reset the connection. */
static void connection_close(int fd)
{
    char unused[512];

    shutdown(fd, SHUT_WR);
    while (recv(fd, unused, sizeof(unused), 0) > 0)
        continue;
    close(fd);
}

static void connection_serve(struct web *web, int fd)
{
    autofree char *text = xmalloc(REQUEST_MAX);
    char method[16] = "", *body = NULL;
    struct web_answer answer = {.status = 0};

    if (!request_read(fd, text, REQUEST_MAX, &body) || sscanf(text, "%15s", method) != 1)
        return;
    autofree char *authorization = header_get(text, "Authorization"), *range = header_get(text, "Range");
    const char *from = text + strlen(method) + 1;
    autofree char *path = xstrndup(from, strcspn(from, " \r"));
    struct web_request request = {.method = method, .path = path, .authorization = authorization, .body = body};
    unsigned long long offset;
    if (sscanf(range, "bytes=%llu-", &offset) == 1)
        request.offset = offset;
    web->handler(web->argument, &request, &answer);
    if (answer.status)
        answer_send(fd, &answer);
}

static void *web_main(void *argument)
{
    struct web *web = argument;
    const struct timeval limit = {.tv_sec = READ_LIMIT_S};

    for (;;) {
        int fd = accept4(web->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 && errno != EINTR)
            return NULL; /* closed */
        if (fd < 0)
            continue;
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
        connection_serve(web, fd);
        connection_close(fd);
    }
}

static struct error *listener_open(struct web *web)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);

    web->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (web->listener < 0 || bind(web->listener, (struct sockaddr *)&address, size) < 0 ||
        getsockname(web->listener, (struct sockaddr *)&address, &size) < 0 || listen(web->listener, 64) < 0)
        return error_errno(errno, "listen");
    web->port = ntohs(address.sin_port);
    return NULL;
}

struct error *web_open(web_handler handler, void *argument, struct web **ret)
{
    struct web *web = xcalloc(1, sizeof(*web));

    web->handler = handler;
    web->argument = argument;
    struct error *failure = listener_open(web);
    if (!failure && pthread_create(&web->thread, NULL, web_main, web) != 0)
        failure = error_new(ERROR_RESOURCE_EXHAUSTED, "no thread for the web server");
    if (failure) {
        close(web->listener);
        free(web);
        return failure;
    }
    *ret = web;
    return NULL;
}

void web_close(struct web *web)
{
    if (!web)
        return;
    shutdown(web->listener, SHUT_RDWR);
    pthread_join(web->thread, NULL);
    close(web->listener);
    free(web);
}

unsigned web_port(const struct web *web)
{
    return web->port;
}
