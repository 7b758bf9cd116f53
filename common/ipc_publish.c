/* The numbers of what is published, and the thread that sends it and beats. */
#include "common/ipc_publish.h"

#include <nng/nng.h>
#include <nng/protocol/pubsub0/pub.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/ipc_envelope.h"
#include "common/ipc_listen.h"
#include "common/ipc_nng_fix.h"
#include "common/log.h"
#include "common/memory.h"

enum {
    BEAT_S = 1,
    QUEUE_BYTES_MAX = 16 << 20, /* that nng has not taken yet; all is dropped beyond it, which is a gap */
    PEER_MESSAGES = 256,        /* that nng keeps for a slow subscriber before it drops */
    ALLOWED_MAX = 8,
    RECEIVE_MAX = 1024, /* nobody has anything to say here */
};

/* A payload that waits to be sent. */
struct letter {
    struct letter *next;
    uint64_t sequence;
    uint8_t *payload;
    size_t size;
};

struct ipc_publisher {
    nng_socket socket;
    uint8_t origin[IPC_ORIGIN_SIZE];
    uint64_t generation;
    uint32_t own_uid, allowed[ALLOWED_MAX + 1];
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    struct letter *first, **last;
    size_t queued_bytes;
    uint64_t sequence;
    bool wants_beat, is_closing;
};

static void letters_free(struct letter *letter)
{
    while (letter) {
        struct letter *next = letter->next;
        free(letter->payload);
        free(letter);
        letter = next;
    }
}

/* ---- sending ---- */

static void send_publication(struct ipc_publisher *publisher, const Bulkhead__Publication *publication)
{
    nng_msg *message;

    if (nng_msg_alloc(&message, bulkhead__publication__get_packed_size(publication)) != 0)
        abort();
    bulkhead__publication__pack(publication, nng_msg_body(message));
    int result = nng_sendmsg(publisher->socket, message, 0); /* PUB never waits: it drops what a subscriber has no room for */
    if (result == 0)
        return;
    nng_msg_free(message);
    if (result != NNG_ECLOSED)
        log_warn("a message is not published", "error=%s", nng_strerror(result));
}

/* letter NULL: a beat after that number. */
static void send_one(struct ipc_publisher *publisher, const struct letter *letter, uint64_t sequence)
{
    Bulkhead__Publication publication = BULKHEAD__PUBLICATION__INIT;

    publication.version = IPC_VERSION;
    publication.origin = (ProtobufCBinaryData){IPC_ORIGIN_SIZE, publisher->origin};
    publication.generation = publisher->generation;
    publication.sequence = sequence;
    publication.is_beat = letter == NULL;
    if (letter)
        publication.payload = (ProtobufCBinaryData){letter->size, letter->payload};
    send_publication(publisher, &publication);
}

/* Waits for something to send, or the time of a beat; with the lock held. */
static void await_work(struct ipc_publisher *publisher)
{
    struct timespec beat;

    clock_gettime(CLOCK_MONOTONIC, &beat);
    beat.tv_sec += BEAT_S;
    while (!publisher->first && !publisher->wants_beat && !publisher->is_closing) {
        if (pthread_cond_timedwait(&publisher->changed, &publisher->lock, &beat) != 0)
            publisher->wants_beat = true;
    }
}

/* One turn of the thread; false ends it. */
static bool publish_turn(struct ipc_publisher *publisher)
{
    pthread_mutex_lock(&publisher->lock);
    await_work(publisher);
    struct letter *letters = TAKE(publisher->first);
    uint64_t sequence = publisher->sequence;
    bool is_beat = publisher->wants_beat, is_closing = publisher->is_closing;
    publisher->last = &publisher->first;
    publisher->queued_bytes = 0;
    publisher->wants_beat = false;
    pthread_mutex_unlock(&publisher->lock);
    for (const struct letter *letter = letters; letter; letter = letter->next)
        send_one(publisher, letter, letter->sequence);
    if (is_beat)
        send_one(publisher, NULL, sequence);
    letters_free(letters);
    return !is_closing;
}

static void *publish_main(void *argument)
{
    struct ipc_publisher *publisher = argument;

    pthread_setname_np(pthread_self(), "ipc-publish");
    while (publish_turn(publisher))
        ;
    return NULL;
}

