/* The order in which a pod ends: its processes, its network, its namespaces and cgroup, its shim, its files. */
#include "services/sandboxd/pod_teardown.h"

#include <signal.h>

#include "common/clock.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "services/sandboxd/container_exit.h"
#include "services/sandboxd/container_remove.h"
#include "services/sandboxd/pod_net.h"
#include "services/sandboxd/pod_network.h"
#include "services/sandboxd/pod_shim.h"
#include "services/sandboxd/table.h"

enum { STEP_LIMIT_S = 60, EXIT_LIMIT_MS = 10000, WAIT_SLICE_MS = 100, FAILURES_BEFORE_SKIP = 3 };

static struct shim_patience step_patience(void)
{
    return (struct shim_patience){.deadline_ns = clock_boottime_ns() + STEP_LIMIT_S * 1000000000ll};
}

/* Is there anything that only a shim can give back? */
static bool pod_needs_shim(struct pod *pod)
{
    pthread_mutex_lock(&pod->d->lock);
    const Bulkhead__AttachmentRecord *attachment = pod->record->attachment;
    bool needs_shim = pod->record->shim_spawned || (attachment && !attachment->deleted);
    pthread_mutex_unlock(&pod->d->lock);
    return needs_shim;
}

/* What was being made in the pod will not be. */
static void creations_end(struct container **containers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (container_state_get(containers[i]) == CONTAINER_CREATING)
            error_free(container_move(containers[i], CONTAINER_UNDOING, true));
}

/* Nothing of a container goes on: the shim is idle soon. */
static struct error *containers_kill(struct container **containers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct shim_patience patience = step_patience();
        uint32_t state = container_state_get(containers[i]);
        struct error *error = NULL;
        if (state == CONTAINER_UNDOING) /* its runtime may hang in the middle of the creation */
            error = container_delete(containers[i], &patience);
        else if (state == CONTAINER_RUNNING || state == CONTAINER_CREATED)
            error = container_signal(containers[i], SIGKILL, &patience);
        if (error && error->code != ERROR_NOT_FOUND)
            return error;
        error_free(error);
    }
    return NULL;
}

static bool has_living(struct container **containers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (containers[i]->record->state == CONTAINER_RUNNING || containers[i]->record->state == CONTAINER_CREATED)
            return true;
    return false;
}

/* Gives the exits of killed containers time to be reported. */
static void containers_await_exits(struct pod *pod, struct container **containers, size_t count)
{
    int64_t until_ns = clock_boottime_ns() + EXIT_LIMIT_MS * 1000000ll;

    pthread_mutex_lock(&pod->d->lock);
    while (has_living(containers, count) && clock_boottime_ns() < until_ns)
        condition_wait(pod->d, &pod->changed, WAIT_SLICE_MS);
    pthread_mutex_unlock(&pod->d->lock);
}

/* After the shim's teardown nothing lives; an exit that nobody reported stays unknown. */
static void containers_settle(struct container **containers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t state = container_state_get(containers[i]);
        if (state == CONTAINER_RUNNING || state == CONTAINER_CREATED)
            container_exit_unwitnessed(containers[i], "The container ended with its sandbox, and nobody saw its exit");
    }
}

/* DEL until it succeeds; a removal gives up after some failures where what it needs is gone. */
static struct error *network_give_back(struct pod *pod)
{
    struct error *error = pod_network_remove(pod);

    if (!error)
        return NULL;
    pthread_mutex_lock(&pod->d->lock);
    unsigned failures = ++pod->record->teardown_failures;
    bool is_final = pod->record->state == POD_REMOVING || pod->record->state == POD_UNDOING;
    pthread_mutex_unlock(&pod->d->lock);
    bool is_hopeless = error->code == ERROR_NOT_FOUND || pod->is_new_boot;
    if (!is_final || !is_hopeless || failures < FAILURES_BEFORE_SKIP)
        return error_wrap(error, "network");
    log_warn("a pod is removed without DEL of its network", "pod=%s failures=%u error=%s", pod->record->id, failures,
             log_quote(error->text));
    error_free(error);
    return NULL;
}

static void shim_note_gone(struct pod *pod)
{
    pthread_mutex_lock(&pod->d->lock);
    pod->record->shim_spawned = false;
    pthread_mutex_unlock(&pod->d->lock);
    error_free(pod_save(pod)); /* else another shim is started once, finds nothing and ends */
}

static struct error *teardown_by_shim(struct pod *pod, struct container **containers, size_t count)
{
    struct shim_patience patience = step_patience();

    TRY(containers_kill(containers, count));
    containers_await_exits(pod, containers, count);
    patience.deadline_ns += (int64_t)pod->d->config->cni_timeout_s * 1000000000;
    TRY(shim_client_wait_idle(pod_shim(pod), &patience));
    pod_net_close(pod);
    FAILPOINT("sandboxd.pod_teardown.before_network");
    TRY(network_give_back(pod));
    FAILPOINT("sandboxd.pod_teardown.after_network");
    patience = step_patience();
    TRY(pod_shim_teardown(pod, &patience));
    containers_await_exits(pod, containers, count);
    containers_settle(containers, count);
    FAILPOINT("sandboxd.pod_teardown.before_quit");
    TRY(pod_shim_quit(pod, &patience));
    shim_client_finish(pod_shim(pod));
    shim_note_gone(pod);
    return NULL;
}

static struct error *pod_teardown(struct pod *pod)
{
    size_t count = 0;
    struct container **containers = table_containers_of(pod, &count);
    struct error *error = NULL;

    creations_end(containers, count);
    if (pod_needs_shim(pod))
        error = teardown_by_shim(pod, containers, count);
    else
        containers_settle(containers, count);
    containers_release(containers, count);
    return error;
}

struct error *pod_finish_stop(struct pod *pod)
{
    TRY(pod_teardown(pod));
    return pod_move(pod, POD_NOTREADY, true);
}

/* All containers of the pod, whatever they are now, leave the table and the disk. */
static struct error *containers_remove(struct pod *pod)
{
    size_t count = 0;
    struct container **containers = table_containers_of(pod, &count);
    struct error *error = NULL;

    for (size_t i = 0; i < count && !error; i++) {
        uint32_t state = container_state_get(containers[i]);
        if (state == CONTAINER_CREATED || state == CONTAINER_EXITED)
            error = container_move(containers[i], CONTAINER_REMOVING, true);
        if (!error)
            error = container_finish_removal(containers[i]);
    }
    containers_release(containers, count);
    return error;
}

/* Last of all: the record, and the pod is gone. */
static struct error *pod_forget(struct pod *pod)
{
    TRY(pod_teardown(pod));
    TRY(containers_remove(pod));
    if (pod->shim)
        shim_client_finish(pod->shim);
    pod_directory_remove(pod);
    FAILPOINT("sandboxd.pod_teardown.after_forget");
    TRY(pod_move(pod, POD_GONE, true));
    table_remove_pod(pod);
    return NULL;
}

struct error *pod_finish_removal(struct pod *pod)
{
    return pod_forget(pod);
}

struct error *pod_finish_undo(struct pod *pod)
{
    return pod_forget(pod);
}
