/* The connection to a shim: who makes it, what is said first, how its packets reach those who wait. */
#include "services/sandboxd/shim_link.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"

enum { PAUSE_FIRST_MS = 2, PAUSE_MAX_MS = 200, SPAWN_AGAIN_MS = 3000, SILENCE_MS = 5000, SILENCES_MAX = 3 };

void shim_link_send(struct shim_client *client, const void *packet, size_t size)
{
    pthread_mutex_lock(&client->send_lock);
    if (client->fd >= 0) {
        struct error *error = fd_send(client->fd, packet, size, NULL, 0);
        if (error) /* full for too long, or gone: the reading side sees the end, and everything is sent again */
            shutdown(client->fd, SHUT_RDWR);
        error_free(error);
    }
    pthread_mutex_unlock(&client->send_lock);
}

static bool link_is_stopped(struct shim_client *client)
{
    pthread_mutex_lock(&client->lock);
    bool is_stopped = client->is_stopped;
    pthread_mutex_unlock(&client->lock);
    return is_stopped;
}

static void link_pause(struct shim_client *client, unsigned *pause_ms)
{
    pthread_mutex_lock(&client->lock);
    if (!client->is_stopped)
        shim_client_wait(client, *pause_ms);
    pthread_mutex_unlock(&client->lock);
    *pause_ms = *pause_ms * 2 < PAUSE_MAX_MS ? *pause_ms * 2 : PAUSE_MAX_MS;
}

/* Notes how a spawn went; takes the error. */
static void link_note_spawn(struct shim_client *client, struct error *error)
{
    if (error)
        log_warn("no shim could be started", "pod=%s error=%s", client->pod, log_quote(error->text));
    pthread_mutex_lock(&client->lock);
    free(client->spawn_text);
    client->spawn_text = error ? xstrdup(error->text) : NULL;
    client->lacks_space = error && error->code == ERROR_RESOURCE_EXHAUSTED;
    client->spawn_failures = error ? client->spawn_failures + 1 : 0;
    pthread_cond_broadcast(&client->changed);
    pthread_mutex_unlock(&client->lock);
    error_free(error);
}

/* Connects, with a shim started where none listens; false when the client is stopped. */
static bool link_connect(struct shim_client *client)
{
    unsigned pause_ms = PAUSE_FIRST_MS;
    int64_t spawn_at_ns = 0;
    int fd = -1;

    while (!link_is_stopped(client)) {
        struct error *error = socket_connect(client->path, &fd);
        if (!error)
            break;
        error_free(error);
        if (clock_boottime_ns() >= spawn_at_ns) {
            struct error *failure = client->owner.spawn(client->owner.argument);
            spawn_at_ns = clock_boottime_ns() + (int64_t)(failure ? pause_ms : SPAWN_AGAIN_MS) * 1000000;
            link_note_spawn(client, failure);
        }
        link_pause(client, &pause_ms);
    }
    if (fd < 0)
        return false;
    struct timeval limit = {.tv_sec = 2};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    link_note_spawn(client, NULL);
    pthread_mutex_lock(&client->send_lock);
    client->fd = fd;
    pthread_mutex_unlock(&client->send_lock);
    return true;
}

static void link_disconnect(struct shim_client *client)
{
    pthread_mutex_lock(&client->lock);
    client->is_synced = false;
    pthread_mutex_unlock(&client->lock);
    pthread_mutex_lock(&client->send_lock);
    if (client->fd >= 0)
        close(TAKE_FD(client->fd));
    pthread_mutex_unlock(&client->send_lock);
}

/* The next step that this connection has not seen, as a copy; NULL when there is none. */
static uint8_t *link_next_unsent(struct shim_client *client, size_t *ret_size)
{
    uint8_t *packet = NULL;

    pthread_mutex_lock(&client->lock);
    for (struct shim_step *step = client->steps; step && !packet; step = step->next) {
        if (step->is_done || step->sent_on == client->connection)
            continue;
        step->sent_on = client->connection;
        *ret_size = step->size;
        packet = xmemdup(step->packet, step->size);
    }
    pthread_mutex_unlock(&client->lock);
    return packet;
}

