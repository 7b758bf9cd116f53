/* When what sandboxd publishes is told as it comes, and when it is compared with what was told last. */
#include "services/criapi/event_hub.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#include "common/clock.h"
#include "common/ipc_publish.h"
#include "common/log.h"
#include "common/memory.h"

enum {
    WAIT_MS = 60000,       /* a wake or a beat comes sooner */
    SNAPSHOT_LIMIT_S = 30, /* for sandboxd to say how things are, before it is asked again */
    PAUSE_MS = 100,        /* after an answer that was no use */
    SKIP_MS = 2,           /* for nng to hand out what it has, */
    SKIP_MAX = 512,        /* which are fewer messages than this */
    FOLLOW_MS = 1000,      /* for what was published before a snapshot to arrive */
    EVENT_MAX = 16 << 20,  /* bytes: clients take no more */
};

struct event_hub {
    struct ipc_subscriber *subscriber;
    struct ipc_client *sandboxd;
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock; /* of what follows, and of the listeners */
    struct event_listener *first;
    unsigned count;
    bool is_ending;
    pthread_cond_t answered; /* with the lock */

    /* Only the thread changes these, the first two with the lock held. */
    struct event_table told;       /* what a listener that is up to date knows */
    bool is_in_step;               /* nothing was missed since */
    uint8_t origin[IPC_ORIGIN_SIZE];
    uint64_t sequence;             /* of the last event told */
    bool has_warned;               /* that there is no snapshot to be had */
};

/* ---- telling ---- */

/* Tells one event to all, and notes it: whoever comes in between knows what was told until then. */
static void hub_tell(struct event_hub *hub, const char *pod_id, const char *id, int type, const ProtobufCBinaryData *stub,
                     const uint8_t *response, size_t size)
{
    struct event_bytes *bytes = event_bytes_new(response, size);

    pthread_mutex_lock(&hub->lock);
    for (struct event_listener *listener = hub->first; listener; listener = listener->next) {
        event_listener_tell(listener, bytes, &hub->told);
        event_listener_pump(listener);
    }
    event_bytes_release(bytes);
    event_table_apply(&hub->told, pod_id, id, type, stub);
    pthread_mutex_unlock(&hub->lock);
}

static bool hub_has_listeners(struct event_hub *hub)
{
    pthread_mutex_lock(&hub->lock);
    bool has_listeners = hub->first != NULL;
    pthread_mutex_unlock(&hub->lock);
    return has_listeners;
}

static void hub_set_in_step(struct event_hub *hub, bool is_in_step)
{
    pthread_mutex_lock(&hub->lock);
    hub->is_in_step = is_in_step;
    pthread_mutex_unlock(&hub->lock);
}

/* Lock held: whoever came before the first snapshot is told from here on. */
static void hub_begin(struct event_hub *hub)
{
    for (struct event_listener *listener = hub->first; listener; listener = listener->next) {
        if (listener->has_begun || listener->is_closed)
            continue;
        listener->has_begun = listener->is_busy = true;
        listener->sink->begin(listener->argument);
    }
}

/* ---- as it comes ---- */

/* False: it does not parse, and is found by comparison. */
static bool event_take(struct event_hub *hub, const struct ipc_publication *publication)
{
    Bulkhead__Event *event = bulkhead__event__unpack(NULL, publication->size, publication->payload);

    if (!event) {
        log_warn("an event that does not parse", "sequence=%" PRIu64, publication->sequence);
        return false;
    }
    hub_tell(hub, event->pod_id, event->id, (int)event->type, &event->pod_stub, event->response.data,
             event->response.len);
    hub->sequence = publication->sequence;
    bulkhead__event__free_unpacked(event, NULL);
    return true;
}

static bool is_of_hub(const struct event_hub *hub, const uint8_t *origin)
{
    return memcmp(origin, hub->origin, IPC_ORIGIN_SIZE) == 0;
}

