/* SHIM_DELETE, and the same teardown for creates that failed or were cut short. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "common/clock.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "common/memory.h"
#include "services/sandboxd/shim/container.h"
#include "services/sandboxd/shim/container_delete.h"
#include "services/sandboxd/shim/handlers.h"
#include "services/sandboxd/shim/mounts.h"
#include "services/sandboxd/shim/shim.h"

enum { KILL_LIMIT_MS = 30000, LOG_LIMIT_MS = 2000, RUNTIME_LIMIT_MS = 10000, TREE_LIMIT_MS = 600000, NS_PER_MS = 1000000 };

struct deletion {
    char id[72];
    char cgroup[CGROUP_PATH_SIZE + 80];
    bool keeps_rootfs;      /* an undo: the create is repeated on the same one */
    bool ran_runtime;
    bool removed_trees;
    int64_t deadline_ns;    /* of what is waited for */
    int64_t log_deadline_ns;
    unsigned log;
    struct error *failure;
    struct timer again;
    deletion_done *done;
    void *argument;
    char *rootfs, *volumes, *staged, *storage, *runtime_state; /* directories, of the task */
};

void pidfd_signal(int pidfd, int number)
{
    if (pidfd >= 0)
        syscall(SYS_pidfd_send_signal, pidfd, number, NULL, 0);
}

static void deletion_go(struct shim *shim, void *owner);

static void deletion_end(struct shim *shim, struct deletion *deletion, struct error *failure)
{
    struct container *container = container_find(shim, deletion->id);

    if (!failure) {
        if (container)
            container_forget(shim, container);
    } else if (container) {
        container->is_deleting = false;
    }
    deletion->done(shim, deletion->argument, failure);
    free(deletion->rootfs);
    free(deletion->volumes);
    free(deletion->staged);
    free(deletion->storage);
    free(deletion->runtime_state);
    loop_disarm(&shim->loop, &deletion->again);
    free(deletion);
}

/* --- its steps ---------------------------------------------------------------------------------------------------- */

/* Nothing of it lives, and what ended is on record and told. */
static bool is_dead(struct shim *shim, const struct deletion *deletion, const struct container *container)
{
    bool is_empty = cgroup_kill(&shim->cgroups, deletion->cgroup);

    if (!container || container->record.process.pid == 0)
        return is_empty;
    if (container->record.state != SHIM_CONTAINER_EXITED)
        pidfd_signal(container->fds[CONTAINER_PIDFD], SIGKILL);
    return is_empty && container->record.state == SHIM_CONTAINER_EXITED && container->is_published;
}

static void deletion_runtime_done(struct shim *shim, struct job *job)
{
    struct deletion *deletion = job->argument;
    struct error *failure = runtime_result(shim, job, deletion->log, "delete");

    if (failure) /* it may never have known it; its directory goes with ours */
        log_debug("runtime delete", "container=%s error=%s", deletion->id, log_quote(failure->text));
    error_free(failure);
    deletion_go(shim, deletion);
}

static bool deletion_run_runtime(struct shim *shim, struct deletion *deletion, const struct container *container)
{
    char *arguments[] = {"delete", "--force", deletion->id, NULL};
    const int stdio[3] = {-1, -1, -1};

    deletion->ran_runtime = true;
    if (!container)
        return false;
    autofree char *directory = shim_path(shim, "rt/%s/%s", container->record.handler, deletion->id);
    if (access(directory, F_OK) < 0)
        return false;
    struct error *failure = runtime_run(shim, container, arguments, stdio, RUNTIME_LIMIT_MS, deletion_runtime_done,
                                        deletion, &deletion->log, NULL);
    error_free(failure); /* the trees go all the same */
    return !failure;
}

static bool is_log_gone(struct shim *shim, struct deletion *deletion, struct container *container)
{
    if (!container || !container_has_log(container) || container->record.process.pid == 0)
        return true; /* without a process nothing was written, and logd was not told of it */
    container_log_leave(shim, container);
    if (!deletion->log_deadline_ns)
        deletion->log_deadline_ns = clock_boottime_ns() + (int64_t)LOG_LIMIT_MS * NS_PER_MS;
    if (clock_boottime_ns() < deletion->log_deadline_ns)
        return false;
    logd_link_let_go(shim, container);
    return true;
}

/* A task: rootfs, image volumes, upper directory, and what the runtimes keep of it. */
static struct error *trees_remove(const struct shim *shim, void *input, struct task_output *output)
{
    const struct deletion *deletion = input;

    (void)shim;
    (void)output;
    if (!deletion->keeps_rootfs) {
        path_unmount(deletion->rootfs);
        TRY(mount_places_remove(deletion->volumes));
        TRY(mount_places_remove(deletion->staged));
        TRY(tree_remove(deletion->rootfs));
        FAILPOINT("shim.delete.after_unmount");
        TRY(tree_remove(deletion->storage));
    }
    return deletion->runtime_state ? tree_remove(deletion->runtime_state) : NULL;
}

