/* SHIM_RUN: a program of the host's (a CNI plugin, a runtime's version) to its end. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "common/fd.h"
#include "common/memory.h"
#include "services/sandboxd/shim/handlers.h"
#include "services/sandboxd/shim/job.h"
#include "services/sandboxd/shim/shim.h"

struct run {
    struct step *step;
    int output[2]; /* memfds of stdout and stderr */
};

static int memfd_make(const char *name)
{
    return memfd_create(name, MFD_CLOEXEC);
}

/* Read-only, with a position of its own. */
static int memfd_share(int fd)
{
    autofree char *path = xasprintf("/proc/self/fd/%d", fd);

    return open(path, O_RDONLY | O_CLOEXEC);
}

static void run_free(struct run *run)
{
    for (int i = 0; i < 2; i++)
        if (run->output[i] >= 0)
            close(run->output[i]);
    free(run);
}

static void run_done(struct shim *shim, struct job *job)
{
    struct run *run = job->argument;
    struct step *step = run->step;
    struct error *failure = NULL;

    wire_put_u64(&step->result, SHIM_TAG_STATUS, (uint64_t)(uint32_t)job->status);
    for (int i = 0; i < 2; i++) {
        int fd = memfd_share(run->output[i]);
        if (fd >= 0)
            step->fds[step->fd_count++] = fd;
    }
    if (job->is_timed_out)
        failure = error_new(ERROR_DEADLINE_EXCEEDED, "%s was killed at its limit", step_string(step, SHIM_TAG_PROGRAM));
    run_free(run);
    step_finish(shim, step, failure);
}

static struct error *stdin_make(const struct step *step, int *ret_fd)
{
    const void *data;
    size_t size;

    if (!step_bytes(step, SHIM_TAG_STDIN, &data, &size))
        return NULL;
    autoclose int fd = memfd_make("stdin");
    if (fd < 0)
        return error_errno(errno, "memfd_create");
    TRY(fd_write_all(fd, data, size));
    lseek(fd, 0, SEEK_SET);
    *ret_fd = TAKE_FD(fd);
    return NULL;
}

static struct error *run_begin(struct shim *shim, struct run *run)
{
    struct step *step = run->step;
    const char *path = step_string(step, SHIM_TAG_PROGRAM);
    autoclose int input = -1;
    size_t count, environment_count;

    if (!path || path[0] != '/')
        return error_new(ERROR_INVALID_ARGUMENT, "program %s is no absolute path", path ? path : "(none)");
    TRY(stdin_make(step, &input));
    run->output[0] = memfd_make("stdout");
    run->output[1] = memfd_make("stderr");
    if (run->output[0] < 0 || run->output[1] < 0)
        return error_errno(errno, "memfd_create");
    autofree char **arguments = step_strings(step, SHIM_TAG_ARG, &count);
    autofree char **environment = step_strings(step, SHIM_TAG_ENV, &environment_count);
    char *alone[] = {(char *)path, NULL};
    struct program program = {
        .path = path,
        .argv = count ? arguments : alone,
        .environment = environment_count ? environment : NULL,
        .stdio = {input, run->output[0], run->output[1]},
        .is_awaited = true, /* a CNI plugin cut in two leaves rules and addresses that no DEL finds */
    };
    return job_run(shim, &program, (int64_t)step_u64(step, SHIM_TAG_TIMEOUT_MS, 0), run_done, run, NULL);
}

void program_run(struct shim *shim, struct step *step)
{
    if (shim->is_adopting) { /* the predecessor's own run of it may go on */
        step_wait(shim, step);
        return;
    }
    struct run *run = xcalloc(1, sizeof(*run));

    *run = (struct run){.step = step, .output = {-1, -1}};
    struct error *failure = run_begin(shim, run);
    if (failure) {
        run_free(run);
        step_finish(shim, step, failure);
    }
}
