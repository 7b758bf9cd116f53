/* Connections of streaming sessions: who may make one, what comes in on it, and what its end means. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "common/failpoint.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/memory.h"
#include "services/sandboxd/shim/session.h"
#include "services/sandboxd/shim/shim.h"

/* --- sending ------------------------------------------------------------------------------------------------------ */

void session_send(struct session *session, struct stream_message *message, const int *fds, size_t fd_count)
{
    if (session->is_broken)
        return;
    message->version = STREAM_VERSION;
    autoptr(error) failure = fd_send(session->source.fd, message, sizeof(*message), fds, fd_count);
    if (failure)
        log_debug("a session's connection is given up", "error=%s", log_quote(failure->text));
    if (failure) /* its owner, the loop, sees the end of the connection */
        shutdown(session->source.fd, SHUT_RDWR);
    session->is_broken = failure != NULL;
}

void session_fail(struct session *session, uint32_t serial, struct error *failure)
{
    struct stream_message message = {.type = STREAM_FAILED, .serial = serial, .code = (int32_t)failure->code};

    snprintf(message.text, sizeof(message.text), "%s", failure->text);
    error_free(failure);
    session_send(session, &message, NULL, 0);
}

void session_drop_fds(struct session *session)
{
    fds_close(session->fds, session->fd_count);
    session->fd_count = 0;
}

/* --- the end of a connection -------------------------------------------------------------------------------------- */

static void token_closed(struct shim *shim, struct token *token)
{
    token->session = NULL;
    if (token->record.kind == STREAM_EXEC)
        session_exec_closed(shim, token);
    else if (token->record.kind == STREAM_ATTACH)
        session_attach_closed(shim, token);
    token_forget(shim, token);
}

static void session_close(struct shim *shim, struct session *session)
{
    struct session **at = &shim->streams.sessions;
    int fd = session->source.fd;

    while (*at != session)
        at = &(*at)->next;
    *at = session->next;
    shim->streams.session_count--;
    loop_forget(&shim->loop, &session->source);
    loop_disarm(&shim->loop, &session->again);
    close(fd);
    session_drop_fds(session);
    if (session->token)
        token_closed(shim, session->token);
    free(session);
}

/* --- receiving ---------------------------------------------------------------------------------------------------- */

/* Its process has lost sight of this connection and has another. */
static void session_supersede(struct shim *shim, struct session *session)
{
    session->is_superseded = true;
    session->token = NULL;
    loop_disarm(&shim->loop, &session->again);
    shutdown(session->source.fd, SHUT_RDWR); /* the loop closes it */
}

static void session_open(struct shim *shim, struct session *session, const struct stream_message *open)
{
    struct stream_message opened = {.type = STREAM_OPENED};
    struct token *token;

    struct error *failure = token_open(shim, open, &token);
    if (failure) {
        session_fail(session, 0, failure);
        return;
    }
    if (token->session)
        session_supersede(shim, token->session);
    token->session = session;
    session->token = token;
    opened.kind = token->record.kind;
    opened.flags = token->record.flags;
    snprintf(opened.text, sizeof(opened.text), "%s", token->record.container);
    session_send(session, &opened, NULL, 0);
}

/* A tty's is a socket, all others are pipes: nothing else of its process's gets into a container. */
static bool are_of_kind(const int *fds, size_t count, bool are_sockets)
{
    struct stat about;

    for (size_t i = 0; i < count; i++)
        if (fstat(fds[i], &about) < 0 || !(are_sockets ? S_ISSOCK(about.st_mode) : S_ISFIFO(about.st_mode)))
            return false;
    return true;
}

static size_t wanted_fds(const struct token_record *record)
{
    bool is_exec = record->kind == STREAM_EXEC;
    uint32_t flags = record->flags;

    if (is_exec && (flags & STREAM_TTY))
        return 1;
    return (is_exec && (flags & STREAM_STDIN)) + !!(flags & STREAM_STDOUT) + !!(flags & STREAM_STDERR);
}

