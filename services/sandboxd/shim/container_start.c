/* SHIM_START and SHIM_SIGNAL. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "common/clock.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "common/memory.h"
#include "services/sandboxd/shim/container.h"
#include "services/sandboxd/shim/handlers.h"
#include "services/sandboxd/shim/shim.h"

enum { START_LIMIT_MS = 120000 };

struct start {
    struct step *step;
    char id[72];
    unsigned log;
};

static void start_answer(struct shim *shim, struct step *step, const struct container *container)
{
    wire_put_u64(&step->result, SHIM_TAG_TIME_NS, (uint64_t)container->record.started_ns);
    step_finish(shim, step, NULL);
}

/* By id: a container that ended at once has been reaped, and stays EXITED. The FIFO tells whether it was started; a runtime that
 * failed or was killed after that has done its work. */
static struct error *start_note(struct shim *shim, struct container *container, struct error *failure)
{
    autofree char *fifo = container_fifo_path(shim, container);
    bool has_started = access(fifo, F_OK) < 0;
    struct error *unsaved = NULL;

    if (container->record.state == SHIM_CONTAINER_STARTING) {
        container->record.started_ns = has_started ? clock_realtime_ns() : 0;
        FAILPOINT("shim.start.before_running");
        unsaved = container_move(shim, container, has_started ? SHIM_CONTAINER_RUNNING : SHIM_CONTAINER_CREATED);
        FAILPOINT("shim.start.after_running");
    }
    if (!failure)
        return unsaved;
    error_free(unsaved);
    if (!has_started)
        return failure;
    log_warn("the container was started all the same", "container=%s error=%s", container->id, log_quote(failure->text));
    error_free(failure);
    return NULL;
}

static void start_ran(struct shim *shim, struct job *job)
{
    struct start *start = job->argument;
    struct step *step = start->step;
    struct container *container = container_find(shim, start->id);
    struct error *failure = runtime_result(shim, job, start->log, "start");

    if (!container && !failure)
        failure = error_new(ERROR_NOT_FOUND, "container %s was removed meanwhile", start->id);
    if (container) {
        container->runtime = NULL;
        failure = start_note(shim, container, failure);
    }
    free(start);
    if (failure)
        step_finish(shim, step, error_wrap(failure, "start container"));
    else
        start_answer(shim, step, container);
}

static struct error *start_run(struct shim *shim, struct step *step, struct container *container)
{
    struct start *start = xcalloc(1, sizeof(*start));
    char *arguments[] = {"start", container->id, NULL};
    const int stdio[3] = {-1, -1, -1};

    *start = (struct start){.step = step};
    snprintf(start->id, sizeof(start->id), "%s", container->id);
    /* The next program's cgroup is known beforehand: a successor waits for exactly it. */
    snprintf(container->record.step_cgroup, sizeof(container->record.step_cgroup), "%s/step/%d.%u" JOB_AWAITED_SUFFIX,
             shim->pod.record.cgroup, getpid(), shim->serial + 2);
    container->record.started_ns = clock_realtime_ns(); /* stays if it ends before the runtime says that it was started */
    FAILPOINT("shim.start.before_starting");
    struct error *failure = container_move(shim, container, SHIM_CONTAINER_STARTING);
    FAILPOINT("shim.start.after_starting");
    if (failure) {
        free(start);
        return failure;
    }
    failure = runtime_run(shim, container, arguments, stdio, START_LIMIT_MS, start_ran, start, &start->log,
                          &container->runtime);
    if (failure) {
        free(start);
        container->record.started_ns = 0;
        error_free(container_move(shim, container, SHIM_CONTAINER_CREATED));
    }
    return failure;
}

void container_start(struct shim *shim, struct step *step)
{
    const char *id;
    struct error *failure = step_container_name(step, &id);
    struct container *container = failure ? NULL : container_find(shim, id);

    if (!failure && (!container || container->is_deleting))
        failure = error_new(ERROR_NOT_FOUND, "no container %s", id);
    if (failure) {
        step_finish(shim, step, failure);
        return;
    }
    switch (container->record.state) {
    case SHIM_CONTAINER_CREATED:
        failure = start_run(shim, step, container);
        if (failure)
            step_finish(shim, step, error_wrap(failure, "start container"));
        return;
    case SHIM_CONTAINER_CREATING:
    case SHIM_CONTAINER_STARTING: /* by another step, or a predecessor's */
        step_wait(shim, step);
        return;
    default: /* it was started */
        start_answer(shim, step, container);
    }
}

void container_signal(struct shim *shim, struct step *step)
{
    const char *id;
    uint64_t number = step_u64(step, SHIM_TAG_SIGNAL, 0);
    struct error *failure = step_container_name(step, &id);
    struct container *container = failure ? NULL : container_find(shim, id);

    if (!failure && !container)
        failure = error_new(ERROR_NOT_FOUND, "no container %s", id);
    if (!failure && (number == 0 || number >= NSIG))
        failure = error_new(ERROR_INVALID_ARGUMENT, "no signal %llu", (unsigned long long)number);
    if (!failure && container_lives(container)) {
        if (number == SIGKILL)
            cgroup_kill(&shim->cgroups, container->record.cgroup);
        pidfd_signal(container->fds[CONTAINER_PIDFD], (int)number);
    }
    step_finish(shim, step, failure);
}
