/* How the connection to whichever keeper lives is kept, and who gets what comes over it. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>

#include "common/keeper_client_internal.h"
#include "common/log.h"
#include "common/memory.h"

enum { RETRY_MS = 10 };

void keeper_replies_free(struct keeper_reply *reply)
{
    while (reply) {
        struct keeper_reply *next = reply->next;
        fds_close(reply->fds, reply->fd_count);
        free(reply);
        reply = next;
    }
}

/* ---- sending; all with the lock held ---- */

static void link_drop(struct keeper_client *client)
{
    close(client->socket);
    client->socket = -1;
}

/* What can never be sent (a bad descriptor) is answered here. */
static void pending_refuse(struct keeper_client *client, struct keeper_pending *pending, const struct error *error)
{
    struct keeper_reply *reply = xcalloc(1, sizeof(*reply));

    reply->message.code = (int32_t)error->code;
    snprintf(reply->message.text, sizeof(reply->message.text), "%s", error->text);
    *pending->last = reply;
    pending->last = &reply->next;
    pending->is_done = true;
    pthread_cond_broadcast(&client->changed);
}

/* False when nothing more can be sent now: the socket is full, or broken, which the reader notices. */
static bool pending_send(struct keeper_client *client, struct keeper_pending *pending)
{
    autoptr(error) failure =
        fd_send(client->socket, pending->request, sizeof(*pending->request), pending->fds, pending->fd_count);

    pending->is_sent = !failure;
    if (!failure)
        return true;
    if (failure->code == ERROR_RESOURCE_EXHAUSTED || failure->code == ERROR_UNAVAILABLE)
        return false;
    pending_refuse(client, pending, failure);
    return true;
}

void keeper_link_send(struct keeper_client *client)
{
    for (struct keeper_pending *pending = client->pending; client->socket >= 0 && pending; pending = pending->next) {
        if (!pending->is_sent && !pending->is_done && !pending_send(client, pending))
            return;
    }
}

/* A request whose reply nobody waits for. */
static void tell(struct keeper_client *client, uint32_t type, int32_t program)
{
    struct keeper_message message = {
        .version = KEEPER_VERSION, .type = type, .serial = ++client->serial, .program = program};

    error_free(fd_send(client->socket, &message, sizeof(message), NULL, 0));
}

/* The next keeper knows of nothing that was asked before. */
static void greet(struct keeper_client *client, int socket)
{
    fcntl(socket, F_SETFL, O_NONBLOCK);
    pthread_mutex_lock(&client->lock);
    client->socket = socket;
    tell(client, KEEPER_HELLO, -1);
    if (client->options.subscribe != -2)
        tell(client, KEEPER_SUBSCRIBE, client->options.subscribe);
    for (struct keeper_pending *pending = client->pending; pending; pending = pending->next) {
        if (pending->is_done)
            continue;
        pending->is_sent = false;
        keeper_replies_free(pending->replies);
        pending->replies = NULL;
        pending->last = &pending->replies;
    }
    keeper_link_send(client);
    client->announce = true;
    pthread_cond_broadcast(&client->changed);
    pthread_mutex_unlock(&client->lock);
}

/* ---- receiving ---- */

static void terminate_texts(struct keeper_message *message)
{
    message->name[KEEPER_NAME_SIZE - 1] = '\0';
    message->text[KEEPER_TEXT_SIZE - 1] = '\0';
    for (size_t i = 0; i < KEEPER_SPAWN_FDS; i++)
        message->fd_names[i][KEEPER_NAME_SIZE - 1] = '\0';
}

static struct keeper_pending *pending_find(struct keeper_client *client, uint64_t serial)
{
    for (struct keeper_pending *pending = client->pending; pending; pending = pending->next) {
        if (pending->request->serial == serial && !pending->is_done)
            return pending;
    }
    return NULL;
}

static void append(struct keeper_reply ***last, struct keeper_reply *reply)
{
    **last = reply;
    *last = &reply->next;
}