static void link_send_unsent(struct shim_client *client)
{
    for (;;) {
        size_t size = 0;
        autofree uint8_t *packet = link_next_unsent(client, &size);
        if (!packet)
            return;
        shim_link_send(client, packet, size);
    }
}

/* A result that nobody waits for any more is acknowledged, but an exec's, whose call may be sent again. A start that its
 * caller gave up did happen: the list tells the owner. */
static void link_result_unclaimed(struct shim_client *client, const struct shim_reply *reply)
{
    uint64_t type = shim_reply_u64(reply, SHIM_TAG_STEP_TYPE);

    if (type != SHIM_EXEC)
        shim_client_ack(client, reply->header.step);
    if (type == SHIM_START)
        shim_client_list(client);
}

/* A reply of its own for one more waiter. A descriptor's offset is shared: readers use pread(2). */
static struct shim_reply reply_copy(const struct shim_reply *reply)
{
    struct shim_reply copy = *reply;

    copy.data = xmemdup(reply->data, reply->size ? reply->size : 1);
    for (size_t i = 0; i < reply->fd_count; i++)
        copy.fds[i] = fcntl(reply->fds[i], F_DUPFD_CLOEXEC, 0);
    return copy;
}

/* Hands a result to all who wait for it: the shim tells it once, however many asked. During the handshake one without a waiter is
 * let be: its asker may be about to come again. */
static void link_result(struct shim_client *client, struct shim_reply *reply)
{
    bool is_taken = false;
    bool is_quit = reply->header.code == 0 && shim_reply_u64(reply, SHIM_TAG_STEP_TYPE) == SHIM_QUIT;

    pthread_mutex_lock(&client->lock);
    client->is_stopped = client->is_stopped || is_quit; /* at once: its end is wanted, and needs no successor */
    for (struct shim_step *step = client->steps; step; step = step->next) {
        if (step->id != reply->header.step || step->is_done)
            continue;
        step->reply = reply_copy(reply);
        step->is_done = true;
        is_taken = true;
    }
    bool is_synced = client->is_synced;
    pthread_cond_broadcast(&client->changed);
    pthread_mutex_unlock(&client->lock);
    if (!is_taken && is_synced)
        link_result_unclaimed(client, reply);
}

static void link_report(struct shim_client *client, struct shim_reply *reply)
{
    struct shim_report report = {
        .container = shim_reply_text(reply, SHIM_TAG_CONTAINER),
        .is_exit = reply->header.type == SHIM_EXITED,
        .state = reply->header.type == SHIM_EXITED ? SHIM_CONTAINER_EXITED
                                                   : (uint32_t)shim_reply_u64(reply, SHIM_TAG_STATE),
        .pid = (int32_t)shim_reply_u64(reply, SHIM_TAG_PID),
        .start_ticks = shim_reply_u64(reply, SHIM_TAG_START_TICKS),
        .wait_status = (int32_t)shim_reply_u64(reply, SHIM_TAG_STATUS),
        .time_ns = (int64_t)shim_reply_u64(reply, SHIM_TAG_TIME_NS),
        .is_oom = shim_reply_u64(reply, SHIM_TAG_OOM),
        .is_unknown = shim_reply_u64(reply, SHIM_TAG_UNKNOWN),
        .pidfd = shim_reply_take_fd(reply, 0),
    };

    if (report.container)
        client->owner.report(client->owner.argument, &report);
    else if (report.pidfd >= 0)
        close(report.pidfd);
}

static void link_note_running(struct shim_client *client, const struct shim_reply *reply)
{
    uint64_t type = shim_reply_u64(reply, SHIM_TAG_STEP_TYPE);

    pthread_mutex_lock(&client->lock);
    if (type == SHIM_RUN)
        client->running_listed++;
    pthread_mutex_unlock(&client->lock);
}

