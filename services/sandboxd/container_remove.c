/* The order in which a container goes: its remains in the shim, its lease, its files. */
#include "services/sandboxd/container_remove.h"

#include "common/clock.h"
#include "common/failpoint.h"
#include "services/sandboxd/container_steps.h"
#include "services/sandboxd/container_stop.h"
#include "services/sandboxd/image_client.h"
#include "services/sandboxd/pod_run.h"
#include "services/sandboxd/pod_shim.h"
#include "services/sandboxd/reconcile.h"
#include "services/sandboxd/table.h"

enum { STEP_LIMIT_S = 60, RELEASE_LIMIT_S = 30, WAIT_SLICE_MS = 100 };

/* Does the pod have a shim that may hold remains of its containers? After a stop it has none. */
static bool pod_has_shim(struct pod *pod)
{
    pthread_mutex_lock(&pod->d->lock);
    bool has_shim = pod->record->shim_spawned;
    pthread_mutex_unlock(&pod->d->lock);
    return has_shim;
}

struct error *container_finish_removal(struct container *container)
{
    struct shim_patience patience = {.deadline_ns = clock_boottime_ns() + STEP_LIMIT_S * 1000000000ll};

    if (container_state_get(container) == CONTAINER_GONE)
        return NULL;
    if (pod_has_shim(container->pod)) {
        TRY(container_delete(container, &patience));
        container_forget_steps(container);
    }
    FAILPOINT("sandboxd.container_remove.after_delete");
    TRY(image_release(container->d, container->record->id, clock_boottime_ns() + RELEASE_LIMIT_S * 1000000000ll));
    container_directory_remove(container);
    FAILPOINT("sandboxd.container_remove.after_forget");
    TRY(container_move(container, CONTAINER_GONE, true));
    table_remove_container(container);
    return NULL;
}

/* Lock held: is there an answer? An attempt that ended since `attempts` without failure was an earlier move's: the wait goes on. */
static bool has_ended(const struct container *container, unsigned *attempts)
{
    if (container->record->state == CONTAINER_GONE)
        return true;
    if (container->attempts == *attempts)
        return false;
    *attempts = container->attempts;
    return container->attempts > 0 && container->retries > 0; /* a move begins at 0 again */
}

/* Waits until the container is gone, or an attempt has failed. */
static struct error *await_gone(struct container *container, const struct ipc_call *call)
{
    struct sandboxd *d = container->d;
    struct error *error = NULL;

    pthread_mutex_lock(&d->lock);
    unsigned attempts = container->attempts;
    bool is_over = false;
    while (!has_ended(container, &attempts) && !(is_over = ipc_call_is_over(call)))
        condition_wait(d, &container->pod->changed, WAIT_SLICE_MS);
    if (!is_over && container->record->state != CONTAINER_GONE)
        error = error_new(container->failure_code, "remove container %s: %s", container->record->id, container->failure);
    pthread_mutex_unlock(&d->lock);
    return is_over ? call_over(call, "the container to go") : error;
}

struct error *container_remove(struct sandboxd *d, const struct ipc_call *call, const char *id)
{
    auto_container container = NULL;
    struct error *error = table_find_container(d, id, &container);

    if (error && error->code == ERROR_NOT_FOUND) {
        error_free(error);
        return NULL;
    }
    TRY(error);
    TRY(container_stop(container, call, 0));
    error = container_move(container, CONTAINER_REMOVING, true);
    if (error && error->code != ERROR_FAILED_PRECONDITION) /* else another call was faster */
        return error;
    error_free(error);
    pod_kick_now(container->pod);
    return await_gone(container, call);
}