void ipc_publish(struct ipc_publisher *publisher, uint8_t *payload, size_t size)
{
    struct letter *letter = xcalloc(1, sizeof(*letter));

    *letter = (struct letter){.payload = payload, .size = size};
    if (!publisher) {
        letters_free(letter);
        return;
    }
    pthread_mutex_lock(&publisher->lock);
    letter->sequence = ++publisher->sequence;
    if (size > IPC_PUBLISH_MAX || publisher->queued_bytes + size > QUEUE_BYTES_MAX) {
        letters_free(letter);
        publisher->wants_beat = true; /* from which subscribers see that a number is missing */
    } else {
        *publisher->last = letter;
        publisher->last = &letter->next;
        publisher->queued_bytes += size;
    }
    pthread_cond_signal(&publisher->changed);
    pthread_mutex_unlock(&publisher->lock);
}

void ipc_publisher_position(struct ipc_publisher *publisher, uint8_t origin[IPC_ORIGIN_SIZE], uint64_t *ret_sequence)
{
    memcpy(origin, publisher->origin, IPC_ORIGIN_SIZE);
    pthread_mutex_lock(&publisher->lock);
    *ret_sequence = publisher->sequence;
    pthread_mutex_unlock(&publisher->lock);
}

/* ---- subscribers ---- */

/* On nng's threads. A connection that has not begun may be closed (see ipc_watch.c for those that have). */
static void peer_comes(nng_pipe pipe, nng_pipe_ev event, void *argument)
{
    struct ipc_publisher *publisher = argument;
    uint32_t uid = ipc_peer_uid(pipe);

    (void)event;
    if (ipc_is_allowed(uid, publisher->own_uid, publisher->allowed))
        return;
    log_warn("subscriber refused", "uid=%u", uid);
    nng_pipe_close(pipe);
}

static void peer_is_there(nng_pipe pipe, nng_pipe_ev event, void *argument)
{
    struct ipc_publisher *publisher = argument;

    (void)pipe;
    (void)event;
    pthread_mutex_lock(&publisher->lock);
    publisher->wants_beat = true;
    pthread_cond_signal(&publisher->changed);
    pthread_mutex_unlock(&publisher->lock);
}

/* ---- its life ---- */

static int socket_open(struct ipc_publisher *publisher)
{
    int result = nng_pub0_open(&publisher->socket);

    ipc_nng_fix();
    if (result == 0)
        result = nng_socket_set_int(publisher->socket, NNG_OPT_SENDBUF, PEER_MESSAGES);
    if (result == 0)
        result = nng_socket_set_size(publisher->socket, NNG_OPT_RECVMAXSZ, RECEIVE_MAX);
    if (result == 0)
        result = nng_pipe_notify(publisher->socket, NNG_PIPE_EV_ADD_PRE, peer_comes, publisher);
    if (result == 0)
        result = nng_pipe_notify(publisher->socket, NNG_PIPE_EV_ADD_POST, peer_is_there, publisher);
    return result;
}

static struct error *publisher_start(struct ipc_publisher *publisher, const struct ipc_publisher_options *options)
{
    int result = socket_open(publisher);

    if (result != 0)
        return ipc_error(result, "make a socket");
    int failure = pthread_create(&publisher->thread, NULL, publish_main, publisher);
    publisher->has_thread = failure == 0;
    if (failure)
        return error_errno(failure, "start a thread that publishes");
    return ipc_listen(publisher->socket, options->directory, "events", options->generation);
}

static void condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

struct error *ipc_publisher_open(const struct ipc_publisher_options *options, struct ipc_publisher **ret)
{
    struct ipc_publisher *publisher = xcalloc(1, sizeof(*publisher));

    publisher->generation = options->generation;
    publisher->own_uid = geteuid();
    for (size_t i = 0; options->allowed_uids && options->allowed_uids[i] && i < ALLOWED_MAX; i++)
        publisher->allowed[i] = options->allowed_uids[i];
    ipc_request_id_new(publisher->origin);
    publisher->last = &publisher->first;
    pthread_mutex_init(&publisher->lock, NULL);
    condition_init(&publisher->changed);
    struct error *error = publisher_start(publisher, options);
    if (error) {
        ipc_publisher_close(publisher);
        return error_wrap(error, "publish in %s", options->directory);
    }
    *ret = publisher;
    return NULL;
}

void ipc_publisher_close(struct ipc_publisher *publisher)
{
    if (!publisher)
        return;
    pthread_mutex_lock(&publisher->lock);
    publisher->is_closing = true;
    pthread_cond_signal(&publisher->changed);
    pthread_mutex_unlock(&publisher->lock);
    if (publisher->has_thread)
        pthread_join(publisher->thread, NULL);
    nng_close(publisher->socket);
    letters_free(publisher->first);
    pthread_cond_destroy(&publisher->changed);
    pthread_mutex_destroy(&publisher->lock);
    free(publisher);
}
