/* Who may talk to logd, and how its connections come and go. */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "common/memory.h"
#include "services/logd/server.h"

enum { MESSAGES_A_TURN = 16 };

static void connection_close(struct logd *logd, struct connection *connection)
{
    struct container *container;

    if (connection->closed)
        return;
    connection->closed = true;
    LIST_FOREACH(container, &logd->containers, all)
        if (container->connection == connection) {
            container->connection = NULL;
            container->awaited_sessions = 0; /* they come by another connection, if they come */
            logd_wake(logd, container);
        }
    close(connection->fd);
    LIST_REMOVE(connection, all);
    LIST_INSERT_HEAD(&logd->dead_connections, connection, all);
}

static struct error *peer_check(int fd)
{
    pid_t pid;
    uid_t uid;

    TRY(socket_peer(fd, &pid, &uid));
    if (uid != 0)
        return error_new(ERROR_PERMISSION_DENIED, "process %d has uid %u, a shim has 0", (int)pid, (unsigned)uid);
    return NULL;
}

static struct error *connection_add(struct logd *logd, int fd)
{
    struct connection *connection = xcalloc(1, sizeof(*connection));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &connection->source};

    connection->source.kind = SOURCE_CONNECTION;
    connection->fd = fd;
    if (epoll_ctl(logd->epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
        free(connection);
        return error_errno(errno, "watch a shim's connection");
    }
    LIST_INSERT_HEAD(&logd->connections, connection, all);
    return NULL;
}

void connection_accept(struct logd *logd)
{
    int fd = accept4(logd->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0) {
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
            log_error("a connection can't be accepted", "error=%s", log_quote(strerror(errno)));
        return;
    }
    struct error *failure = peer_check(fd);
    if (!failure)
        failure = connection_add(logd, fd);
    if (failure) {
        log_warn("a connection was refused", "error=%s", log_quote(failure->text));
        error_free(failure);
        close(fd);
    }
}

static void take_message(struct logd *logd, struct connection *connection, const struct logd_message *message,
                         size_t size, const int *fds, size_t fd_count)
{
    if (size == sizeof(*message)) {
        logd_handle(logd, connection, message, fds, fd_count);
        return;
    }
    log_warn("a message of the wrong size", "size=%zu", size);
    for (size_t i = 0; i < fd_count; i++)
        close_apart(fds[i]);
    connection_close(logd, connection);
}

void connection_receive(struct logd *logd, struct connection *connection)
{
    struct logd_message message;
    int fds[FD_PASS_MAX];
    size_t size, fd_count;

    for (int i = 0; i < MESSAGES_A_TURN && !connection->closed; i++) {
        struct error *failure = fd_receive(connection->fd, &message, sizeof(message), &size, fds, &fd_count);
        if (failure && failure->code == ERROR_ABORTED) {
            error_free(failure);
            return;
        }
        if (failure)
            log_warn("a shim's connection failed", "error=%s", log_quote(failure->text));
        if (failure || size == 0)
            connection_close(logd, connection);
        else
            take_message(logd, connection, &message, size, fds, fd_count);
        error_free(failure);
    }
}

void connection_send(struct logd *logd, struct connection *connection, const struct logd_message *message)
{
    if (!connection || connection->closed)
        return;
    struct error *failure = fd_send(connection->fd, message, sizeof(*message), NULL, 0);
    if (failure) {
        log_warn("an answer to a shim is lost with its connection", "error=%s", log_quote(failure->text));
        error_free(failure);
        connection_close(logd, connection);
    }
}
