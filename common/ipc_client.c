/* How a call is carried until its answer comes: contexts, deadlines, cancels. */
#include <errno.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <pthread.h>
#include <string.h>

#include "common/clock.h"
#include "common/ipc_envelope.h"
#include "common/ipc_nng_fix.h"
#include "common/ipc_watch.h"
#include "common/log.h"
#include "common/memory.h"

enum { DEFAULT_LIMIT_S = 600, CANCEL_LIMIT_S = 10, NEVER_MS = INT32_MAX };

/* A call on its way. */
struct flight {
    struct flight *next, *previous;
    struct ipc_client *client;
    uint8_t id[IPC_REQUEST_ID_SIZE];
    bool cancelled;
    char *method;
    int64_t deadline_ns;
    nng_ctx context;
    nng_aio *aio;
    bool has_context, is_sent;
    ipc_done *done; /* NULL: a thread waits */
    void *argument;
};

struct ipc_client {
    char *directory;
    nng_socket socket;
    struct ipc_watch *watch;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t landed;
    struct flight *first;
    struct flight *idle; /* asynchronous ones that have ended, with their aio: it can't be freed in its own callback */
    bool closing;
};

static struct error *unavailable(const struct ipc_client *client, const char *method)
{
    return error_new(ERROR_UNAVAILABLE, "%s: the client of %s is closed", method, client->directory);
}

static bool flight_add(struct flight *flight)
{
    struct ipc_client *client = flight->client;

    pthread_mutex_lock(&client->lock);
    bool open = !client->closing;
    if (open) {
        flight->next = client->first;
        if (flight->next)
            flight->next->previous = flight;
        client->first = flight;
    }
    pthread_mutex_unlock(&client->lock);
    return open;
}

/* With the lock held. */
static void flight_unlink(struct flight *flight)
{
    if (flight->next)
        flight->next->previous = flight->previous;
    if (flight->previous)
        flight->previous->next = flight->next;
    else
        flight->client->first = flight->next;
}

static void flight_remove(struct flight *flight)
{
    struct ipc_client *client = flight->client;

    pthread_mutex_lock(&client->lock);
    flight_unlink(flight);
    pthread_cond_broadcast(&client->landed);
    pthread_mutex_unlock(&client->lock);
}

/* One from the idle list, of which only the aio is kept, or a new one. */
static struct flight *flight_take(struct ipc_client *client)
{
    pthread_mutex_lock(&client->lock);
    struct flight *flight = client->idle;
    if (flight)
        client->idle = flight->next;
    pthread_mutex_unlock(&client->lock);
    if (!flight)
        return xcalloc(1, sizeof(*flight));
    *flight = (struct flight){.aio = flight->aio};
    return flight;
}

static void flights_free(struct flight *flight)
{
    while (flight) {
        struct flight *next = flight->next;
        nng_aio_free(flight->aio);
        free(flight);
        flight = next;
    }
}

static struct flight *flight_new(struct ipc_client *client, const char *method, const uint8_t *id, int64_t deadline_ns,
                                 ipc_done *done, void *argument)
{
    struct flight *flight = done ? flight_take(client) : xcalloc(1, sizeof(*flight));

    flight->client = client;
    flight->method = xstrdup(method);
    flight->deadline_ns = deadline_ns ? deadline_ns : clock_boottime_ns() + DEFAULT_LIMIT_S * INT64_C(1000000000);
    flight->done = done;
    flight->argument = argument;
    if (id)
        memcpy(flight->id, id, sizeof(flight->id));
    else
        ipc_request_id_new(flight->id);
    return flight;
}

/* Its end. After that nothing of the client is touched: it may be closed. */
static void flight_end(struct flight *flight)
{
    struct ipc_client *client = flight->client;

    if (flight->has_context)
        nng_ctx_close(flight->context);
    free(flight->method);
    if (!flight->done) {
        if (flight->aio)
            nng_aio_free(flight->aio);
        flight_remove(flight);
        free(flight);
        return;
    }
    pthread_mutex_lock(&client->lock);
    flight_unlink(flight);
    flight->next = client->idle;
    client->idle = flight;
    pthread_cond_broadcast(&client->landed);
    pthread_mutex_unlock(&client->lock);
}