/* A list is complete: whoever waits is told, and what this connection has not seen is sent. */
static void link_end(struct shim_client *client)
{
    pthread_mutex_lock(&client->lock);
    client->lists++;
    client->running_count = client->running_listed;
    client->running_listed = 0;
    client->is_synced = true;
    pthread_cond_broadcast(&client->changed);
    pthread_mutex_unlock(&client->lock);
    client->owner.listed(client->owner.argument);
    link_send_unsent(client);
}

static void link_packet(struct shim_client *client, struct shim_reply *reply)
{
    switch (reply->header.type) {
    case SHIM_HELLO:
        break;
    case SHIM_RESULT:
        link_result(client, reply);
        break;
    case SHIM_STEP_RUNNING:
        link_note_running(client, reply);
        break;
    case SHIM_CONTAINER:
    case SHIM_EXITED:
        link_report(client, reply);
        break;
    case SHIM_END:
        link_end(client);
        break;
    default:
        log_warn("unknown packet from a shim", "pod=%s type=%u", client->pod, reply->header.type);
    }
}

/* Reads one packet into *reply; false at the connection's end. */
static bool link_receive(struct shim_client *client, uint8_t *buffer, size_t room, struct shim_reply *reply)
{
    size_t size = room;
    struct error *error = fd_receive(client->fd, buffer, room, &size, reply->fds, &reply->fd_count);

    if (error || size < sizeof(reply->header)) {
        error_free(error);
        return false;
    }
    memcpy(&reply->header, buffer, sizeof(reply->header));
    reply->size = size - sizeof(reply->header);
    reply->data = xmemdup(buffer + sizeof(reply->header), reply->size ? reply->size : 1);
    return reply->header.version == SHIM_VERSION;
}

static void link_send_empty(struct shim_client *client, uint32_t type, uint64_t generation)
{
    struct wire_writer fields = {0};
    size_t size;

    if (generation)
        wire_put_u64(&fields, SHIM_TAG_GENERATION, generation);
    autofree uint8_t *packet = shim_packet(type, 0, &fields, &size);
    wire_writer_fini(&fields);
    shim_link_send(client, packet, size);
}

static bool link_has_waiters(struct shim_client *client)
{
    pthread_mutex_lock(&client->lock);
    bool has_waiters = client->steps || !client->is_synced;
    pthread_mutex_unlock(&client->lock);
    return has_waiters;
}

/* Waits for a packet. A shim that is asked and says nothing three times in a row is stuck: false, and it is replaced. */
static bool link_wait(struct shim_client *client)
{
    struct pollfd watched = {.fd = client->fd, .events = POLLIN};

    for (unsigned silences = 0; silences < SILENCES_MAX; silences++) {
        int count = poll(&watched, 1, SILENCE_MS);
        if (count > 0)
            return true;
        if (!link_has_waiters(client))
            silences = 0;
        if (count == 0 && link_has_waiters(client))
            link_send_empty(client, SHIM_LIST, 0);
    }
    log_warn("a shim does not answer and is replaced", "pod=%s", client->pod);
    error_free(client->owner.replace(client->owner.argument));
    return false;
}

static void link_serve(struct shim_client *client, uint8_t *buffer, size_t room)
{
    pthread_mutex_lock(&client->lock);
    client->connection++;
    client->running_listed = 0;
    pthread_mutex_unlock(&client->lock);
    link_send_empty(client, SHIM_HELLO, client->generation);
    while (!link_is_stopped(client) && link_wait(client)) {
        auto_shim_reply reply = {0};
        if (!link_receive(client, buffer, room, &reply))
            return;
        link_packet(client, &reply);
    }
}

void *shim_link_run(void *argument)
{
    struct shim_client *client = argument;
    size_t room = WIRE_SIZE_MAX + sizeof(struct shim_header);
    autofree uint8_t *buffer = xmalloc(room);

    while (link_connect(client)) {
        link_serve(client, buffer, room);
        link_disconnect(client);
    }
    return NULL;
}
