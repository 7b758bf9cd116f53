/* What a container's log needs: pipes' other half, the note, the file, and its rotation. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "common/log_note.h"
#include "common/memory.h"
#include "services/sandboxd/shim/container.h"
#include "services/sandboxd/shim/handlers.h"
#include "services/sandboxd/shim/mounts.h"
#include "services/sandboxd/shim/shim.h"

enum { OPEN_LIMIT_MS = 30000, ROTATE_LIMIT_MS = 10000, NS_PER_MS = 1000000 };

/* A path alone stays: see logd_tell.c. */
static struct error *log_file_keep(int fd, struct task_output *output)
{
    autofree char *path = xasprintf("/proc/self/fd/%d", fd);
    int kept = open(path, O_PATH | O_CLOEXEC);

    if (kept < 0)
        return error_errno(errno, "keep the log file");
    output->fds[output->fd_count++] = kept;
    return NULL;
}

/* A task: the directory may hang. Input is the path; the result is an O_PATH fd of a file that can be appended to. */
struct error *log_file_open(const struct shim *shim, void *input, struct task_output *output)
{
    const char *path = input;
    autofree char *parent = xstrdup(path);
    char *slash = strrchr(parent, '/');

    (void)shim;
    if (!path[0]) { /* nothing is kept, but a terminal must be read all the same, and an attach may come */
        output->fds[output->fd_count++] = open("/dev/null", O_PATH | O_CLOEXEC);
        return NULL;
    }
    if (path[0] != '/')
        return error_new(ERROR_INVALID_ARGUMENT, "log path %s is not absolute", path);
    if (slash > parent) {
        *slash = '\0';
        TRY(directories_make(parent, 0755));
    }
    autoclose int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0640);
    if (fd < 0)
        return error_errno(errno, "open log file %s", path);
    struct stat about;
    if (fstat(fd, &about) < 0 || !S_ISREG(about.st_mode))
        return error_new(ERROR_INVALID_ARGUMENT, "log path %s is no regular file", path);
    return log_file_keep(fd, output);
}

static struct error *note_make(int *ret_fd)
{
    autoclose int fd = memfd_create("bulkhead-log", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0 || ftruncate(fd, LOG_NOTE_SIZE) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0)
        return error_errno(errno, "make the log's note");
    *ret_fd = TAKE_FD(fd);
    return NULL;
}

/* The note and the private pipe; what is there already stays. */
struct error *container_log_init(struct shim *shim, struct container *container)
{
    int pipe_fds[2], note = -1;

    if (container->fds[CONTAINER_NOTE] >= 0 && container->fds[CONTAINER_STAGE_READ] >= 0 &&
        container->fds[CONTAINER_STAGE_WRITE] >= 0)
        return NULL;
    TRY(note_make(&note));
    container_keep_fd(shim, container, CONTAINER_NOTE, note);
    if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) < 0)
        return error_errno(errno, "make the log's private pipe");
    fcntl(pipe_fds[0], F_SETPIPE_SZ, LOG_NOTE_PIPE_SIZE);
    container_keep_fd(shim, container, CONTAINER_STAGE_READ, pipe_fds[0]);
    container_keep_fd(shim, container, CONTAINER_STAGE_WRITE, pipe_fds[1]);
    return NULL;
}

void container_log_leave(struct shim *shim, struct container *container)
{
    if (container->is_log_leaving || !container_has_log(container))
        return;
    container->is_log_leaving = true;
    logd_link_remove(shim, container);
}

void container_log_removed(struct shim *shim, struct container *container)
{
    static const enum container_fd of_log[] = {CONTAINER_OUT,  CONTAINER_ERR, CONTAINER_STAGE_READ, CONTAINER_STAGE_WRITE,
                                               CONTAINER_NOTE, CONTAINER_LOG, CONTAINER_LOG_NEXT,   CONTAINER_TERMINAL};

    if (!container->is_log_leaving)
        return;
    container->is_log_gone = true;
    for (size_t i = 0; i < sizeof(of_log) / sizeof(of_log[0]); i++)
        container_drop_fd(shim, container, of_log[i]);
}

/* --- rotation ----------------------------------------------------------------------------------------------------- */

