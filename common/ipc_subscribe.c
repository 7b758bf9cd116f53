/* How what is published comes in: one receive under way, whose end wakes the thread that waits. */
#include <nng/nng.h>
#include <nng/protocol/pubsub0/sub.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "common/ipc_envelope.h"
#include "common/ipc_nng_fix.h"
#include "common/ipc_publish.h"
#include "common/ipc_watch.h"
#include "common/log.h"
#include "common/memory.h"

enum { WAITING_MESSAGES = 256 }; /* that nng keeps for us before it drops */

struct ipc_subscriber {
    nng_socket socket;
    nng_aio *aio;
    struct ipc_watch *watch;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    bool is_receiving, is_received, is_woken;
};

/* On nng's threads. */
static void received(void *argument)
{
    struct ipc_subscriber *subscriber = argument;

    pthread_mutex_lock(&subscriber->lock);
    subscriber->is_receiving = false;
    subscriber->is_received = true;
    pthread_cond_signal(&subscriber->changed);
    pthread_mutex_unlock(&subscriber->lock);
}

/* False for what is no publication. */
static bool publication_read(nng_msg *message, struct ipc_publication *ret)
{
    Bulkhead__Publication *publication =
        bulkhead__publication__unpack(NULL, nng_msg_len(message), nng_msg_body(message));
    bool is_good = publication && publication->version >= 1 && publication->origin.len == IPC_ORIGIN_SIZE;

    if (is_good) {
        *ret = (struct ipc_publication){.generation = publication->generation,
                                        .sequence = publication->sequence,
                                        .is_beat = publication->is_beat,
                                        .payload = publication->payload.data,
                                        .size = publication->payload.len};
        memcpy(ret->origin, publication->origin.data, IPC_ORIGIN_SIZE);
        publication->payload = (ProtobufCBinaryData){0};
    }
    if (publication)
        bulkhead__publication__free_unpacked(publication, NULL);
    return is_good;
}

/* The message of a receive that has ended. */
static bool received_take(struct ipc_subscriber *subscriber, struct ipc_publication *ret)
{
    if (nng_aio_result(subscriber->aio) != 0)
        return false; /* the socket is closed */
    nng_msg *message = nng_aio_get_msg(subscriber->aio);
    bool is_good = publication_read(message, ret);
    nng_msg_free(message);
    if (!is_good)
        log_warn("a message that is no publication", "socket=events");
    return is_good;
}

/* Lock held. A wake is used up by the wait that it ends. */
static bool await_message(struct ipc_subscriber *subscriber, int timeout_ms)
{
    struct timespec end;
    int result = 0;

    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += timeout_ms / 1000;
    end.tv_nsec += timeout_ms % 1000 * 1000000L;
    end.tv_sec += end.tv_nsec / 1000000000L;
    end.tv_nsec %= 1000000000L;
    while (!subscriber->is_received && !subscriber->is_woken && result == 0)
        result = pthread_cond_timedwait(&subscriber->changed, &subscriber->lock, &end);
    bool is_received = subscriber->is_received;
    if (!is_received)
        subscriber->is_woken = false;
    subscriber->is_received = false;
    return is_received;
}

bool ipc_subscriber_next(struct ipc_subscriber *subscriber, int timeout_ms, struct ipc_publication *ret)
{
    pthread_mutex_lock(&subscriber->lock);
    bool must_receive = !subscriber->is_receiving && !subscriber->is_received;
    subscriber->is_receiving = subscriber->is_receiving || must_receive;
    pthread_mutex_unlock(&subscriber->lock);
    if (must_receive)
        nng_recv_aio(subscriber->socket, subscriber->aio);
    pthread_mutex_lock(&subscriber->lock);
    bool is_received = await_message(subscriber, timeout_ms);
    pthread_mutex_unlock(&subscriber->lock);
    return is_received && received_take(subscriber, ret);
}

void ipc_subscriber_wake(struct ipc_subscriber *subscriber)
{
    pthread_mutex_lock(&subscriber->lock);
    subscriber->is_woken = true;
    pthread_cond_signal(&subscriber->changed);
    pthread_mutex_unlock(&subscriber->lock);
}

static struct error *subscriber_start(struct ipc_subscriber *subscriber, const char *directory)
{
    int result = nng_sub0_open(&subscriber->socket);

    ipc_nng_fix();
    if (result == 0)
        result = nng_socket_set(subscriber->socket, NNG_OPT_SUB_SUBSCRIBE, "", 0);
    if (result == 0)
        result = nng_socket_set_int(subscriber->socket, NNG_OPT_RECVBUF, WAITING_MESSAGES);
    if (result == 0)
        result = nng_socket_set_size(subscriber->socket, NNG_OPT_RECVMAXSZ, IPC_PUBLISH_MAX + IPC_ENVELOPE_SIZE);
    if (result == 0)
        result = nng_aio_alloc(&subscriber->aio, received, subscriber);
    if (result != 0)
        return ipc_error(result, "make a socket");
    return ipc_watch_open(subscriber->socket, directory, "events", NULL, NULL, &subscriber->watch);
}

struct error *ipc_subscriber_open(const char *directory, struct ipc_subscriber **ret)
{
    struct ipc_subscriber *subscriber = xcalloc(1, sizeof(*subscriber));
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&subscriber->lock, NULL);
    pthread_cond_init(&subscriber->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    struct error *error = subscriber_start(subscriber, directory);
    if (error) {
        ipc_subscriber_close(subscriber);
        return error_wrap(error, "subscribe to %s", directory);
    }
    *ret = subscriber;
    return NULL;
}

void ipc_subscriber_close(struct ipc_subscriber *subscriber)
{
    if (!subscriber)
        return;
    ipc_watch_stop(subscriber->watch);
    nng_close(subscriber->socket);
    if (subscriber->aio) {
        nng_aio_stop(subscriber->aio);
        if (subscriber->is_received && nng_aio_result(subscriber->aio) == 0)
            nng_msg_free(nng_aio_get_msg(subscriber->aio));
        nng_aio_free(subscriber->aio);
    }
    ipc_watch_free(subscriber->watch);
    pthread_cond_destroy(&subscriber->changed);
    pthread_mutex_destroy(&subscriber->lock);
    free(subscriber);
}