/* Takes the descriptors. */
static void session_start(struct shim *shim, struct session *session, const int *fds, size_t count)
{
    const struct token_record *record = &session->token->record;
    bool is_exec = record->kind == STREAM_EXEC;

    bool is_again = is_exec && count == 0; /* its process knows that it has begun */

    if (session->is_start_asked || record->kind == STREAM_PORT_FORWARD || (count != wanted_fds(record) && !is_again) ||
        !are_of_kind(fds, count, is_exec && (record->flags & STREAM_TTY))) {
        fds_close(fds, count);
        session_fail(session, 0, error_new(ERROR_INVALID_ARGUMENT, "START is not due, or not with these descriptors"));
        return;
    }
    session->is_start_asked = true;
    memcpy(session->fds, fds, count * sizeof(int));
    session->fd_count = count;
    if (is_exec)
        session_exec_start(shim, session);
    else
        session_attach_start(shim, session);
}

static void session_take(struct shim *shim, struct session *session, const struct stream_message *message,
                         const int *fds, size_t fd_count)
{
    bool is_open = session->token != NULL;

    if (is_open && message->type == STREAM_START) {
        session_start(shim, session, fds, fd_count);
        return;
    }
    fds_close(fds, fd_count);
    if (!is_open && message->type == STREAM_OPEN)
        session_open(shim, session, message);
    else if (is_open && message->type == STREAM_CONNECT && session->token->record.kind == STREAM_PORT_FORWARD)
        session_forward_connect(shim, session, message);
    else if (is_open && message->type == STREAM_STDIN_END && session->token->record.kind == STREAM_ATTACH)
        session_attach_stdin_end(shim, session->token);
    else
        session->is_broken = true;
}

static void session_receive(struct shim *shim, struct session *session)
{
    struct stream_message message;
    int fds[FD_PASS_MAX];
    size_t size, fd_count = 0;

    autoptr(error) failure = fd_receive(session->source.fd, &message, sizeof(message), &size, fds, &fd_count);
    if (failure && failure->code == ERROR_ABORTED)
        return;
    if (failure || size != sizeof(message) || message.version != STREAM_VERSION) {
        fds_close(fds, failure ? 0 : fd_count);
        session->is_broken = true;
        return;
    }
    message.secret[STREAM_SECRET_SIZE - 1] = message.key[STREAM_KEY_SIZE - 1] = '\0';
    session_take(shim, session, &message, fds, fd_count);
}

static void session_ready(struct shim *shim, void *owner, uint32_t events)
{
    struct session *session = owner;

    if (events & EPOLLIN && !session->is_superseded)
        session_receive(shim, session);
    else if (events & (EPOLLHUP | EPOLLERR))
        session->is_broken = true;
    if (session->is_broken)
        session_close(shim, session);
}

/* --- connections -------------------------------------------------------------------------------------------------- */

static struct error *peer_check(const struct shim *shim, int fd)
{
    pid_t pid;
    uid_t uid;

    TRY(socket_peer(fd, &pid, &uid));
    if (uid != 0 && uid != shim->streams.uid)
        return error_new(ERROR_PERMISSION_DENIED, "uid %u is neither root nor stream's", uid);
    if (shim->streams.session_count >= SESSIONS_MAX)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "%d sessions are open", SESSIONS_MAX);
    return NULL;
}

static void sessions_accept(struct shim *shim, void *owner, uint32_t events)
{
    struct streams *streams = &shim->streams;

    (void)owner;
    (void)events;
    autoclose int fd = accept4(streams->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    autoptr(error) failure = peer_check(shim, fd);
    if (failure) {
        log_warn("session refused", "error=%s", log_quote(failure->text));
        return;
    }
    struct session *session = xcalloc(1, sizeof(*session));
    session->source = (struct source){.fd = TAKE_FD(fd), .ready = session_ready, .owner = session};
    session->next = streams->sessions;
    streams->sessions = session;
    streams->session_count++;
    error_free(loop_watch(&shim->loop, &session->source, EPOLLIN));
}

void sessions_pod_gone(struct shim *shim)
{
    for (struct session *session = shim->streams.sessions; session; session = session->next)
        if (session->token && session->token->record.kind == STREAM_PORT_FORWARD)
            session_fail(session, 0, error_new(ERROR_NOT_FOUND, "the pod is gone"));
}

struct error *sessions_open(struct shim *shim)
{
    autofree char *path = shim_path(shim, "stream");
    struct streams *streams = &shim->streams;

    streams->listener = (struct source){.fd = -1, .ready = sessions_accept, .owner = shim};
    TRY(socket_listen(path, 0600, streams->uid, &streams->listener.fd));
    return loop_watch(&shim->loop, &streams->listener, EPOLLIN);
}
