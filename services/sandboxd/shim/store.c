/* How the shim talks to the keeper. */
#include "services/sandboxd/shim/store.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/keeper_protocol.h"
#include "common/log.h"
#include "common/memory.h"
#include "services/sandboxd/shim/container.h"
#include "services/sandboxd/shim/exec.h"
#include "services/sandboxd/shim/shim.h"

enum { RETRY_MS = 20, NS_PER_MS = 1000000, REPLY_LIMIT_MS = 3000 };

struct store_packet {
    struct store_packet *next;
    struct keeper_message message;
    int fd; /* owned; -1: none */
};

static void store_pop(struct store *store)
{
    struct store_packet *packet = store->first;

    store->first = packet->next;
    if (!store->first)
        store->last = NULL;
    if (packet->fd >= 0)
        close(packet->fd);
    free(packet);
}

static void store_disconnect(struct shim *shim)
{
    struct store *store = &shim->store;
    int fd = store->source.fd;

    loop_forget(&shim->loop, &store->source);
    if (fd >= 0)
        close(fd);
    while (store->first)
        store_pop(store);
    loop_arm(&shim->loop, &store->retry, RETRY_MS);
}

static struct error *store_try(struct store *store, const struct keeper_message *message, int fd)
{
    return fd_send(store->source.fd, message, sizeof(*message), &fd, fd >= 0 ? 1 : 0);
}

static void store_queue(struct shim *shim, const struct keeper_message *message, int fd)
{
    struct store *store = &shim->store;
    struct store_packet *packet = xcalloc(1, sizeof(*packet));

    packet->message = *message;
    packet->fd = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;
    if (store->last)
        store->last->next = packet;
    else
        store->first = packet;
    store->last = packet;
    error_free(loop_change(&shim->loop, &store->source, EPOLLIN | EPOLLOUT));
}

static void store_send(struct shim *shim, struct keeper_message *message, int fd)
{
    struct store *store = &shim->store;

    message->version = KEEPER_VERSION;
    message->serial = ++store->serial;
    message->program = KEEPER_SHIM;
    if (!message->name[0])
        snprintf(message->name, sizeof(message->name), "%s", shim->pod_id);
    if (store->source.fd < 0)
        return;
    if (store->first) {
        store_queue(shim, message, fd);
        return;
    }
    autoptr(error) failure = store_try(store, message, fd);
    if (failure && failure->code == ERROR_RESOURCE_EXHAUSTED)
        store_queue(shim, message, fd);
    else if (failure)
        store_disconnect(shim);
}

static void store_flush(struct shim *shim)
{
    struct store *store = &shim->store;

    while (store->first) {
        autoptr(error) failure = store_try(store, &store->first->message, store->first->fd);
        if (failure && failure->code == ERROR_RESOURCE_EXHAUSTED)
            return;
        if (failure) {
            store_disconnect(shim);
            return;
        }
        store_pop(store);
    }
    error_free(loop_change(&shim->loop, &store->source, EPOLLIN));
}

bool store_is_flushed(const struct shim *shim)
{
    return shim->store.first == NULL;
}

void store_put(struct shim *shim, const char *owner, const char *suffix, int fd)
{
    struct keeper_message message = {.type = KEEPER_STORE_PUT, .fd_count = 1};

    if (fd < 0)
        return;
    snprintf(message.fd_names[0], sizeof(message.fd_names[0]), "%s.%s", owner, suffix);
    store_send(shim, &message, fd);
}

void store_drop(struct shim *shim, const char *owner, const char *suffix)
{
    struct keeper_message message = {.type = KEEPER_STORE_DROP, .fd_count = 1};

    snprintf(message.fd_names[0], sizeof(message.fd_names[0]), "%s.%s", owner, suffix);
    store_send(shim, &message, -1);
}

void store_drop_all(struct shim *shim)
{
    struct keeper_message message = {.type = KEEPER_STORE_DROP};

    store_send(shim, &message, -1);
}

void store_drop_exit(struct shim *shim, const struct process_id *process)
{
    struct keeper_message message = {.type = KEEPER_DROP_EXIT, .process = *process};

    store_send(shim, &message, -1);
}

static void store_hello(struct shim *shim)
{
    struct keeper_message message = {.type = KEEPER_HELLO};

    error_free(process_id_read(getpid(), &message.process)); /* a courtesy: the keeper knows its children */
    store_send(shim, &message, -1);
}

static void store_put_all(struct shim *shim)
{
    pod_store(shim);
    for (const struct container *container = shim->containers; container; container = container->next)
        container_store(shim, container);
    exec_store_all(shim);
}

