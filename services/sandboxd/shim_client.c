/* How a step is asked of a shim and waited for. */
#include "services/sandboxd/shim_client.h"

#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>

#include "common/clock.h"
#include "common/memory.h"
#include "services/sandboxd/shim_link.h"

enum { CALL_LIMIT_S = 600, SPAWN_FAILURES_MAX = 5, WAIT_SLICE_MS = 100 };

void shim_reply_fini(struct shim_reply *reply)
{
    fds_close(reply->fds, reply->fd_count);
    free(reply->data);
    memset(reply, 0, sizeof(*reply));
}

static bool reply_find(const struct shim_reply *reply, uint16_t tag, struct wire_field *ret)
{
    struct wire_reader reader = {.data = reply->data, .size = reply->size};
    struct error *error = NULL;

    while (wire_next(&reader, ret, &error))
        if (ret->tag == tag)
            return true;
    error_free(error);
    return false;
}

uint64_t shim_reply_u64(const struct shim_reply *reply, uint16_t tag)
{
    struct wire_field field;
    uint64_t value = 0;

    if (reply_find(reply, tag, &field))
        error_free(wire_u64(&field, &value));
    return value;
}

const char *shim_reply_text(const struct shim_reply *reply, uint16_t tag)
{
    struct wire_field field;
    const char *text = NULL;

    if (reply_find(reply, tag, &field))
        error_free(wire_string(&field, &text));
    return text;
}

int shim_reply_take_fd(struct shim_reply *reply, size_t index)
{
    return index < reply->fd_count ? TAKE_FD(reply->fds[index]) : -1;
}

struct shim_client *shim_client_new(const char *pod, const char *path, uint64_t generation, const struct shim_owner *owner)
{
    struct shim_client *client = xcalloc(1, sizeof(*client));
    pthread_condattr_t attributes;

    client->pod = xstrdup(pod);
    client->path = xstrdup(path);
    client->generation = generation;
    client->owner = *owner;
    client->fd = -1;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&client->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&client->lock, NULL);
    pthread_mutex_init(&client->send_lock, NULL);
    return client;
}

void shim_client_start(struct shim_client *client)
{
    pthread_attr_t attributes;

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 256 << 10);
    client->has_thread = pthread_create(&client->thread, &attributes, shim_link_run, client) == 0;
    pthread_attr_destroy(&attributes);
}

void shim_client_stop(struct shim_client *client)
{
    pthread_mutex_lock(&client->lock);
    client->is_stopped = true;
    pthread_cond_broadcast(&client->changed);
    pthread_mutex_unlock(&client->lock);
    pthread_mutex_lock(&client->send_lock);
    if (client->fd >= 0)
        shutdown(client->fd, SHUT_RDWR);
    pthread_mutex_unlock(&client->send_lock);
}

void shim_client_finish(struct shim_client *client)
{
    shim_client_stop(client);
    if (client->has_thread)
        pthread_join(client->thread, NULL);
    client->has_thread = false;
}

void shim_client_free(struct shim_client *client)
{
    if (!client)
        return;
    shim_client_finish(client);
    pthread_mutex_destroy(&client->send_lock);
    pthread_mutex_destroy(&client->lock);
    pthread_cond_destroy(&client->changed);
    free(client->spawn_text);
    free(client->pod);
    free(client->path);
    free(client);
}

uint8_t *shim_packet(uint32_t type, uint64_t step, const struct wire_writer *fields, size_t *ret_size)
{
    struct shim_header header = {.version = SHIM_VERSION, .type = type, .step = step};
    size_t size = fields ? fields->size : 0;
    uint8_t *packet = xmalloc(sizeof(header) + size);

    memcpy(packet, &header, sizeof(header));
    if (size)
        memcpy(packet + sizeof(header), fields->data, size);
    *ret_size = sizeof(header) + size;
    return packet;
}

void shim_client_wait(struct shim_client *client, unsigned milliseconds)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)(milliseconds % 1000) * 1000000;
    until.tv_sec += milliseconds / 1000 + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&client->changed, &client->lock, &until);
}

/* Why a caller should wait no longer, or NULL. The lock is held, but let go while patience is asked. */
static struct error *wait_is_over(struct shim_client *client, const struct shim_patience *patience, int64_t deadline_ns)
{
    if (client->is_stopped)
        return error_new(ERROR_ABORTED, "the pod's shim is being ended");
    if (client->spawn_failures >= SPAWN_FAILURES_MAX)
        return error_new(client->lacks_space ? ERROR_RESOURCE_EXHAUSTED : ERROR_UNAVAILABLE, "no shim can be started: %s",
                         client->spawn_text ? client->spawn_text : "");
    if (clock_boottime_ns() >= deadline_ns)
        return error_new(ERROR_DEADLINE_EXCEEDED, "the pod's shim did not finish in time%s%s",
                         client->spawn_text ? ": " : "", client->spawn_text ? client->spawn_text : "");
    if (!patience || !patience->is_over)
        return NULL;
    pthread_mutex_unlock(&client->lock);
    bool is_over = patience->is_over(patience->argument);
    pthread_mutex_lock(&client->lock);
    return is_over ? error_new(ERROR_CANCELLED, "nobody waits for it any more") : NULL;
}