static void publication_take(struct event_hub *hub, const struct ipc_publication *publication)
{
    bool is_ours = is_of_hub(hub, publication->origin);

    if (!hub->is_in_step || (is_ours && publication->sequence <= hub->sequence))
        return; /* the next snapshot has it, or it was told */
    bool is_next = is_ours && !publication->is_beat && publication->sequence == hub->sequence + 1;
    if (!is_next || !event_take(hub, publication))
        hub_set_in_step(hub, false);
}

/* ---- by comparison ---- */

static const ProtobufCBinaryData *stub_of(const struct event_change *change)
{
    return change->pod && strcmp(change->id, change->pod_id) == 0 ? &change->pod->stub : NULL;
}

/* Tells all listeners that are up to date what the snapshot says more than they know. */
static void hub_compare(struct event_hub *hub, Bulkhead__EventSnapshotReply *snapshot)
{
    size_t count = 0, size = 0;
    autofree struct event_change *changes = event_table_diff(&hub->told, snapshot, &count);

    for (size_t i = 0; i < count; i++) {
        autofree uint8_t *response =
            hub_has_listeners(hub) ? event_change_pack(&changes[i], &hub->told, clock_realtime_ns(), EVENT_MAX, &size)
                                   : NULL;
        hub_tell(hub, changes[i].pod_id, changes[i].id, changes[i].type, stub_of(&changes[i]), response, size);
    }
}

/* Lock held. As much of the difference as fits the queue; the rest by the next snapshot. */
static void listener_compare(struct event_listener *listener, Bulkhead__EventSnapshotReply *snapshot)
{
    size_t count = 0, size = 0, told = 0;
    bool fits = true;
    autofree struct event_change *changes = event_table_diff(listener->seen, snapshot, &count);

    while (fits && told < count) {
        const struct event_change *change = &changes[told];
        autofree uint8_t *response = event_change_pack(change, listener->seen, clock_realtime_ns(), EVENT_MAX, &size);
        struct event_bytes *bytes = event_bytes_new(response, size);
        fits = event_listener_catch_up(listener, bytes);
        event_bytes_release(bytes);
        if (!fits)
            break;
        event_table_apply(listener->seen, change->pod_id, change->id, change->type, stub_of(change));
        told++;
    }
    if (told == count) {
        event_table_free(listener->seen);
        listener->seen = NULL;
    }
    event_listener_pump(listener);
}

static void snapshot_apply(struct event_hub *hub, Bulkhead__EventSnapshotReply *snapshot)
{
    hub_compare(hub, snapshot);
    pthread_mutex_lock(&hub->lock);
    memcpy(hub->origin, snapshot->origin.data, IPC_ORIGIN_SIZE);
    hub->sequence = snapshot->sequence;
    hub->is_in_step = true;
    for (struct event_listener *listener = hub->first; listener; listener = listener->next) {
        if (event_listener_is_due(listener))
            listener_compare(listener, snapshot);
    }
    hub_begin(hub);
    pthread_mutex_unlock(&hub->lock);
}

/* ---- asking ---- */

/* A call that the thread need not wait for when the hub ends; whoever is last frees it. */
struct question {
    struct event_hub *hub;
    unsigned holders; /* hub->lock, as the rest */
    bool is_answered;
    struct error *error;
    uint8_t *reply;
    size_t size;
};

/* Lock held. */
static void question_drop(struct question *question)
{
    if (--question->holders > 0)
        return;
    error_free(question->error);
    free(question->reply);
    free(question);
}

/* On nng's threads. */
static void question_answered(void *argument, struct error *error, uint8_t *reply, size_t size)
{
    struct question *question = argument;
    struct event_hub *hub = question->hub;

    pthread_mutex_lock(&hub->lock);
    question->is_answered = true;
    question->error = error;
    question->reply = reply;
    question->size = size;
    pthread_cond_signal(&hub->answered);
    question_drop(question);
    pthread_mutex_unlock(&hub->lock);
}

static struct error *question_wait(struct question *question, uint8_t **ret_reply, size_t *ret_size)
{
    struct event_hub *hub = question->hub;