static void store_ready(struct shim *shim, void *owner, uint32_t events)
{
    struct keeper_message reply;
    size_t size, count = 0;
    int fds[FD_PASS_MAX];

    (void)owner;
    if (events & EPOLLOUT)
        store_flush(shim);
    if (shim->store.source.fd < 0 || !(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        return;
    autoptr(error) failure = fd_receive(shim->store.source.fd, &reply, sizeof(reply), &size, fds, &count);
    if (failure && failure->code == ERROR_ABORTED)
        return;
    if (failure || size != sizeof(reply)) {
        store_disconnect(shim);
        return;
    }
    fds_close(fds, count);
    if (reply.type == KEEPER_REPLY && reply.code != ERROR_OK)
        log_warn("the keeper refused", "serial=%llu code=%s text=%s", (unsigned long long)reply.serial,
                 error_code_name((enum error_code)reply.code), log_quote(reply.text));
}

static struct error *store_connect(const struct shim *shim, int *ret_fd)
{
    autofree char *path = xasprintf("%s/keeper/sock", shim->state);

    return socket_connect(path, ret_fd);
}

static void store_retry(struct shim *shim, void *owner)
{
    struct store *store = owner;
    int fd;

    autoptr(error) failure = store_connect(shim, &fd);
    if (failure) {
        loop_arm(&shim->loop, &store->retry, RETRY_MS);
        return;
    }
    fcntl(fd, F_SETFL, O_NONBLOCK);
    store->source.fd = fd;
    error_free(loop_watch(&shim->loop, &store->source, EPOLLIN));
    store_hello(shim);
    store_put_all(shim);
}

void store_open(struct shim *shim)
{
    struct store *store = &shim->store;

    store->source = (struct source){.fd = -1, .ready = store_ready, .owner = store};
    store->retry = (struct timer){.fire = store_retry, .owner = store};
    store_retry(shim, store);
}

/* --- a successor's question --------------------------------------------------------------------------------------- */

static struct error *await_reply(int fd, uint64_t serial, struct keeper_message *reply, int fds[FD_PASS_MAX],
                                 size_t *ret_count)
{
    for (;;) {
        struct pollfd watch = {.fd = fd, .events = POLLIN};
        size_t size;
        if (poll(&watch, 1, REPLY_LIMIT_MS) <= 0)
            return error_new(ERROR_UNAVAILABLE, "the keeper does not answer");
        TRY(fd_receive(fd, reply, sizeof(*reply), &size, fds, ret_count));
        if (size != sizeof(*reply))
            return error_new(ERROR_UNAVAILABLE, "the keeper is gone");
        if (reply->type == KEEPER_REPLY && reply->serial == serial)
            return reply->code ? error_new((enum error_code)reply->code, "keeper: %.200s", reply->text) : NULL;
        fds_close(fds, *ret_count);
    }
}

static struct error *ask_once(struct shim *shim, void (*each)(struct shim *shim, const char *name, int fd))
{
    struct keeper_message hello = {.version = KEEPER_VERSION, .type = KEEPER_HELLO, .serial = 1, .program = KEEPER_SHIM};
    struct keeper_message get = {.version = KEEPER_VERSION, .type = KEEPER_STORE_GET, .serial = 2, .program = KEEPER_SHIM};
    struct keeper_message reply;
    int fds[FD_PASS_MAX];
    size_t count = 0;
    autoclose int fd = -1;

    TRY(store_connect(shim, &fd));
    snprintf(hello.name, sizeof(hello.name), "%s", shim->pod_id);
    snprintf(get.name, sizeof(get.name), "%s", shim->pod_id);
    TRY(fd_send(fd, &hello, sizeof(hello), NULL, 0));
    TRY(await_reply(fd, hello.serial, &reply, fds, &count));
    fds_close(fds, count);
    TRY(fd_send(fd, &get, sizeof(get), NULL, 0));
    do {
        struct error *failure = await_reply(fd, get.serial, &reply, fds, &count);
        if (failure && failure->code == ERROR_NOT_FOUND) {
            error_free(failure); /* a pod without fds, or a keeper that lost its own */
            return NULL;
        }
        TRY(failure);
        for (size_t i = 0; i < count && i < KEEPER_SPAWN_FDS; i++)
            each(shim, reply.fd_names[i], fds[i]);
    } while (reply.flags & KEEPER_MORE);
    return NULL;
}

struct error *store_get_all(struct shim *shim, int64_t limit_ms,
                            void (*each)(struct shim *shim, const char *name, int fd))
{
    int64_t deadline_ns = clock_boottime_ns() + limit_ms * NS_PER_MS;

    for (;;) {
        struct error *failure = ask_once(shim, each);
        if (!failure || failure->code != ERROR_UNAVAILABLE || clock_boottime_ns() >= deadline_ns)
            return failure;
        error_free(failure);
        poll(NULL, 0, RETRY_MS / 4);
    }
}
