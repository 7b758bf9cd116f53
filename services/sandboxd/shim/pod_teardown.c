/* SHIM_POD_TEARDOWN and SHIM_QUIT: the undo of all that the shim has made for its pod. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "common/memory.h"
#include "services/sandboxd/shim/container.h"
#include "services/sandboxd/shim/container_delete.h"
#include "services/sandboxd/shim/exec.h"
#include "services/sandboxd/shim/handlers.h"
#include "services/sandboxd/shim/mounts.h"
#include "services/sandboxd/shim/shim.h"

enum { TEARDOWN_LIMIT_MS = 60000, TREES_LIMIT_MS = 600000, NS_PER_MS = 1000000 };
enum phase { PHASE_CONTAINERS, PHASE_DELETING, PHASE_TREES, PHASE_REMOVING_TREES, PHASE_CGROUP };

/* --- containers --------------------------------------------------------------------------------------------------- */

static void container_gone(struct shim *shim, void *argument, struct error *failure)
{
    struct step *step = argument;

    if (failure) {
        step_finish(shim, step, error_wrap(failure, "tear down the pod"));
        return;
    }
    step->phase = PHASE_CONTAINERS;
    step_wait(shim, step);
}

static bool is_idle(const struct shim *shim, const struct step *step)
{
    for (const struct step *other = shim->steps; other; other = other->next)
        if (other != step && !other->is_done && step_is_work(other) && other->type != SHIM_EXEC && other->type != SHIM_QUIT &&
            other->type != SHIM_POD_TEARDOWN)
            return false; /* no undo starts while a step of an attempt lives */
    return !shim->is_adopting;
}

static void teardown_next_container(struct shim *shim, struct step *step)
{
    const struct container *container = shim->containers;

    if (!container) {
        step->phase = PHASE_TREES;
        step_begin(shim, step);
    } else if (container->is_deleting) {
        step_wait(shim, step);
    } else {
        step->phase = PHASE_DELETING;
        deletion_begin(shim, container->id, false, container_gone, step);
    }
}

/* --- namespaces, mounts, directories ------------------------------------------------------------------------------ */

static void drop_namespaces(struct shim *shim)
{
    struct pod *pod = &shim->pod;
    int *fds[] = {&pod->ipc_fd, &pod->uts_fd, &pod->pid_fd};
    static const char *const suffixes[] = {"ipc", "uts", "pidns"};

    if (pod->user_fd >= 0)
        close(TAKE_FD(pod->user_fd));
    for (int i = 0; i < 3; i++) {
        if (*fds[i] < 0)
            continue;
        close(TAKE_FD(*fds[i]));
        store_drop(shim, "pod", suffixes[i]);
    }
}

static struct error *unmount_all_below(const char *directory)
{
    autofree char *pattern = xasprintf("%s/", directory), *mounts = NULL;
    char path[PATH_MAX], *rest = NULL;

    TRY(mountinfo_read(&mounts));
    for (char *line = strtok_r(mounts, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        if (mountinfo_path(line, path) && strncmp(path, pattern, strlen(pattern)) == 0)
            path_unmount(path);
    return NULL;
}

/* A task. What rootfs steps left without a container goes here too. */
static struct error *pod_trees_remove(const struct shim *shim, void *input, struct task_output *output)
{
    autofree char *rootfs = shim_path(shim, "rootfs");
    autofree char *volumes = shim_path(shim, "volumes");
    autofree char *shm = shim_path(shim, "shm");
    autofree char *staged = shim_path(shim, "mounts");
    autofree char *netns = shim_path(shim, "netns");

    (void)input;
    (void)output;
    TRY(unmount_all_below(shim->directory));
    FAILPOINT("shim.teardown.after_unmount");
    TRY(tree_remove(rootfs));
    TRY(mount_places_remove_all(volumes));
    TRY(mount_places_remove_all(staged));
    TRY(tree_remove(shm));
    TRY(tree_remove(netns));
    return tree_remove(shim->storage);
}

static void pod_trees_removed(struct shim *shim, struct job *job)
{
    struct step *step = job->argument;

    if (job->error) {
        step_finish(shim, step, error_wrap(TAKE(job->error), "tear down the pod"));
        return;
    }
    step->phase = PHASE_CGROUP;
    step_wait(shim, step);
}

static void teardown_trees(struct shim *shim, struct step *step)
{
    autofree char *first = xasprintf("%s/first", shim->pod.record.cgroup);

    cgroup_kill(&shim->cgroups, first);
    sessions_pod_gone(shim);
    drop_namespaces(shim);
    ports_release(shim);
    step->phase = PHASE_REMOVING_TREES;
    struct error *failure = job_task_run(shim, pod_trees_remove, NULL, TREES_LIMIT_MS, pod_trees_removed, step);
    if (failure)
        step_finish(shim, step, failure);
}

/* The lock goes with the directory: until then no other shim of this pod runs. */
static struct error *pod_remove_directories(struct shim *shim)
{
    for (const struct exec *exec = shim->execs; exec; exec = exec->next)
        exec_remove_files(shim, exec->name);
    TRY(tree_remove(shim->storage));
    store_drop_all(shim);
    FAILPOINT("shim.quit.before_remove");
    return tree_remove(shim->directory);
}

static void teardown_finish(struct shim *shim, struct step *step, struct error *failure)
{
    if (!failure && step->type == SHIM_QUIT) {
        failure = pod_remove_directories(shim);
        shim->is_quitting = !failure;
    }
    step_finish(shim, step, failure);
}

static void teardown_cgroup(struct shim *shim, struct step *step)
{
    struct pod_record *record = &shim->pod.record;
    bool is_gone = cgroup_kill(&shim->cgroups, record->cgroup) && cgroup_remove(&shim->cgroups, record->cgroup);

    if (!is_gone && clock_boottime_ns() < step->deadline_ns) {
        step_wait(shim, step);
        return;
    }
    if (!is_gone) {
        step_finish(shim, step, error_new(ERROR_DEADLINE_EXCEEDED, "cgroup %s stays busy", record->cgroup));
        return;
    }
    cgroup_remove_parents(&shim->cgroups, record->cgroup);
    FAILPOINT("shim.teardown.before_record");
    record->state = SHIM_POD_IS_TORN_DOWN;
    record->first = (struct process_id){0};
    struct error *failure = pod_save(shim);
    FAILPOINT("shim.teardown.after_record");
    teardown_finish(shim, step, failure);
}

static void teardown_go(struct shim *shim, struct step *step)
{
    if (!step->deadline_ns)
        step->deadline_ns = clock_boottime_ns() + (int64_t)TEARDOWN_LIMIT_MS * NS_PER_MS;
    switch ((enum phase)step->phase) {
    case PHASE_CONTAINERS:
        if (is_idle(shim, step))
            teardown_next_container(shim, step);
        else if (clock_boottime_ns() < step->deadline_ns)
            step_wait(shim, step);
        else
            step_finish(shim, step, error_new(ERROR_DEADLINE_EXCEEDED, "other steps of the pod do not end"));
        return;
    case PHASE_TREES:
        teardown_trees(shim, step);
        return;
    case PHASE_CGROUP:
        teardown_cgroup(shim, step);
        return;
    case PHASE_DELETING:
    case PHASE_REMOVING_TREES:
        return;
    }
}

void pod_teardown(struct shim *shim, struct step *step)
{
    teardown_go(shim, step);
}

/* The same, and what the teardown keeps: the record, the lock, the store. */
void pod_quit(struct shim *shim, struct step *step)
{
    teardown_go(shim, step);
}
