/* Which work of a pod is next, and when. */
#include "services/sandboxd/reconcile.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "services/sandboxd/container_create.h"
#include "services/sandboxd/container_remove.h"
#include "services/sandboxd/pod_run.h"
#include "services/sandboxd/pod_teardown.h"

enum { LINGER_MS = 2000, RETRY_LOOK_MS = 100 };

bool is_abandoned(unsigned joiners, int64_t alone_since_ns)
{
    return joiners == 0 && clock_boottime_ns() - alone_since_ns > (int64_t)JOIN_GRACE_S * 1000000000;
}

int64_t reconcile_backoff_ns(unsigned retries)
{
    int64_t pause_ms = retries < 9 ? 100ll << retries : 30000;

    return (pause_ms < 30000 ? pause_ms : 30000) * 1000000;
}

/* Long work: one attempt. The error decides about the next one. */
typedef struct error *pod_work(struct pod *pod);
typedef struct error *container_work(struct container *container);

struct work {
    pod_work *pod;
    container_work *container;
    struct container *object; /* held */
};

static pod_work *pod_work_of(const struct pod *pod, int64_t now_ns)
{
    if (!pod->is_begun)
        return NULL;
    switch (pod->record->state) {
    case POD_CREATING:
        return pod_create;
    case POD_STOPPING:
        return now_ns >= pod->retry_at_ns ? pod_finish_stop : NULL;
    case POD_REMOVING:
        return now_ns >= pod->retry_at_ns ? pod_finish_removal : NULL;
    case POD_UNDOING:
        return now_ns >= pod->retry_at_ns ? pod_finish_undo : NULL;
    default:
        return NULL;
    }
}

static container_work *container_work_of(const struct container *container, int64_t now_ns)
{
    if (!container->is_begun)
        return NULL;
    switch (container->record->state) {
    case CONTAINER_CREATING:
        return container_create;
    case CONTAINER_REMOVING:
    case CONTAINER_UNDOING:
        return now_ns >= container->retry_at_ns ? container_finish_removal : NULL;
    default:
        return NULL;
    }
}

/* Is there work, now or later? d->lock held. */
static bool work_find(struct pod *pod, struct work *ret, bool *ret_later)
{
    int64_t now_ns = clock_boottime_ns();

    *ret = (struct work){.pod = pod_work_of(pod, now_ns)};
    *ret_later = pod->record->state == POD_STOPPING || pod->record->state == POD_REMOVING || pod->record->state == POD_UNDOING;
    if (ret->pod || *ret_later)
        return ret->pod != NULL;
    for (struct container *container = pod->d->containers; container; container = container->next) {
        if (container->pod != pod)
            continue;
        ret->container = container_work_of(container, now_ns);
        if (ret->container) {
            ret->object = container_hold(container);
            return true;
        }
        *ret_later = *ret_later || container->record->state == CONTAINER_REMOVING ||
                     container->record->state == CONTAINER_UNDOING;
    }
    return false;
}

/* Notes how an attempt went, and when the next one is due. Takes the error. */
static void pod_note(struct pod *pod, struct error *error)
{
    pthread_mutex_lock(&pod->d->lock);
    if (error) {
        free(pod->failure);
        pod->failure = xstrdup(error->text);
        pod->failure_code = error->code;
        pod->retry_at_ns = clock_boottime_ns() + reconcile_backoff_ns(pod->retries++);
        pod->is_key_free = pod->record->state == POD_UNDOING;
    } else {
        pod->retries = 0;
    }
    pod->attempts++;
    pod_notify(pod);
    pthread_mutex_unlock(&pod->d->lock);
    if (error)
        log_warn("a pod's work failed", "pod=%s state=%s error=%s", pod->record->id, pod_state_name(pod_state_get(pod)),
                 log_quote(error->text));
    error_free(error);
}

static void container_note(struct container *container, struct error *error)
{
    pthread_mutex_lock(&container->d->lock);
    if (error) {
        free(container->failure);
        container->failure = xstrdup(error->text);
        container->failure_code = error->code;
        container->retry_at_ns = clock_boottime_ns() + reconcile_backoff_ns(container->retries++);
        container->is_key_free = container->record->state == CONTAINER_UNDOING;
    } else {
        container->retries = 0;
    }
    container->attempts++;
    pod_notify(container->pod);
    pthread_mutex_unlock(&container->d->lock);
    if (error)
        log_warn("a container's work failed", "container=%s state=%s error=%s", container->record->id,
                 container_state_name(container_state_get(container)), log_quote(error->text));
    error_free(error);
}

static void work_do(struct pod *pod, const struct work *work)
{
    if (work->pod == pod_create) { /* a creation is tried once, and has noted itself how it went */
        error_free(pod_create(pod));
    } else if (work->pod) {
        pod_note(pod, work->pod(pod));
    } else if (work->container == container_create) {
        error_free(container_create(work->object));
    } else {
        container_note(work->object, work->container(work->object));
    }
    if (work->object)
        container_release(work->object);
}

/* Finds work, waiting for what is due later; false when there is none at all: then the worker is over. It lingers a while
 * first, as the next call is often near. */
static bool work_await(struct pod *pod, struct work *ret)
{
    bool is_later = false, is_found, has_lingered = false;

    pthread_mutex_lock(&pod->d->lock);
    while (!(is_found = work_find(pod, ret, &is_later)) && (is_later || pod->is_kicked || !has_lingered)) {
        has_lingered = !is_later && !pod->is_kicked;
        pod->is_kicked = false;
        condition_wait(pod->d, &pod->changed, is_later ? RETRY_LOOK_MS : LINGER_MS);
    }
    if (!is_found)
        pod->has_worker = false;
    pthread_mutex_unlock(&pod->d->lock);
    return is_found;
}

static void *worker_run(void *argument)
{
    struct pod *pod = argument;
    struct work work;

    while (work_await(pod, &work))
        work_do(pod, &work);
    pod_release(pod);
    return NULL;
}

/* d->lock held; true: the caller starts the thread. */
static bool kick_locked(struct pod *pod)
{
    bool is_new = !pod->has_worker;

    pod->is_kicked = true;
    pod->has_worker = true;
    if (is_new)
        pod_hold(pod);
    pod_notify(pod);
    return is_new;
}

void pod_kick(struct pod *pod)
{
    pthread_mutex_lock(&pod->d->lock);
    bool is_new = kick_locked(pod);
    pthread_mutex_unlock(&pod->d->lock);
    if (is_new)
        sandboxd_thread(worker_run, pod);
}

void pod_kick_now(struct pod *pod)
{
    pthread_mutex_lock(&pod->d->lock);
    pod->retry_at_ns = 0;
    for (struct container *container = pod->d->containers; container; container = container->next)
        if (container->pod == pod)
            container->retry_at_ns = 0;
    pthread_mutex_unlock(&pod->d->lock);
    pod_kick(pod);
}