/* Gives a message to whom it is for; the lock is held. */
static void deliver(struct keeper_client *client, struct keeper_reply *reply)
{
    bool is_exit = reply->message.type == KEEPER_EXIT && client->options.on_exit;
    struct keeper_pending *pending =
        reply->message.type == KEEPER_REPLY ? pending_find(client, reply->message.serial) : NULL;

    if (is_exit) {
        append(&client->last_exit, reply);
    } else if (pending) {
        append(&pending->last, reply);
        pending->is_done = !pending->wants_all || reply->message.code != 0 || !(reply->message.flags & KEEPER_MORE);
    } else {
        keeper_replies_free(reply);
        return;
    }
    pthread_cond_broadcast(&client->changed);
}

/* Reads one message. False: the connection is of no more use. *ret_empty: none is waiting. */
static bool receive_one(struct keeper_client *client, bool *ret_empty)
{
    struct keeper_reply *reply = xcalloc(1, sizeof(*reply));
    size_t size = 0;

    autoptr(error) failure = fd_receive(client->socket, &reply->message, sizeof(reply->message), &size, reply->fds,
                                        &reply->fd_count);
    *ret_empty = failure && failure->code == ERROR_ABORTED;
    if (failure)
        reply->fd_count = 0;
    if (failure || size != sizeof(reply->message)) {
        if (failure ? !*ret_empty : size != 0)
            log_warn("the keeper sent what is no message", "size=%zu", size);
        keeper_replies_free(reply);
        return *ret_empty;
    }
    terminate_texts(&reply->message);
    pthread_mutex_lock(&client->lock);
    deliver(client, reply);
    pthread_mutex_unlock(&client->lock);
    return true;
}

static bool receive_all(struct keeper_client *client)
{
    bool empty = false;

    while (!empty) {
        if (!receive_one(client, &empty))
            return false;
    }
    return true;
}

static bool has_unsent(const struct keeper_client *client)
{
    for (const struct keeper_pending *pending = client->pending; pending; pending = pending->next) {
        if (!pending->is_sent && !pending->is_done)
            return true;
    }
    return false;
}

/* Waits for something to do, and does it. */
static void link_turn(struct keeper_client *client)
{
    struct pollfd fds[] = {{.fd = client->wake, .events = POLLIN}, {.fd = client->socket, .events = POLLIN}};
    eventfd_t value;

    pthread_mutex_lock(&client->lock);
    if (has_unsent(client))
        fds[1].events |= POLLOUT;
    pthread_mutex_unlock(&client->lock);
    poll(fds, 2, client->socket < 0 ? RETRY_MS : -1);
    if (fds[0].revents)
        eventfd_read(client->wake, &value);
    bool broken = client->socket >= 0 && (fds[1].revents & ~POLLOUT) && !receive_all(client);
    pthread_mutex_lock(&client->lock);
    if (broken)
        link_drop(client);
    keeper_link_send(client);
    pthread_mutex_unlock(&client->lock);
}

static bool is_closing(struct keeper_client *client)
{
    pthread_mutex_lock(&client->lock);
    bool closing = client->closing;
    pthread_mutex_unlock(&client->lock);
    return closing;
}

void *keeper_link_main(void *argument)
{
    struct keeper_client *client = argument;

    pthread_setname_np(pthread_self(), "keeper-link");
    while (!is_closing(client)) {
        int socket = -1;
        if (client->socket < 0) {
            autoptr(error) failure = socket_connect(client->path, &socket);
            if (!failure)
                greet(client, socket);
        }
        link_turn(client);
    }
    return NULL;
}

/* ---- callbacks ---- */

void *keeper_dispatcher_main(void *argument)
{
    struct keeper_client *client = argument;

    pthread_setname_np(pthread_self(), "keeper-events");
    pthread_mutex_lock(&client->lock);
    while (!client->closing) {
        struct keeper_reply *exit = client->exits;
        bool announce = client->announce;
        if (!exit && !announce) {
            pthread_cond_wait(&client->changed, &client->lock);
            continue;
        }
        client->announce = false;
        client->exits = NULL;
        client->last_exit = &client->exits;
        pthread_mutex_unlock(&client->lock);
        if (announce && client->options.connected)
            client->options.connected(client->options.argument, client);
        for (struct keeper_reply *each = exit; each; each = each->next)
            client->options.on_exit(client->options.argument, &each->message);
        keeper_replies_free(exit);
        pthread_mutex_lock(&client->lock);
    }
    pthread_mutex_unlock(&client->lock);
    return NULL;
}
