/* How messages come in and go out, whatever they mean. */
#include "services/supervisor/keeper/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/log.h"
#include "common/memory.h"
#include "services/supervisor/keeper/programs.h"
#include "services/supervisor/keeper/requests.h"

static void queued_free(struct queued_message *queued)
{
    fds_close(queued->fds, queued->fd_count);
    free(queued);
}

static void queue_clear(struct connection *connection)
{
    for (struct queued_message *queued = connection->queue, *next; queued; queued = next) {
        next = queued->next;
        queued_free(queued);
    }
    connection->queue = NULL;
    connection->queue_end = &connection->queue;
    connection->queued = 0;
}

static void connection_close(struct keeper *keeper, struct connection *connection)
{
    for (struct connection **link = &keeper->connections; *link; link = &(*link)->next) {
        if (*link == connection) {
            *link = connection->next;
            break;
        }
    }
    queue_clear(connection);
    /* By hand: a child between fork and exec has a copy, and with it epoll would keep an event for freed memory. */
    epoll_ctl(keeper->epoll, EPOLL_CTL_DEL, connection->fd, NULL);
    close(connection->fd);
    free(connection);
}

static void connection_expect(struct keeper *keeper, struct connection *connection)
{
    struct epoll_event event = {.events = EPOLLIN | (connection->queue ? (uint32_t)EPOLLOUT : 0),
                                .data.ptr = &connection->watch};

    epoll_ctl(keeper->epoll, EPOLL_CTL_MOD, connection->fd, &event);
}

/* The peer is gone. A shim sends before its death what its successor needs: that is read to its end. */
static void connection_silence(struct keeper *keeper, struct connection *connection)
{
    connection->is_deaf = true;
    queue_clear(connection);
    connection_expect(keeper, connection);
}

static void connection_flush(struct keeper *keeper, struct connection *connection)
{
    while (connection->queue) {
        struct queued_message *queued = connection->queue;
        autoptr(error) failure = fd_send(connection->fd, &queued->message, sizeof(queued->message), queued->fds,
                                         queued->fd_count);
        if (failure && failure->code == ERROR_RESOURCE_EXHAUSTED)
            break;
        if (failure) {
            connection_silence(keeper, connection);
            return;
        }
        connection->queue = queued->next;
        connection->queued--;
        queued_free(queued);
    }
    if (!connection->queue)
        connection->queue_end = &connection->queue;
    connection_expect(keeper, connection);
}

void connection_send(struct keeper *keeper, struct connection *connection, const struct keeper_message *message,
                     const int *fds, size_t fd_count)
{
    if (connection->is_deaf || connection->is_broken)
        return;
    if (connection->queued >= CONNECTION_QUEUE_MAX) {
        connection->is_broken = true;
        return;
    }
    struct queued_message *queued = xcalloc(1, sizeof(*queued));
    queued->message = *message;
    for (size_t i = 0; i < fd_count && i < KEEPER_SPAWN_FDS; i++) {
        queued->fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
        if (queued->fds[i] < 0)
            break;
        queued->fd_count++;
    }
    queued->message.fd_count = (uint32_t)queued->fd_count;
    *connection->queue_end = queued;
    connection->queue_end = &queued->next;
    connection->queued++;
    connection_flush(keeper, connection);
}

/* Is every text NUL-terminated, and every number in its range? */
static bool message_is_sound(const struct keeper_message *message, size_t size, size_t fd_count)
{
    if (size != sizeof(*message) || message->version != KEEPER_VERSION || message->fd_count > KEEPER_SPAWN_FDS)
        return false;
    if (fd_count > KEEPER_SPAWN_FDS || message->name[KEEPER_NAME_SIZE - 1] || message->text[KEEPER_TEXT_SIZE - 1])
        return false;
    for (size_t i = 0; i < KEEPER_SPAWN_FDS; i++)
        if (message->fd_names[i][KEEPER_NAME_SIZE - 1])
            return false;
    return true;
}