static int64_t patience_deadline(const struct shim_patience *patience)
{
    if (patience && patience->deadline_ns)
        return patience->deadline_ns;
    return clock_boottime_ns() + (int64_t)CALL_LIMIT_S * 1000000000;
}

static void step_unlink(struct shim_client *client, struct shim_step *step)
{
    struct shim_step **at = &client->steps;

    while (*at != step)
        at = &(*at)->next;
    *at = step->next;
}

static struct error *step_wait(struct shim_client *client, struct shim_step *step, const struct shim_patience *patience)
{
    int64_t deadline_ns = patience_deadline(patience);

    pthread_mutex_lock(&client->lock);
    struct error *error = NULL;
    while (!step->is_done && !(error = wait_is_over(client, patience, deadline_ns)))
        if (!step->is_done)
            shim_client_wait(client, WAIT_SLICE_MS);
    step_unlink(client, step);
    pthread_mutex_unlock(&client->lock);
    if (step->is_done) {
        error_free(error);
        return NULL;
    }
    return error;
}

static struct error *reply_error(const struct shim_reply *reply)
{
    const char *text = shim_reply_text(reply, SHIM_TAG_TEXT);

    return error_new(reply->header.code, "%s", text ? text : "the shim refused without a reason");
}

struct error *shim_client_call(struct shim_client *client, uint64_t step_id, enum shim_type type,
                               const struct wire_writer *fields, const struct shim_patience *patience,
                               struct shim_reply *ret)
{
    struct shim_step step = {.id = step_id};
    autofree uint8_t *packet = shim_packet(type, step_id, fields, &step.size);

    if (step.size > WIRE_SIZE_MAX)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "a step of %zu bytes is larger than the shim takes (%d)", step.size,
                         WIRE_SIZE_MAX);
    step.packet = packet;
    pthread_mutex_lock(&client->lock);
    step.next = client->steps;
    client->steps = &step;
    bool may_send = client->is_synced;
    step.sent_on = may_send ? client->connection : 0;
    pthread_mutex_unlock(&client->lock);
    if (may_send)
        shim_link_send(client, packet, step.size);

    struct error *error = step_wait(client, &step, patience);
    if (!error && step.reply.header.code != 0)
        error = reply_error(&step.reply);
    if (error) {
        shim_reply_fini(&step.reply);
        return error;
    }
    *ret = step.reply;
    return NULL;
}

void shim_client_ack(struct shim_client *client, uint64_t step)
{
    size_t size;
    autofree uint8_t *packet = shim_packet(SHIM_ACK, step, NULL, &size);

    shim_link_send(client, packet, size);
}

void shim_client_ack_exit(struct shim_client *client, const char *container)
{
    struct wire_writer fields = {0};
    size_t size;

    wire_put_string(&fields, SHIM_TAG_CONTAINER, container);
    autofree uint8_t *packet = shim_packet(SHIM_ACK_EXIT, 0, &fields, &size);
    wire_writer_fini(&fields);
    shim_link_send(client, packet, size);
}

void shim_client_list(struct shim_client *client)
{
    size_t size;
    autofree uint8_t *packet = shim_packet(SHIM_LIST, 0, NULL, &size);

    shim_link_send(client, packet, size);
}

struct error *shim_client_wait_idle(struct shim_client *client, const struct shim_patience *patience)
{
    int64_t deadline_ns = patience_deadline(patience);
    struct error *error = NULL;

    for (;;) {
        pthread_mutex_lock(&client->lock);
        uint64_t lists = client->lists;
        pthread_mutex_unlock(&client->lock);
        shim_client_list(client);
        pthread_mutex_lock(&client->lock);
        for (unsigned i = 0; i < 20 && client->lists == lists && !(error = wait_is_over(client, patience, deadline_ns)); i++)
            shim_client_wait(client, WAIT_SLICE_MS);
        bool is_idle = client->lists != lists && client->running_count == 0;
        if (!is_idle && !error && client->lists != lists)
            shim_client_wait(client, WAIT_SLICE_MS);
        pthread_mutex_unlock(&client->lock);
        if (error || is_idle)
            return error;
    }
}

uint64_t shim_step_new(void)
{
    uint64_t id = 0;

    while (id == 0)
        if (getrandom(&id, sizeof(id), 0) != sizeof(id))
            abort();
    return id;
}

uint64_t shim_step_derive(const char *object, const char *name, uint64_t number)
{
    autofree char *text = xasprintf("%s/%s/%llu", object, name, (unsigned long long)number);
    uint64_t hash = 14695981039346656037u; /* FNV-1a */

    for (const char *c = text; *c; c++)
        hash = (hash ^ (uint8_t)*c) * 1099511628211u;
    return hash ? hash : 1;
}
