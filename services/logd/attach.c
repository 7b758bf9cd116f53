/* How copies reach attach sessions, and how those end. */
#include "services/logd/attach.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/memory.h"

static void session_close(struct attach_session *session)
{
    for (int i = 0; i < LOG_NOTE_STREAMS; i++)
        if (session->fds[i] >= 0)
            close(TAKE_FD(session->fds[i]));
}

static void session_free(struct attach *attach, struct attach_session *session)
{
    LIST_REMOVE(session, all);
    attach->count--;
    session_close(session);
    free(session);
}

void attach_init(struct attach *attach)
{
    pthread_mutex_init(&attach->lock, NULL);
    LIST_INIT(&attach->sessions);
    attach->count = 0;
}

void attach_fini(struct attach *attach)
{
    while (!LIST_EMPTY(&attach->sessions))
        session_free(attach, LIST_FIRST(&attach->sessions));
    pthread_mutex_destroy(&attach->lock);
}

static struct attach_session *session_find(struct attach *attach, uint64_t number)
{
    struct attach_session *session;

    LIST_FOREACH(session, &attach->sessions, all)
    if (session->number == number)
        return session;
    return NULL;
}

static void fds_drop(const int fds[LOG_NOTE_STREAMS])
{
    for (int i = 0; i < LOG_NOTE_STREAMS; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

struct error *attach_add(struct attach *attach, uint64_t number, const int fds[LOG_NOTE_STREAMS])
{
    struct error *failure = NULL;

    pthread_mutex_lock(&attach->lock);
    bool is_known = session_find(attach, number) != NULL;
    if (!is_known && attach->count >= ATTACH_SESSIONS_MAX)
        failure = error_new(ERROR_RESOURCE_EXHAUSTED, "%zu sessions are attached", attach->count);
    if (is_known || failure) {
        fds_drop(fds);
    } else {
        struct attach_session *session = xcalloc(1, sizeof(*session));
        session->number = number;
        for (int i = 0; i < LOG_NOTE_STREAMS; i++)
            session->fds[i] = fds[i];
        LIST_INSERT_HEAD(&attach->sessions, session, all);
        attach->count++;
    }
    pthread_mutex_unlock(&attach->lock);
    return failure;
}

void attach_remove(struct attach *attach, uint64_t number)
{
    pthread_mutex_lock(&attach->lock);
    struct attach_session *session = session_find(attach, number);
    if (session)
        session_free(attach, session);
    pthread_mutex_unlock(&attach->lock);
}

/* What a full pipe took is all that its session gets: bytes that follow a gap would be taken for what comes next. */
static void session_copy(struct attach_session *session, uint32_t stream, const uint8_t *bytes, size_t size)
{
    ssize_t count;

    do
        count = write(session->fds[stream], bytes, size);
    while (count < 0 && errno == EINTR);
    if (count == (ssize_t)size)
        return;
    if (count < 0 && errno != EAGAIN) { /* nobody reads */
        close(TAKE_FD(session->fds[stream]));
        return;
    }
    session->missed_bytes = size - (count > 0 ? (size_t)count : 0);
    session_close(session);
}

void attach_copy(struct attach *attach, uint32_t stream, const uint8_t *bytes, size_t size)
{
    struct attach_session *session;

    pthread_mutex_lock(&attach->lock);
    LIST_FOREACH(session, &attach->sessions, all)
    if (session->fds[stream] >= 0)
        session_copy(session, stream, bytes, size);
    pthread_mutex_unlock(&attach->lock);
}

static void close_unread(struct attach_session *session)
{
    for (int i = 0; i < LOG_NOTE_STREAMS; i++) {
        struct pollfd pipe = {.fd = session->fds[i]};
        if (pipe.fd >= 0 && poll(&pipe, 1, 0) > 0 && pipe.revents & POLLERR)
            close(TAKE_FD(session->fds[i]));
    }
}

bool attach_next_full(struct attach *attach, uint64_t *ret_number, uint64_t *ret_missed_bytes)
{
    struct attach_session *session, *next;
    bool is_found = false;

    pthread_mutex_lock(&attach->lock);
    for (session = LIST_FIRST(&attach->sessions); session && !is_found; session = next) {
        next = LIST_NEXT(session, all);
        close_unread(session);
        is_found = session->missed_bytes > 0;
        if (!is_found && (session->fds[0] >= 0 || session->fds[1] >= 0))
            continue;
        *ret_number = session->number;
        *ret_missed_bytes = session->missed_bytes;
        session_free(attach, session);
    }
    pthread_mutex_unlock(&attach->lock);
    return is_found;
}
