/* What logd does for each message of a shim. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/log.h"
#include "services/logd/server.h"

static void answer(struct logd *logd, struct connection *connection, const char *id, struct logd_message message)
{
    message.version = LOGD_VERSION;
    snprintf(message.id, sizeof(message.id), "%s", id);
    connection_send(logd, connection, &message);
}

static void answer_error(struct logd *logd, struct connection *connection, const char *id, const char *text)
{
    struct logd_message message = {.type = LOGD_ERROR};

    log_warn("a shim's request failed", "container=%s error=%s", id, log_quote(text));
    snprintf(message.text, sizeof(message.text), "%s", text);
    answer(logd, connection, id, message);
}

static void handle_hello(struct logd *logd, struct connection *connection, const struct logd_message *message)
{
    connection->greeted = true;
    answer(logd, connection, message->id, (struct logd_message){.type = LOGD_HELLO});
}

static bool is_same_file(int a, int b)
{
    struct stat left, right;

    return fstat(a, &left) == 0 && fstat(b, &right) == 0 && left.st_dev == right.st_dev && left.st_ino == right.st_ino;
}

/* A shim, or its successor, tells again what this logd knows: only the connection is new. */
static void add_known(struct logd *logd, struct connection *connection, struct container *container,
                      const struct logd_message *message, const int *fds, size_t fd_count)
{
    bool same = fd_count > 0 && is_same_file(fds[0], container->note.fd);

    for (size_t i = 0; i < fd_count; i++)
        close_apart(fds[i]);
    if (!same) {
        answer_error(logd, connection, message->id, "a container of this id has another note");
        return;
    }
    container->connection = connection;
    logd_wake(logd, container);
}

static void handle_add(struct logd *logd, struct connection *connection, const struct logd_message *message,
                       const int *fds, size_t fd_count)
{
    struct container *container = logd_find(logd, message->id);

    if (container) {
        add_known(logd, connection, container, message, fds, fd_count);
        return;
    }
    autoptr(error) failure = container_new(message, fds, fd_count, &container);
    if (failure) {
        answer_error(logd, connection, message->id, failure->text);
        return;
    }
    container->connection = connection;
    container->awaited_sessions = message->sessions;
    logd_add(logd, container);
}

static void handle_next_file(struct logd *logd, struct container *container, const struct logd_message *message, int fd)
{
    close_apart(container->orders.next_file); /* asked for again, or overtaken */
    container->orders.next_file = fd;
    container->orders.next_generation = message->generation;
    logd_wake(logd, container);
}

static void handle_drain(struct logd *logd, struct container *container)
{
    container->orders.drain = true;
    logd_wake(logd, container);
}

/* A container whose file hangs is let go at once: its thread ends when the file lets it. */
static void handle_remove(struct logd *logd, struct container *container)
{
    if (container->own_thread && container->working) {
        log_warn("a container goes while its log file hangs", "container=%s", container->id);
        answer(logd, container->connection, container->id,
               (struct logd_message){.type = LOGD_REMOVED, .text = "its log file hangs"});
        logd_forget(logd, container);
        return;
    }
    container->orders.remove = true;
    logd_wake(logd, container);
}

static bool take_attach(struct container *container, const struct logd_message *message, const int *fds, size_t fd_count,
                        int ret[LOG_NOTE_STREAMS])
{
    static const uint32_t flags[LOG_NOTE_STREAMS] = {LOGD_STDOUT, LOGD_STDERR};
    size_t next = 0;

    for (int i = 0; i < LOG_NOTE_STREAMS; i++) {
        ret[i] = -1;
        if (message->flags & flags[i] && next < fd_count)
            ret[i] = fds[next++];
        else if (message->flags & flags[i])
            return false;
    }
    return next > 0 && next == fd_count && (ret[1] < 0 || container->pipes.from[1] >= 0);
}

/* The container is read once all that were announced are here. */
static bool handle_attach(struct logd *logd, struct container *container, const struct logd_message *message, const int *fds,
                          size_t fd_count)
{
    struct logd_message attached = {.type = LOGD_ATTACHED, .generation = message->generation};
    int pipes[LOG_NOTE_STREAMS];
    bool is_whole = take_attach(container, message, fds, fd_count, pipes);

    autoptr(error) failure = is_whole ? attach_add(&container->attach, message->generation, pipes) : NULL;
    if (failure)
        answer_error(logd, container->connection, container->id, failure->text);
    else if (is_whole)
        answer(logd, container->connection, container->id, attached);
    if (container->awaited_sessions && --container->awaited_sessions == 0)
        logd_wake(logd, container);
    return is_whole;
}

