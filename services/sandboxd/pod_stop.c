/* Moves towards the end that clients ask for. */
#include "services/sandboxd/pod_stop.h"

#include "services/sandboxd/pod_run.h"
#include "services/sandboxd/reconcile.h"
#include "services/sandboxd/table.h"

enum { WAIT_SLICE_MS = 100 };

/* The pod, or NULL where there is none: that is fine. */
static struct error *find_if_any(struct sandboxd *d, const char *id, struct pod **ret)
{
    struct error *error = table_find_pod(d, id, ret);

    if (!error || error->code != ERROR_NOT_FOUND)
        return error;
    error_free(error);
    return NULL;
}

/* Lock held: is there an answer? An attempt that ended since `attempts` without failure was an earlier move's: the wait goes on. */
static bool has_ended(const struct pod *pod, uint32_t goal, unsigned *attempts)
{
    if (pod->record->state >= goal)
        return true;
    if (pod->attempts == *attempts)
        return false;
    *attempts = pod->attempts;
    return pod->attempts > 0 && pod->retries > 0; /* a move begins at 0 again */
}

/* Waits until the state is `goal` or beyond, or an attempt after now has failed. */
static struct error *await_state(struct pod *pod, const struct ipc_call *call, uint32_t goal, const char *what)
{
    struct sandboxd *d = pod->d;
    struct error *error = NULL;

    pthread_mutex_lock(&d->lock);
    unsigned attempts = pod->attempts;
    bool is_over = false;
    while (!has_ended(pod, goal, &attempts) && !(is_over = ipc_call_is_over(call)))
        condition_wait(d, &pod->changed, WAIT_SLICE_MS);
    if (!is_over && pod->record->state < goal)
        error = error_new(pod->failure_code, "%s sandbox %s: %s", what, pod->record->id, pod->failure);
    pthread_mutex_unlock(&d->lock);
    return is_over ? call_over(call, "the sandbox to end") : error;
}

/* Moves unless it is there already, or on its way further. */
static struct error *move_if_needed(struct pod *pod, enum pod_state state)
{
    if (!pod_state_may_move(pod_state_get(pod), state))
        return NULL;
    struct error *error = pod_move(pod, state, true);
    if (!error || error->code != ERROR_FAILED_PRECONDITION)
        return error;
    error_free(error); /* another call was faster */
    return NULL;
}

struct error *pod_stop(struct sandboxd *d, const struct ipc_call *call, const char *id)
{
    auto_pod pod = NULL;

    TRY(find_if_any(d, id, &pod));
    if (!pod)
        return NULL;
    TRY(move_if_needed(pod, POD_STOPPING));
    pod_kick_now(pod);
    return await_state(pod, call, POD_NOTREADY, "stop");
}

struct error *pod_remove(struct sandboxd *d, const struct ipc_call *call, const char *id)
{
    auto_pod pod = NULL;

    TRY(find_if_any(d, id, &pod));
    if (!pod)
        return NULL;
    TRY(move_if_needed(pod, POD_REMOVING));
    pod_kick_now(pod);
    return await_state(pod, call, POD_GONE, "remove");
}