    pthread_mutex_lock(&hub->lock);
    while (!question->is_answered && !hub->is_ending)
        pthread_cond_wait(&hub->answered, &hub->lock);
    struct error *error =
        question->is_answered ? TAKE(question->error) : error_new(ERROR_UNAVAILABLE, "criapi is ending");
    *ret_reply = TAKE(question->reply);
    *ret_size = question->size;
    question_drop(question);
    pthread_mutex_unlock(&hub->lock);
    return error;
}

static struct error *snapshot_ask(struct event_hub *hub, Bulkhead__EventSnapshotReply **ret)
{
    struct question *question = xcalloc(1, sizeof(*question));
    autofree uint8_t *reply = NULL;
    size_t size = 0;

    *question = (struct question){.hub = hub, .holders = 2};
    ipc_client_call_async(hub->sandboxd, "EventSnapshot", NULL,
                          clock_boottime_ns() + SNAPSHOT_LIMIT_S * INT64_C(1000000000), "", 0, question_answered,
                          question);
    TRY(question_wait(question, &reply, &size));
    *ret = bulkhead__event_snapshot_reply__unpack(NULL, size, reply);
    if (!*ret)
        return error_new(ERROR_INTERNAL, "the snapshot does not parse");
    if ((*ret)->origin.len == IPC_ORIGIN_SIZE)
        return NULL;
    bulkhead__event_snapshot_reply__free_unpacked(*ret, NULL);
    return error_new(ERROR_INTERNAL, "the snapshot is of nobody");
}

/* Who is up to date gets what was published before the snapshot as it was published, not by comparison. */
static void follow_up_to(struct event_hub *hub, const Bulkhead__EventSnapshotReply *snapshot)
{
    int64_t end_ns = clock_boottime_ns() + FOLLOW_MS * INT64_C(1000000);
    struct ipc_publication publication;

    while (hub->is_in_step && is_of_hub(hub, snapshot->origin.data) && hub->sequence < snapshot->sequence &&
           clock_boottime_ns() < end_ns) {
        if (!ipc_subscriber_next(hub->subscriber, FOLLOW_MS, &publication))
            continue;
        publication_take(hub, &publication);
        free(publication.payload);
    }
}

/* It is asked again soon. */
static void snapshot_failed(struct event_hub *hub, const struct error *error)
{
    struct ipc_publication publication;

    if (!hub->has_warned)
        log_warn("sandboxd does not say how things are", "error=%s", log_quote(error->text));
    hub->has_warned = true;
    if (!ipc_subscriber_next(hub->subscriber, PAUSE_MS, &publication))
        return;
    publication_take(hub, &publication);
    free(publication.payload);
}

/* What has come in already is in the snapshot that is asked for next. */
static void hub_skip(struct event_hub *hub)
{
    struct ipc_publication publication;

    for (unsigned i = 0; i < SKIP_MAX && ipc_subscriber_next(hub->subscriber, SKIP_MS, &publication); i++)
        free(publication.payload);
}

static void hub_compare_with_sandboxd(struct event_hub *hub)
{
    Bulkhead__EventSnapshotReply *snapshot = NULL;

    if (!hub->is_in_step)
        hub_skip(hub);
    autoptr(error) error = snapshot_ask(hub, &snapshot);
    if (error) {
        snapshot_failed(hub, error);
        return;
    }
    hub->has_warned = false;
    follow_up_to(hub, snapshot);
    snapshot_apply(hub, snapshot);
    bulkhead__event_snapshot_reply__free_unpacked(snapshot, NULL);
}

/* ---- the thread ---- */

enum hub_work { HUB_WAIT, HUB_COMPARE, HUB_END };

static enum hub_work hub_next(struct event_hub *hub)
{
    enum hub_work work = HUB_WAIT;

    pthread_mutex_lock(&hub->lock);
    if (!hub->is_in_step)
        work = HUB_COMPARE;
    for (const struct event_listener *listener = hub->first; listener; listener = listener->next) {
        if (event_listener_is_due(listener))
            work = HUB_COMPARE;
    }
    if (hub->is_ending)
        work = HUB_END;
    pthread_mutex_unlock(&hub->lock);
    return work;
}