/* The new file takes the old one's place: in the store first, so that a successor never holds less than one of them. */
void container_log_moved(struct shim *shim, struct container *container, uint64_t generation)
{
    if (container->fds[CONTAINER_LOG_NEXT] < 0 || generation != container->record.log_generation + 1)
        return;
    container_keep_fd(shim, container, CONTAINER_LOG, fcntl(container->fds[CONTAINER_LOG_NEXT], F_DUPFD_CLOEXEC, 3));
    FAILPOINT("shim.reopen.before_record");
    container->record.log_generation = generation;
    struct error *failure = container_save(shim, container);
    if (failure)
        log_warn("log generation not on record", "container=%s error=%s", container->id, log_quote(failure->text));
    error_free(failure);
    FAILPOINT("shim.reopen.after_record");
    container_drop_fd(shim, container, CONTAINER_LOG_NEXT);
}

/* By what the kernel knows: the file system is not asked, as it may hang. */
static bool is_same_file(int one, int other)
{
    enum { FLAGS = AT_EMPTY_PATH | AT_STATX_DONT_SYNC };
    struct statx first, second;

    return one >= 0 && other >= 0 && statx(one, "", FLAGS, STATX_INO, &first) == 0 &&
           statx(other, "", FLAGS, STATX_INO, &second) == 0 && first.stx_ino == second.stx_ino &&
           first.stx_dev_major == second.stx_dev_major && first.stx_dev_minor == second.stx_dev_minor;
}

static struct container *reopen_container(struct shim *shim, const struct step *step)
{
    const char *id = step_string(step, SHIM_TAG_CONTAINER);

    return id ? container_find(shim, id) : NULL;
}

static void reopen_opened(struct shim *shim, struct job *job)
{
    struct step *step = job->argument;
    struct container *container = reopen_container(shim, step);

    if (job->error) {
        step_finish(shim, step, TAKE(job->error));
        return;
    }
    if (!container || !container_has_log(container)) {
        step_finish(shim, step, error_new(ERROR_FAILED_PRECONDITION, "the container has ended"));
        return;
    }
    autoclose int fd = job_take_fd(job, 0);
    int pending = container->fds[CONTAINER_LOG_NEXT];
    if (pending >= 0 && !is_same_file(fd, pending)) {
        step_finish(shim, step, error_new(ERROR_ABORTED, "another rotation of this log is under way"));
        return;
    }
    if (pending < 0 && is_same_file(fd, container->fds[CONTAINER_LOG])) { /* it was not renamed */
        step_finish(shim, step, NULL);
        return;
    }
    if (pending < 0) {
        container_keep_fd(shim, container, CONTAINER_LOG_NEXT, TAKE_FD(fd));
        logd_tell(shim, container);
    }
    step->phase = 2;
    step->deadline_ns = clock_boottime_ns() + (int64_t)ROTATE_LIMIT_MS * NS_PER_MS;
    step_wait(shim, step);
}

static void reopen_await(struct shim *shim, struct step *step)
{
    const struct container *container = reopen_container(shim, step);

    if (!container || container->fds[CONTAINER_LOG_NEXT] < 0)
        step_finish(shim, step, NULL);
    else if (clock_boottime_ns() >= step->deadline_ns)
        step_finish(shim, step, error_new(ERROR_DEADLINE_EXCEEDED, "logd has not gone over to the new file yet"));
    else
        step_wait(shim, step);
}

static struct error *reopen_begin(struct shim *shim, struct step *step)
{
    const char *id;

    TRY(step_container_name(step, &id));
    struct container *container = container_find(shim, id);
    if (!container)
        return error_new(ERROR_NOT_FOUND, "no container %s", id);
    if (!container_lives(container))
        return error_new(ERROR_FAILED_PRECONDITION, "container %s does not run", id);
    if (!container->record.log_path[0]) {
        step_finish(shim, step, NULL);
        return NULL;
    }
    step->phase = 1;
    return job_task_run(shim, log_file_open, container->record.log_path, OPEN_LIMIT_MS, reopen_opened, step);
}

void log_reopen(struct shim *shim, struct step *step)
{
    if (step->phase == 2) {
        reopen_await(shim, step);
        return;
    }
    struct error *failure = reopen_begin(shim, step);
    if (failure)
        step_finish(shim, step, error_wrap(failure, "reopen the log"));
}