/* Milliseconds until the deadline, at least 1: 0 would be a poll. */
static nng_duration left_ms(const struct flight *flight)
{
    int64_t left = (flight->deadline_ns - clock_boottime_ns()) / 1000000 + 1;

    return left < 1 ? 1 : left > NEVER_MS ? NEVER_MS : (nng_duration)left;
}

static struct error *flight_prepare(struct flight *flight, const void *payload, size_t size, void (*callback)(void *))
{
    nng_msg *message;

    if (clock_boottime_ns() >= flight->deadline_ns)
        return error_new(ERROR_DEADLINE_EXCEEDED, "%s: the deadline has passed", flight->method);
    int result = nng_ctx_open(&flight->context, flight->client->socket);
    flight->has_context = result == 0;
    if (result == 0) /* it is sent again when the connection ends, never because time has passed */
        result = nng_ctx_set_ms(flight->context, NNG_OPT_REQ_RESENDTIME, NEVER_MS);
    if (result == 0 && !flight->aio)
        result = nng_aio_alloc(&flight->aio, callback, flight);
    if (result != 0)
        return ipc_error(result, flight->method);
    TRY(ipc_request_pack(flight->method, flight->id, flight->deadline_ns, payload, size, &message));
    nng_aio_set_msg(flight->aio, message);
    nng_aio_set_timeout(flight->aio, left_ms(flight));
    return NULL;
}

static struct error *flight_error(const struct flight *flight, int result)
{
    autofree char *what = xasprintf("%s: no answer from %s", flight->method, flight->client->directory);

    return ipc_error(result, what);
}

/* Sends, or after that receives; the completion comes on the aio. */
static void flight_start(struct flight *flight)
{
    if (flight->is_sent)
        nng_ctx_recv(flight->context, flight->aio);
    else
        nng_ctx_send(flight->context, flight->aio);
}

/* After a completion: true when it was the sending's, and the answer is to be received. */
static bool flight_goes_on(struct flight *flight)
{
    if (flight->is_sent || nng_aio_result(flight->aio) != 0)
        return false;
    flight->is_sent = true;
    nng_aio_set_timeout(flight->aio, left_ms(flight));
    return true;
}

static struct error *flight_result(struct flight *flight, uint8_t **ret_reply, size_t *ret_size)
{
    int result = nng_aio_result(flight->aio);
    nng_msg *message = result == 0 || !flight->is_sent ? nng_aio_get_msg(flight->aio) : NULL;
    struct error *error =
        result == 0 ? ipc_reply_unpack(message, ret_reply, ret_size) : flight_error(flight, result);

    if (message)
        nng_msg_free(message);
    return error;
}

static struct error *flight_wait(struct flight *flight, const void *payload, size_t size, uint8_t **ret_reply,
                                 size_t *ret_size)
{
    TRY(flight_prepare(flight, payload, size, NULL));
    do {
        flight_start(flight);
        nng_aio_wait(flight->aio);
    } while (flight_goes_on(flight));
    return flight_result(flight, ret_reply, ret_size);
}

struct error *ipc_client_call(struct ipc_client *client, const char *method, const uint8_t *id, int64_t deadline_ns,
                              const void *payload, size_t size, uint8_t **ret_reply, size_t *ret_size)
{
    struct flight *flight = flight_new(client, method, id, deadline_ns, NULL, NULL);

    if (!flight_add(flight)) {
        free(flight->method);
        free(flight);
        return unavailable(client, method);
    }
    struct error *error = flight_wait(flight, payload, size, ret_reply, ret_size);
    flight_end(flight);
    return error;
}

static void flight_callback(void *argument)
{
    struct flight *flight = argument;
    uint8_t *reply = NULL;
    size_t size = 0;

    if (flight_goes_on(flight)) {
        flight_start(flight);
        return;
    }
    struct error *error = flight_result(flight, &reply, &size);
    flight->done(flight->argument, error, reply, size);
    flight_end(flight);
}