static void *hub_main(void *argument)
{
    struct event_hub *hub = argument;
    struct ipc_publication publication;
    enum hub_work work;

    pthread_setname_np(pthread_self(), "events");
    while ((work = hub_next(hub)) != HUB_END) {
        if (work == HUB_COMPARE) {
            hub_compare_with_sandboxd(hub);
        } else if (ipc_subscriber_next(hub->subscriber, WAIT_MS, &publication)) {
            publication_take(hub, &publication);
            free(publication.payload);
        }
    }
    return NULL;
}

static struct error *hub_start(struct event_hub *hub, const char *directory)
{
    TRY(ipc_subscriber_open(directory, &hub->subscriber));
    int failure = pthread_create(&hub->thread, NULL, hub_main, hub);
    hub->has_thread = failure == 0;
    return failure ? error_errno(failure, "start a thread for events") : NULL;
}

struct error *event_hub_open(const char *directory, struct ipc_client *sandboxd, struct event_hub **ret)
{
    struct event_hub *hub = xcalloc(1, sizeof(*hub));

    hub->sandboxd = sandboxd;
    pthread_mutex_init(&hub->lock, NULL);
    pthread_cond_init(&hub->answered, NULL);
    struct error *error = hub_start(hub, directory);
    if (error) {
        event_hub_close(hub);
        return error;
    }
    *ret = hub;
    return NULL;
}

void event_hub_end(struct event_hub *hub)
{
    pthread_mutex_lock(&hub->lock);
    hub->is_ending = true;
    for (struct event_listener *listener = hub->first; listener; listener = listener->next) {
        listener->is_ending = true;
        event_listener_pump(listener);
    }
    pthread_cond_signal(&hub->answered);
    pthread_mutex_unlock(&hub->lock);
    if (!hub->has_thread)
        return;
    ipc_subscriber_wake(hub->subscriber);
    pthread_join(hub->thread, NULL);
    hub->has_thread = false;
}

void event_hub_close(struct event_hub *hub)
{
    if (!hub)
        return;
    event_hub_end(hub);
    ipc_subscriber_close(hub->subscriber);
    event_table_clear(&hub->told);
    pthread_cond_destroy(&hub->answered);
    pthread_mutex_destroy(&hub->lock);
    free(hub);
}

/* ---- listeners ---- */

/* Lock held. */
static struct error *listener_admit(const struct event_hub *hub)
{
    if (hub->is_ending)
        return error_new(ERROR_UNAVAILABLE, "GetContainerEvents: criapi is ending; call again");
    if (hub->count >= EVENT_LISTENERS_MAX)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "GetContainerEvents: %d clients are told already",
                         EVENT_LISTENERS_MAX);
    return NULL;
}

struct error *event_hub_join(struct event_listener *listener)
{
    struct event_hub *hub = listener->hub;

    pthread_mutex_lock(&hub->lock);
    struct error *error = listener_admit(hub);
    if (!error && !listener->is_closed) {
        listener->next = hub->first;
        hub->first = listener;
        hub->count++;
        if (hub->is_in_step)
            hub_begin(hub);
    }
    pthread_mutex_unlock(&hub->lock);
    return error;
}

void event_hub_sent(struct event_listener *listener)
{
    struct event_hub *hub = listener->hub;

    pthread_mutex_lock(&hub->lock);
    listener->is_busy = false;
    event_listener_pump(listener);
    bool is_due = event_listener_is_due(listener);
    pthread_mutex_unlock(&hub->lock);
    if (is_due)
        ipc_subscriber_wake(hub->subscriber);
}

void event_hub_leave(struct event_listener *listener)
{
    struct event_hub *hub = listener->hub;

    pthread_mutex_lock(&hub->lock);
    listener->is_closed = true;
    for (struct event_listener **at = &hub->first; *at; at = &(*at)->next) {
        if (*at != listener)
            continue;
        *at = listener->next;
        hub->count--;
        break;
    }
    pthread_mutex_unlock(&hub->lock);
}
