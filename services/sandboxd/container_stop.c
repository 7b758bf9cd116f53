/* When which signal is due. A thread per stopping container, so that no wait delays anything else. */
#include "services/sandboxd/container_stop.h"

#include <signal.h>

#include "common/clock.h"
#include "common/log.h"
#include "services/sandboxd/pod_run.h"
#include "services/sandboxd/pod_shim.h"
#include "services/sandboxd/reconcile.h"

enum { WAIT_SLICE_MS = 100, KILL_AGAIN_MS = 2000, TIMEOUT_MAX_S = 1 << 30, SIGNAL_LIMIT_S = 20 };

/* Until the container does not run, or BOOTTIME is until_ns or, with follow, the record's deadline (which may come nearer). */
static bool await_exit(struct container *container, int64_t until_ns, bool follow)
{
    struct sandboxd *d = container->d;

    pthread_mutex_lock(&d->lock);
    while (container->record->state == CONTAINER_RUNNING &&
           clock_boottime_ns() < (follow ? container->record->stop_deadline_ns : until_ns))
        condition_wait(d, &container->pod->changed, WAIT_SLICE_MS);
    bool has_exited = container->record->state != CONTAINER_RUNNING;
    pthread_mutex_unlock(&d->lock);
    return has_exited;
}

static void send_stop_signal(struct container *container)
{
    struct shim_patience patience = {.deadline_ns = clock_boottime_ns() + SIGNAL_LIMIT_S * 1000000000ll};
    int signal = SIGTERM;

    error_free(spec_stop_signal_parse(container->record->stop_signal, &signal)); /* an image's nonsense: SIGTERM */
    struct error *error = container_signal(container, signal, &patience);
    if (error)
        log_warn("the stop signal was not sent", "container=%s error=%s", container->record->id, log_quote(error->text));
    error_free(error);
    pthread_mutex_lock(&container->d->lock);
    container->record->stop_signalled = true;
    pthread_mutex_unlock(&container->d->lock);
    error_free(container_save(container));
}

static void kill_until_gone(struct container *container)
{
    for (unsigned retries = 0;; retries++) {
        struct shim_patience patience = {.deadline_ns = clock_boottime_ns() + SIGNAL_LIMIT_S * 1000000000ll};
        struct error *error = container_signal(container, SIGKILL, &patience);
        if (error)
            log_warn("a container could not be killed", "container=%s error=%s", container->record->id,
                     log_quote(error->text));
        error_free(error);
        if (await_exit(container, clock_boottime_ns() + KILL_AGAIN_MS * 1000000ll + reconcile_backoff_ns(retries), false))
            return;
    }
}

static void *stopper_run(void *argument)
{
    struct container *container = argument;

    pthread_mutex_lock(&container->d->lock);
    bool may_signal = !container->record->stop_signalled && clock_boottime_ns() < container->record->stop_deadline_ns;
    pthread_mutex_unlock(&container->d->lock);
    if (may_signal)
        send_stop_signal(container);
    if (!await_exit(container, 0, true))
        kill_until_gone(container);
    pthread_mutex_lock(&container->d->lock);
    container->has_stopper = false;
    pthread_mutex_unlock(&container->d->lock);
    container_release(container);
    return NULL;
}

/* d->lock held; true: the caller starts the thread. */
static bool stopper_claim(struct container *container)
{
    if (container->has_stopper || container->record->state != CONTAINER_RUNNING)
        return false;
    container->has_stopper = true;
    container_hold(container);
    return true;
}

void container_stop_resume(struct container *container)
{
    pthread_mutex_lock(&container->d->lock);
    bool is_new = container->record->stop_deadline_ns && stopper_claim(container);
    pthread_mutex_unlock(&container->d->lock);
    if (is_new)
        sandboxd_thread(stopper_run, container);
}

/* Notes the deadline, if it is the first or nearer than the one before. */
static void note_deadline(struct container *container, int64_t timeout_s)
{
    int64_t limited = timeout_s < 0 ? 0 : timeout_s > TIMEOUT_MAX_S ? TIMEOUT_MAX_S : timeout_s;
    int64_t deadline_ns = clock_boottime_ns() + limited * 1000000000;

    pthread_mutex_lock(&container->d->lock);
    int64_t present = container->record->stop_deadline_ns;
    bool is_nearer = container->record->state == CONTAINER_RUNNING && (!present || deadline_ns < present);
    if (is_nearer)
        container->record->stop_deadline_ns = deadline_ns;
    pod_notify(container->pod);
    pthread_mutex_unlock(&container->d->lock);
    if (is_nearer)
        error_free(container_save(container)); /* without space the stop goes on all the same */
}

struct error *container_stop(struct container *container, const struct ipc_call *call, int64_t timeout_s)
{
    struct sandboxd *d = container->d;

    if (container_state_get(container) != CONTAINER_RUNNING)
        return NULL;
    note_deadline(container, timeout_s);
    container_stop_resume(container);
    pthread_mutex_lock(&d->lock);
    while (container->record->state == CONTAINER_RUNNING && !ipc_call_is_over(call))
        condition_wait(d, &container->pod->changed, WAIT_SLICE_MS);
    bool has_exited = container->record->state != CONTAINER_RUNNING;
    pthread_mutex_unlock(&d->lock);
    return has_exited ? NULL : call_over(call, "the container to stop");
}