void ipc_client_call_async(struct ipc_client *client, const char *method, const uint8_t *id, int64_t deadline_ns,
                           const void *payload, size_t size, ipc_done *done, void *argument)
{
    struct flight *flight = flight_new(client, method, id, deadline_ns, done, argument);

    if (!flight_add(flight)) {
        free(flight->method);
        if (flight->aio)
            nng_aio_free(flight->aio);
        free(flight);
        done(argument, unavailable(client, method), NULL, 0);
        return;
    }
    struct error *error = flight_prepare(flight, payload, size, flight_callback);
    if (!error) {
        flight_start(flight); /* from here on it is the callback's */
        return;
    }
    flight_end(flight);
    done(argument, error, NULL, 0);
}

static void cancel_done(void *argument, struct error *error, uint8_t *reply, size_t size)
{
    (void)argument;
    (void)size;
    error_free(error); /* the daemon may have ended: its successor hears of it by renewed() */
    free(reply);
}

static void cancel_send(struct ipc_client *client, const uint8_t *id)
{
    Bulkhead__CancelRequest cancel = BULKHEAD__CANCEL_REQUEST__INIT;
    uint8_t payload[64];

    cancel.request_id = (ProtobufCBinaryData){IPC_REQUEST_ID_SIZE, (uint8_t *)id};
    size_t size = bulkhead__cancel_request__pack(&cancel, payload);
    ipc_client_call_async(client, "Cancel", NULL, clock_boottime_ns() + CANCEL_LIMIT_S * INT64_C(1000000000), payload,
                          size, cancel_done, NULL);
}

void ipc_client_cancel(struct ipc_client *client, const uint8_t *id)
{
    pthread_mutex_lock(&client->lock);
    for (struct flight *flight = client->first; flight; flight = flight->next) {
        if (memcmp(flight->id, id, IPC_REQUEST_ID_SIZE) == 0)
            flight->cancelled = true;
    }
    pthread_mutex_unlock(&client->lock);
    cancel_send(client, id);
}

/* The next generation gets the requests again, so it has to hear again who has gone. */
static void renewed(void *argument)
{
    struct ipc_client *client = argument;
    uint8_t(*ids)[IPC_REQUEST_ID_SIZE] = NULL;
    size_t count = 0;

    pthread_mutex_lock(&client->lock);
    for (struct flight *flight = client->first; flight; flight = flight->next) {
        if (!flight->cancelled)
            continue;
        ids = xreallocarray(ids, count + 1, sizeof(*ids));
        memcpy(ids[count++], flight->id, sizeof(*ids));
    }
    pthread_mutex_unlock(&client->lock);
    for (size_t i = 0; i < count; i++)
        cancel_send(client, ids[i]);
    free(ids);
}

static struct error *client_start(struct ipc_client *client)
{
    int result = nng_req0_open(&client->socket);

    ipc_nng_fix();
    if (result == 0)
        result = nng_socket_set_size(client->socket, NNG_OPT_RECVMAXSZ, IPC_REPLY_MAX + IPC_ENVELOPE_SIZE);
    if (result != 0)
        return ipc_error(result, "make a socket");
    return ipc_watch_open(client->socket, client->directory, "sock", renewed, client, &client->watch);
}

struct error *ipc_client_open(const char *directory, struct ipc_client **ret)
{
    struct ipc_client *client = xcalloc(1, sizeof(*client));

    client->directory = xstrdup(directory);
    pthread_mutex_init(&client->lock, NULL);
    pthread_cond_init(&client->landed, NULL);
    struct error *failure = client_start(client);
    if (failure) {
        ipc_client_close(client);
        return error_wrap(failure, "call %s", directory);
    }
    *ret = client;
    return NULL;
}

void ipc_client_close(struct ipc_client *client)
{
    if (!client)
        return;
    ipc_watch_stop(client->watch);
    pthread_mutex_lock(&client->lock);
    client->closing = true;
    pthread_mutex_unlock(&client->lock);
    nng_close(client->socket);
    pthread_mutex_lock(&client->lock);
    while (client->first)
        pthread_cond_wait(&client->landed, &client->lock);
    pthread_mutex_unlock(&client->lock);
    flights_free(client->idle);
    ipc_watch_free(client->watch);
    pthread_cond_destroy(&client->landed);
    pthread_mutex_destroy(&client->lock);
    free(client->directory);
    free(client);
}