/* One message; false when none is left. */
static bool connection_read(struct keeper *keeper, struct connection *connection)
{
    struct keeper_message message;
    int fds[FD_PASS_MAX];
    size_t size = 0, fd_count = 0;
    autoptr(error) failure = fd_receive(connection->fd, &message, sizeof(message), &size, fds, &fd_count);

    if (failure && failure->code == ERROR_ABORTED)
        return false;
    if (failure ? failure->code != ERROR_INVALID_ARGUMENT : size == 0) {
        connection->is_broken = true;
        return false;
    }
    if (failure || !message_is_sound(&message, size, fd_count)) {
        log_warn("dropped a malformed message", "pid=%d uid=%u size=%zu", connection->pid, connection->uid, size);
        if (!failure)
            fds_close(fds, fd_count);
        return true;
    }
    request_handle(keeper, connection, &message, fds, fd_count);
    return true;
}

static void connection_ready(struct keeper *keeper, struct watch *watch, uint32_t events)
{
    struct connection *connection = (struct connection *)watch;

    if (events & EPOLLOUT)
        connection_flush(keeper, connection);
    for (int i = 0; i < 64 && !connection->is_broken; i++) /* others wait too */
        if (!connection_read(keeper, connection))
            break;
    if (connection->is_broken)
        connection_close(keeper, connection);
}

static bool peer_is_known(const struct keeper *keeper, uid_t uid)
{
    return uid == 0 || (uid >= keeper->options->uid_first && uid <= keeper_uid(keeper, CONFIG_USER_STREAM));
}

static void listener_ready(struct keeper *keeper, struct watch *watch, uint32_t events)
{
    int fd = accept4(keeper->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    pid_t pid = 0;
    uid_t uid = 0;

    (void)watch;
    (void)events;
    if (fd < 0)
        return;
    autoptr(error) failure = socket_peer(fd, &pid, &uid);
    if (failure || !peer_is_known(keeper, uid)) {
        close(fd);
        return;
    }
    struct connection *connection = xcalloc(1, sizeof(*connection));
    connection->watch.ready = connection_ready;
    connection->fd = fd;
    connection->pid = pid;
    connection->uid = uid;
    connection->subscribed = SUBSCRIBE_NONE;
    connection->queue_end = &connection->queue;
    connection->next = keeper->connections;
    keeper->connections = connection;
    keeper_watch(keeper, fd, EPOLLIN, &connection->watch);
}

struct error *server_open(struct keeper *keeper)
{
    autofree char *path = xasprintf("%s/keeper/sock", keeper->options->state);

    TRY(socket_listen(path, 0666, (uid_t)-1, &keeper->listener));
    int flags = fcntl(keeper->listener, F_GETFL);
    if (flags < 0 || fcntl(keeper->listener, F_SETFL, flags | O_NONBLOCK) < 0)
        return error_errno(errno, "make %s non-blocking", path);
    keeper->listener_watch.ready = listener_ready;
    keeper_watch(keeper, keeper->listener, EPOLLIN, &keeper->listener_watch);
    return NULL;
}

void server_tell_exit(struct keeper *keeper, const struct child *child, bool is_known, int wait_status,
                      int64_t time_ns)
{
    struct keeper_message message = {
        .version = KEEPER_VERSION,
        .type = KEEPER_EXIT,
        .program = (int32_t)child->program,
        .flags = child->flags,
        .generation = child->generation,
        .wait_status = wait_status,
        .time_ns = time_ns,
        .process = child->process,
        .found = is_known,
    };

    snprintf(message.name, sizeof(message.name), "%s", child->name);
    for (struct connection *connection = keeper->connections; connection; connection = connection->next) {
        bool is_wanted = connection->subscribed == SUBSCRIBE_ALL || connection->subscribed == (int32_t)child->program;
        if (is_wanted && program_is_allowed(keeper, child->program, connection->uid))
            connection_send(keeper, connection, &message, NULL, 0);
    }
}

bool server_has_peer(const struct keeper *keeper, uid_t uid)
{
    for (const struct connection *connection = keeper->connections; connection; connection = connection->next)
        if (connection->uid == uid)
            return true;
    return false;
}

void server_close(struct keeper *keeper)
{
    while (keeper->connections)
        connection_close(keeper, keeper->connections);
    close(keeper->listener);
    unlinkat(keeper->keeper_dir, "sock", 0);
}
