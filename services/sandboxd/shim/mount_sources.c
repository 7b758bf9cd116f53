/* SHIM_PREPARE_MOUNTS: host paths that containers mount; a missing one is made as a directory. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "services/sandboxd/shim/handlers.h"
#include "services/sandboxd/shim/mounts.h"
#include "services/sandboxd/shim/shim.h"

enum { SOURCES_LIMIT_MS = 60000 };

/* A task: a path may be on a file system that hangs. */
static struct error *sources_make(const struct shim *shim, void *input, struct task_output *output)
{
    (void)shim;
    (void)output;
    for (char *const *path = input; *path; path++) {
        struct stat about;
        if ((*path)[0] != '/')
            return error_new(ERROR_INVALID_ARGUMENT, "mount source %s is no absolute path", *path);
        if (stat(*path, &about) == 0)
            continue;
        if (errno != ENOENT)
            return error_errno(errno, "look at mount source %s", *path);
        TRY(directories_make(*path, 0755));
    }
    return NULL;
}

static void sources_done(struct shim *shim, struct job *job)
{
    struct step *step = job->argument;

    free(step->work);
    step->work = NULL;
    step_finish(shim, step, TAKE(job->error));
}

void mount_sources_prepare(struct shim *shim, struct step *step)
{
    size_t count;

    step->work = step_strings(step, SHIM_TAG_MOUNT_SOURCE, &count);
    struct error *failure = job_task_run(shim, sources_make, step->work, SOURCES_LIMIT_MS, sources_done, step);
    if (failure) {
        free(step->work);
        step_finish(shim, step, failure);
    }
}