static void handle_detach(struct logd *logd, struct container *container, const struct logd_message *message)
{
    attach_remove(&container->attach, message->generation);
    answer(logd, container->connection, container->id,
           (struct logd_message){.type = LOGD_DETACHED, .generation = message->generation});
}

static void handle_gone(struct logd *logd, struct connection *connection, const struct logd_message *message)
{
    if (message->type == LOGD_REMOVE)
        answer(logd, connection, message->id, (struct logd_message){.type = LOGD_REMOVED});
    else if (message->type == LOGD_DETACH)
        answer(logd, connection, message->id, (struct logd_message){.type = LOGD_DETACHED, .generation = message->generation});
    else
        answer_error(logd, connection, message->id, "no such container");
}

/* Of a container that is known. False: the descriptors are wrong, and still the caller's. */
static bool handle_known(struct logd *logd, struct container *container, const struct logd_message *message,
                         const int *fds, size_t fd_count)
{
    switch (message->type) {
    case LOGD_NEXT_FILE:
        if (fd_count != 1)
            return false;
        handle_next_file(logd, container, message, fds[0]);
        return true;
    case LOGD_ATTACH:
        return handle_attach(logd, container, message, fds, fd_count);
    case LOGD_DETACH:
        handle_detach(logd, container, message);
        return fd_count == 0;
    case LOGD_DRAIN:
        handle_drain(logd, container);
        return fd_count == 0;
    default:
        handle_remove(logd, container);
        return fd_count == 0;
    }
}

static const char *message_check(const struct connection *connection, const struct logd_message *message)
{
    if (message->version != LOGD_VERSION)
        return "this logd speaks another version of the protocol";
    if (message->id[0] == '\0' || !memchr(message->id, '\0', sizeof(message->id)))
        return "the id is empty, or not ended";
    bool is_of_attach = message->type == LOGD_ATTACH || message->type == LOGD_DETACH;
    if (!is_of_attach && (message->type < LOGD_HELLO || message->type > LOGD_REMOVE))
        return "no such request";
    if (message->type != LOGD_HELLO && !connection->greeted)
        return "HELLO comes first";
    return NULL;
}

static void refuse(struct logd *logd, struct connection *connection, const char *id, const char *text, const int *fds,
                   size_t fd_count)
{
    for (size_t i = 0; i < fd_count; i++)
        close_apart(fds[i]);
    answer_error(logd, connection, id, text);
}

void logd_handle(struct logd *logd, struct connection *connection, const struct logd_message *message, const int *fds,
                 size_t fd_count)
{
    const char *wrong = message_check(connection, message);

    if (wrong) {
        refuse(logd, connection, "", wrong, fds, fd_count);
        return;
    }
    if (message->type == LOGD_ADD) {
        handle_add(logd, connection, message, fds, fd_count);
        return;
    }
    if (message->type == LOGD_HELLO) {
        handle_hello(logd, connection, message);
        return;
    }
    struct container *container = logd_find(logd, message->id);
    if (container)
        container->connection = connection;
    if (!container && fd_count == 0)
        handle_gone(logd, connection, message);
    else if (!container || !handle_known(logd, container, message, fds, fd_count))
        refuse(logd, connection, message->id, container ? "wrong number of descriptors" : "no such container", fds, fd_count);
}

bool logd_apply_answers(struct logd *logd, struct container *container, const struct container_orders *orders,
                        const struct pass_result *result)
{
    struct connection *to = container->connection;
    struct logd_message detached = {.type = LOGD_DETACHED};

    snprintf(detached.text, sizeof(detached.text), "the session's pipe is full");
    while (attach_next_full(&container->attach, &detached.generation, &detached.dropped_bytes))
        answer(logd, to, container->id, detached);
    if (result->failure) {
        answer_error(logd, to, container->id, result->failure->text);
        container->orders.drain = false;
    }
    if (result->file_is)
        answer(logd, to, container->id,
               (struct logd_message){.type = LOGD_FILE_IS, .generation = result->generation});
    if (result->drained) {
        answer(logd, to, container->id,
               (struct logd_message){.type = LOGD_DRAINED, .dropped_bytes = result->dropped_bytes});
        container->orders.drain = false;
    }
    if (orders->remove && result->removed)
        answer(logd, to, container->id,
               (struct logd_message){.type = LOGD_REMOVED, .dropped_bytes = result->dropped_bytes});
    return !result->removed;
}
