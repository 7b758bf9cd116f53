/* How a task's output becomes a step's result. */
#include "services/sandboxd/shim/task_step.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "common/fd.h"
#include "common/memory.h"
#include "services/sandboxd/shim/shim.h"

enum { TASK_STEP_LIMIT_MS = 60000 };

struct task_step {
    struct step *step;
    const char *what;
};

static void task_step_done(struct shim *shim, struct job *job)
{
    struct task_step *work = job->argument;
    struct step *step = work->step;
    struct error *failure = job->error ? error_wrap(TAKE(job->error), "%s", work->what) : NULL;

    free(work);
    if (!failure) {
        wire_writer_fini(&step->result);
        step->result = job->fields;
        job->fields = (struct wire_writer){0};
        for (size_t i = 0; i < job->fd_count && step->fd_count < STEP_FDS_MAX; i++)
            step->fds[step->fd_count++] = job_take_fd(job, i);
    }
    step_finish(shim, step, failure);
}

void task_step_run_within(struct shim *shim, struct step *step, job_task *task, const char *what, int64_t limit_ms)
{
    struct task_step *work = xcalloc(1, sizeof(*work));

    *work = (struct task_step){.step = step, .what = what};
    struct error *failure = job_task_run(shim, task, step, limit_ms, task_step_done, work);
    if (!failure)
        return;
    free(work);
    step_finish(shim, step, error_wrap(failure, "%s", what));
}

void task_step_run(struct shim *shim, struct step *step, job_task *task, const char *what)
{
    task_step_run_within(shim, step, task, what, TASK_STEP_LIMIT_MS);
}

struct error *task_output_put_fields(struct task_output *output, const struct wire_writer *fields)
{
    autoclose int fd = memfd_create("fields", MFD_CLOEXEC);

    if (fd < 0)
        return error_errno(errno, "memfd_create");
    TRY(fd_write_all(fd, fields->data, fields->size));
    output->fds[output->fd_count++] = TAKE_FD(fd);
    return NULL;
}
