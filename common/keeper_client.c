/* How a caller waits for the keeper's reply, whichever keeper gives it. */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include "common/clock.h"
#include "common/keeper_client_internal.h"
#include "common/memory.h"

enum { DEFAULT_LIMIT_S = 30, SECOND_NS = 1000000000 };

/* ---- waiting ---- */

static void pending_add(struct keeper_client *client, struct keeper_pending *pending, struct keeper_message *request)
{
    request->version = KEEPER_VERSION;
    pthread_mutex_lock(&client->lock);
    request->serial = ++client->serial;
    struct keeper_pending **end = &client->pending;
    while (*end)
        end = &(*end)->next;
    *end = pending;
    keeper_link_send(client);
    if (!pending->is_sent)
        eventfd_write(client->wake, 1);
    pthread_mutex_unlock(&client->lock);
}

/* What came of it; the lock is held. */
static struct error *pending_error(const struct keeper_client *client, const struct keeper_pending *pending)
{
    if (!pending->is_done && client->closing)
        return error_new(ERROR_UNAVAILABLE, "the keeper's client is closed");
    if (!pending->is_done)
        return error_new(ERROR_DEADLINE_EXCEEDED, "no answer from the keeper at %s", client->path);
    for (const struct keeper_reply *reply = pending->replies; reply; reply = reply->next) {
        if (reply->message.code != 0)
            return error_new((enum error_code)reply->message.code, "%s", reply->message.text);
    }
    return NULL;
}

/* CLOCK_MONOTONIC's time at the deadline: a condition can't wait by BOOTTIME. */
static struct timespec monotonic_of(int64_t deadline_ns)
{
    struct timespec now;
    int64_t left = deadline_ns - clock_boottime_ns();

    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t end = (int64_t)now.tv_sec * SECOND_NS + now.tv_nsec + (left > 0 ? left : 0);
    return (struct timespec){end / SECOND_NS, end % SECOND_NS};
}

/* Until it is answered, the deadline has passed or the client closes; then it is off the list, and the client may be gone. */
static struct error *pending_wait(struct keeper_client *client, struct keeper_pending *pending, int64_t deadline_ns)
{
    struct timespec limit = monotonic_of(deadline_ns);

    pthread_mutex_lock(&client->lock);
    while (!pending->is_done && !client->closing) {
        if (pthread_cond_clockwait(&client->changed, &client->lock, CLOCK_MONOTONIC, &limit) == ETIMEDOUT)
            break;
    }
    struct error *failure = pending_error(client, pending);
    struct keeper_pending **link = &client->pending;
    while (*link != pending)
        link = &(*link)->next;
    *link = pending->next;
    pthread_cond_broadcast(&client->changed); /* keeper_client_close waits for an empty list */
    pthread_mutex_unlock(&client->lock);
    return failure;
}

/* Sends and waits. The caller frees the replies, there are some unless it fails. */
static struct error *exchange(struct keeper_client *client, struct keeper_message *request, const int *fds,
                              size_t fd_count, int64_t deadline_ns, bool wants_all, struct keeper_reply **ret)
{
    struct keeper_pending pending = {.request = request, .fds = fds, .fd_count = fd_count, .wants_all = wants_all};

    if (fd_count > KEEPER_SPAWN_FDS)
        return error_new(ERROR_INVALID_ARGUMENT, "%zu descriptors for the keeper", fd_count);
    pending.last = &pending.replies;
    if (deadline_ns == 0)
        deadline_ns = clock_boottime_ns() + DEFAULT_LIMIT_S * (int64_t)SECOND_NS;
    pending_add(client, &pending, request);
    struct error *failure = pending_wait(client, &pending, deadline_ns);
    if (failure) {
        keeper_replies_free(pending.replies);
        return failure;
    }
    *ret = pending.replies;
    return NULL;
}

/* ---- calls ---- */

struct error *keeper_client_call(struct keeper_client *client, struct keeper_message *request, const int *fds,
                                 size_t fd_count, int64_t deadline_ns, struct keeper_message *ret_reply, int *ret_fds,
                                 size_t *ret_fd_count)
{
    struct keeper_reply *reply;

    TRY(exchange(client, request, fds, fd_count, deadline_ns, false, &reply));
    if (ret_fds) {
        *ret_fd_count = reply->fd_count < KEEPER_SPAWN_FDS ? reply->fd_count : KEEPER_SPAWN_FDS;
        memcpy(ret_fds, reply->fds, *ret_fd_count * sizeof(int));
        fds_close(reply->fds + *ret_fd_count, reply->fd_count - *ret_fd_count);
        reply->fd_count = 0;
    }
    if (ret_reply)
        *ret_reply = reply->message;
    keeper_replies_free(reply);
    return NULL;
}

struct error *keeper_client_call_each(struct keeper_client *client, struct keeper_message *request, int64_t deadline_ns,
                                      void (*each)(void *argument, const struct keeper_message *reply, const int *fds,
                                                   size_t fd_count),
                                      void *argument)
{
    struct keeper_reply *replies;

    TRY(exchange(client, request, NULL, 0, deadline_ns, true, &replies));
    for (struct keeper_reply *reply = replies; reply; reply = reply->next) {
        if (!reply->message.found && reply->fd_count == 0)
            continue; /* the one reply that says there are none */
        each(argument, &reply->message, reply->fds, reply->fd_count);
        reply->fd_count = 0; /* they are each()'s now */
    }
    keeper_replies_free(replies);
    return NULL;
}

/* ---- opening ---- */

static struct error *threads_start(struct keeper_client *client)
{
    int failure = client->wake < 0 ? errno : 0;

    if (!failure) {
        failure = pthread_create(&client->link, NULL, keeper_link_main, client);
        client->has_link = failure == 0;
    }
    if (!failure) {
        failure = pthread_create(&client->dispatcher, NULL, keeper_dispatcher_main, client);
        client->has_dispatcher = failure == 0;
    }
    return failure ? error_errno(failure, "start the keeper's client") : NULL;
}

struct error *keeper_client_open(const struct keeper_client_options *options, struct keeper_client **ret)
{
    struct keeper_client *client = xcalloc(1, sizeof(*client));

    client->options = *options;
    client->options.state_directory = NULL;
    client->path = xasprintf("%s/keeper/sock", options->state_directory);
    client->socket = -1;
    client->last_exit = &client->exits;
    client->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&client->lock, NULL);
    pthread_cond_init(&client->changed, NULL);
    struct error *failure = threads_start(client);
    if (failure) {
        keeper_client_close(client);
        return failure;
    }
    *ret = client;
    return NULL;
}

void keeper_client_close(struct keeper_client *client)
{
    if (!client)
        return;
    pthread_mutex_lock(&client->lock);
    client->closing = true;
    pthread_cond_broadcast(&client->changed);
    while (client->pending)
        pthread_cond_wait(&client->changed, &client->lock);
    pthread_mutex_unlock(&client->lock);
    if (client->wake >= 0)
        eventfd_write(client->wake, 1);
    if (client->has_link)
        pthread_join(client->link, NULL);
    if (client->has_dispatcher)
        pthread_join(client->dispatcher, NULL);
    keeper_replies_free(client->exits);
    cleanup_close(&client->socket);
    cleanup_close(&client->wake);
    pthread_cond_destroy(&client->changed);
    pthread_mutex_destroy(&client->lock);
    free(client->path);
    free(client);
}