static void trees_removed(struct shim *shim, struct job *job)
{
    struct deletion *deletion = job->argument;

    if (job->error) {
        deletion_end(shim, deletion, error_wrap(TAKE(job->error), "remove container %s", deletion->id));
        return;
    }
    deletion->removed_trees = true;
    deletion_go(shim, deletion);
}

static bool deletion_wait(struct shim *shim, struct deletion *deletion, const char *what)
{
    if (clock_boottime_ns() < deletion->deadline_ns) {
        loop_arm(&shim->loop, &deletion->again, CONTAINER_RETRY_MS);
        return true;
    }
    deletion_end(shim, deletion, error_new(ERROR_DEADLINE_EXCEEDED, "remove container %s: %s", deletion->id, what));
    return true;
}

static void deletion_remove_trees(struct shim *shim, struct deletion *deletion)
{
    const struct container *container = container_find(shim, deletion->id);

    deletion->rootfs = shim_path(shim, "rootfs/%s", deletion->id);
    deletion->volumes = shim_path(shim, "volumes/%s", deletion->id);
    deletion->staged = shim_path(shim, "mounts/%s", deletion->id);
    deletion->storage = shim_storage_path(shim, "%s", deletion->id);
    deletion->runtime_state = container ? shim_path(shim, "rt/%s/%s", container->record.handler, deletion->id) : NULL;
    struct error *failure = job_task_run(shim, trees_remove, deletion, TREE_LIMIT_MS, trees_removed, deletion);
    if (failure)
        deletion_end(shim, deletion, failure);
}

static void deletion_go(struct shim *shim, void *owner)
{
    struct deletion *deletion = owner;
    struct container *container = container_find(shim, deletion->id);

    if (!is_dead(shim, deletion, container)) {
        deletion_wait(shim, deletion, "its processes do not end");
        return;
    }
    if (!deletion->ran_runtime && deletion_run_runtime(shim, deletion, container))
        return;
    if (!is_log_gone(shim, deletion, container)) {
        loop_arm(&shim->loop, &deletion->again, CONTAINER_RETRY_MS);
        return;
    }
    if (!deletion->removed_trees) {
        deletion_remove_trees(shim, deletion);
        return;
    }
    if (!cgroup_remove(&shim->cgroups, deletion->cgroup)) {
        deletion_wait(shim, deletion, "its cgroup stays busy");
        return;
    }
    FAILPOINT("shim.delete.before_forget");
    deletion_end(shim, deletion, NULL);
}

void deletion_begin(struct shim *shim, const char *id, bool keeps_rootfs, deletion_done *done, void *argument)
{
    struct container *container = container_find(shim, id);
    struct deletion *deletion = xcalloc(1, sizeof(*deletion));

    snprintf(deletion->id, sizeof(deletion->id), "%s", id);
    deletion->keeps_rootfs = keeps_rootfs;
    deletion->deadline_ns = clock_boottime_ns() + (int64_t)KILL_LIMIT_MS * NS_PER_MS;
    deletion->again = (struct timer){.fire = deletion_go, .owner = deletion};
    deletion->done = done;
    deletion->argument = argument;
    snprintf(deletion->cgroup, sizeof(deletion->cgroup), "%s/%s", shim->pod.record.cgroup, id);
    if (container) {
        snprintf(deletion->cgroup, sizeof(deletion->cgroup), "%s", container->record.cgroup);
        container->is_deleting = true;
    }
    deletion_go(shim, deletion);
}

/* --- who asks ----------------------------------------------------------------------------------------------------- */

static void undo_done(struct shim *shim, void *argument, struct error *failure)
{
    (void)shim;
    (void)argument;
    if (failure)
        log_warn("undo of a create", "error=%s", log_quote(failure->text));
    error_free(failure);
}

void container_undo(struct shim *shim, struct container *container)
{
    container->is_undone = true;
    deletion_begin(shim, container->id, true, undo_done, NULL);
}

static void delete_done(struct shim *shim, void *argument, struct error *failure)
{
    step_finish(shim, argument, failure);
}

void container_delete(struct shim *shim, struct step *step)
{
    const char *id;
    struct error *failure = step_container_name(step, &id);
    const struct container *container = failure ? NULL : container_find(shim, id);

    if (failure) {
        step_finish(shim, step, failure);
        return;
    }
    if (container && container->runtime) /* what it makes or starts goes at once: it may hang */
        job_hurry(shim, container->runtime, 0);
    bool is_busy = container && (container->is_deleting || (container->record.state == SHIM_CONTAINER_CREATING && !container->is_undone) ||
                                 container->record.state == SHIM_CONTAINER_STARTING);
    if (is_busy)
        step_wait(shim, step); /* no undo starts while a step of the attempt lives */
    else
        deletion_begin(shim, id, false, delete_done, step);
}
