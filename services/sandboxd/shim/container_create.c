/* SHIM_CREATE: log file, pipes, the runtime's create, and the record of the process that it left to us. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/failpoint.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/log_note.h"
#include "common/memory.h"
#include "services/sandboxd/shim/container.h"
#include "services/sandboxd/shim/handlers.h"
#include "services/sandboxd/shim/scope_holder.h"
#include "services/sandboxd/shim/shim.h"

enum { LOG_OPEN_LIMIT_MS = 30000, CREATE_LIMIT_MS = 120000, OUTPUT_PIPE_SIZE = 256 << 10 };

struct create {
    struct step *step;
    struct container *container;
    unsigned log;      /* the runtime's log file's number */
    int stdio[3];      /* the container's ends, until the runtime has them */
    int console;       /* listening, or -1 */
    char *pid_path;
    char *console_path;
};

static void create_free(struct create *create)
{
    for (int i = 0; i < 3; i++)
        if (create->stdio[i] >= 0)
            close(create->stdio[i]);
    if (create->console >= 0)
        close(create->console);
    free(create->pid_path);
    free(create->console_path);
    free(create);
}

static void create_answer(struct shim *shim, struct step *step, const struct container *container)
{
    wire_put_u64(&step->result, SHIM_TAG_PID, (uint64_t)container->record.process.pid);
    wire_put_u64(&step->result, SHIM_TAG_START_TICKS, container->record.process.start_ticks);
    int pidfd = container->fds[CONTAINER_PIDFD];
    if (pidfd >= 0)
        step->fds[step->fd_count++] = fcntl(pidfd, F_DUPFD_CLOEXEC, 3);
    step_finish(shim, step, NULL);
}

/* Undoes first, then answers: no answer leaves half a container. */
static void create_fail(struct shim *shim, struct create *create, struct error *failure)
{
    struct step *step = create->step;

    container_undo(shim, create->container);
    create_free(create);
    step->work = error_wrap(failure, "create container");
    step->phase = 2;
    step_wait(shim, step);
}

/* --- the request -------------------------------------------------------------------------------------------------- */

static struct error *copy_text(char *to, size_t size, const struct step *step, uint16_t tag, const char *what)
{
    const char *text = step_string(step, tag);

    if (!text || strlen(text) >= size)
        return error_new(ERROR_INVALID_ARGUMENT, "%s is missing or longer than %zu bytes", what, size - 1);
    snprintf(to, size, "%s", text);
    return NULL;
}

static struct error *record_read(const struct step *step, struct container_record *record)
{
    const char *handler = step_string(step, SHIM_TAG_RUNTIME_NAME);
    const char *log_path = step_string(step, SHIM_TAG_LOG_PATH);

    *record = (struct container_record){0};
    TRY(copy_text(record->runtime, sizeof(record->runtime), step, SHIM_TAG_RUNTIME, "the runtime"));
    TRY(copy_text(record->bundle, sizeof(record->bundle), step, SHIM_TAG_BUNDLE, "the bundle"));
    TRY(copy_text(record->cgroup, sizeof(record->cgroup), step, SHIM_TAG_CGROUP, "the cgroup"));
    if (log_path && log_path[0])
        TRY(copy_text(record->log_path, sizeof(record->log_path), step, SHIM_TAG_LOG_PATH, "the log path"));
    autofree char *config = xasprintf("%s/config.json", record->bundle);
    if (access(config, R_OK) < 0)
        return error_errno(errno, "bundle %s", config);
    if (record->runtime[0] != '/')
        return error_new(ERROR_INVALID_ARGUMENT, "runtime %s is no absolute path", record->runtime);
    if (!handler || !handler[0])
        handler = strrchr(record->runtime, '/') + 1;
    if (!cgroup_path_is_valid(record->cgroup) || !shim_name_is_valid(handler))
        return error_new(ERROR_INVALID_ARGUMENT, "cgroup %s or runtime %s is not valid", record->cgroup, handler);
    snprintf(record->handler, sizeof(record->handler), "%s", handler);
    record->flags = (uint32_t)step_u64(step, SHIM_TAG_FLAGS, 0) & ~(uint32_t)CONTAINER_STDIN_ENDED;
    return NULL;
}

/* --- stdio -------------------------------------------------------------------------------------------------------- */

static struct error *stream_make(struct shim *shim, struct create *create, int number, enum container_fd which)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_errno(errno, "make a pipe");
    bool is_input = number == 0;
    fcntl(ends[0], F_SETPIPE_SZ, is_input ? 65536 : OUTPUT_PIPE_SIZE);
    create->stdio[number] = ends[is_input ? 0 : 1];
    container_keep_fd(shim, create->container, which, ends[is_input ? 1 : 0]);
    return NULL;
}

/* The name is short and found through our directory fd: sun_path ends at 108 bytes. */
static struct error *console_listen(struct shim *shim, struct create *create)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char name[32];

    snprintf(name, sizeof(name), "%u.tty", ++shim->serial);
    create->console_path = xasprintf("/proc/%d/fd/%d/%s", getpid(), shim->work_fd, name);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", create->console_path);
    unlinkat(shim->work_fd, name, 0);
    create->console = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (create->console < 0 || bind(create->console, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(create->console, 1) < 0)
        return error_errno(errno, "make the console socket");
    return NULL;
}

static struct error *console_take(struct shim *shim, struct create *create)
{
    int fds[FD_PASS_MAX];
    char data[256];
    size_t size, count = 0;

    autoclose int peer = accept4(create->console, NULL, NULL, SOCK_CLOEXEC);
    if (peer < 0)
        return error_errno(errno, "no terminal came from the runtime");
    unlink(create->console_path);
    TRY(fd_receive(peer, data, sizeof(data), &size, fds, &count));
    if (count == 0)
        return error_new(ERROR_INTERNAL, "the runtime sent no terminal");
    fds_close(fds + 1, count - 1);
    fcntl(fds[0], F_SETFL, fcntl(fds[0], F_GETFL) | O_NONBLOCK); /* or logd's splice blocks */
    container_keep_fd(shim, create->container, CONTAINER_TERMINAL, fds[0]);
    return NULL;
}

static struct error *stdio_make(struct shim *shim, struct create *create)
{
    struct container *container = create->container;
    uint32_t flags = container->record.flags;

    if (flags & SHIM_FLAG_TERMINAL)
        return console_listen(shim, create);
    if (container->record.log_path[0] || flags & SHIM_FLAG_ATTACH) {
        TRY(stream_make(shim, create, 1, CONTAINER_OUT));
        TRY(stream_make(shim, create, 2, CONTAINER_ERR));
    }
    if (flags & SHIM_FLAG_STDIN)
        TRY(stream_make(shim, create, 0, CONTAINER_IN));
    return NULL;
}

/* --- the runtime -------------------------------------------------------------------------------------------------- */

static struct error *pid_read(const char *path, pid_t *ret)
{
    autofree char *text = NULL;
    size_t size;

    TRY(file_read_all(path, 64, &text, &size));
    *ret = (pid_t)strtol(text, NULL, 10);
    return *ret > 0 ? NULL : error_new(ERROR_INTERNAL, "%s holds no pid", path);
}

bool process_is_child(pid_t pid)
{
    autofree char *path = xasprintf("/proc/%d/stat", pid);
    autofree char *text = NULL;
    size_t size;

    autoptr(error) failure = file_read_all(path, 4096, &text, &size);
    const char *at = failure ? NULL : strrchr(text, ')');
    return at && strlen(at) > 4 && atoi(at + 4) == getpid(); /* ") S PPID" */
}

static struct error *create_take_process(struct shim *shim, struct create *create)
{
    struct container *container = create->container;
    struct process_id *process = &container->record.process;
    int pidfd;
    pid_t pid;

    TRY(pid_read(create->pid_path, &pid));
    FAILPOINT("shim.create.before_created");
    if (!process_is_child(pid))
        return error_new(ERROR_INTERNAL, "process %d of the pid file is no child of the shim", pid);
    TRY(process_id_read(pid, process));
    TRY(process_id_open(process, &pidfd));
    struct error *failure = container_move(shim, container, SHIM_CONTAINER_CREATED);
    FAILPOINT("shim.create.after_created");
    if (failure) {
        close(pidfd);
        *process = (struct process_id){0};
        return failure;
    }
    container_keep_fd(shim, container, CONTAINER_PIDFD, pidfd);
    return NULL;
}

static struct error *create_finish(struct shim *shim, struct create *create, const struct job *job)
{
    struct container *container = create->container;

    TRY(runtime_result(shim, job, create->log, "create"));
    if (create->console >= 0)
        TRY(console_take(shim, create));
    if (container->record.flags & SHIM_FLAG_SYSTEMD_CGROUP)
        scope_hold(shim, container);
    TRY(create_take_process(shim, create));
    unlink(create->pid_path);
    if (container_has_log(container))
        logd_tell(shim, container);
    return NULL;
}

static void create_ran(struct shim *shim, struct job *job)
{
    struct create *create = job->argument;
    struct step *step = create->step;
    struct container *container = create->container;
    struct error *failure = create_finish(shim, create, job);

    container->runtime = NULL;
    if (failure) {
        unlink(create->pid_path);
        create_fail(shim, create, failure);
        return;
    }
    create_free(create);
    create_answer(shim, step, container);
}

static struct error *create_run(struct shim *shim, struct create *create)
{
    struct container *container = create->container;
    bool has_console = create->console >= 0;
    char *with_console[] = {"create", "--bundle", container->record.bundle, "--pid-file", create->pid_path,
                            "--console-socket", create->console_path, container->id, NULL};
    char *without[] = {"create", "--bundle", container->record.bundle, "--pid-file", create->pid_path, container->id, NULL};

    TRY(runtime_run(shim, container, has_console ? with_console : without, create->stdio, CREATE_LIMIT_MS, create_ran,
                    create, &create->log, &container->runtime));
    for (int i = 0; i < 3; i++) /* nobody but the container may hold a write end, or there is no end of file */
        if (create->stdio[i] >= 0)
            close(TAKE_FD(create->stdio[i]));
    return NULL;
}

static void create_logged(struct shim *shim, struct job *job)
{
    struct create *create = job->argument;
    struct error *failure = TAKE(job->error);
    const struct container_record *record = &create->container->record;

    if (!failure && (record->log_path[0] || record->flags & (SHIM_FLAG_TERMINAL | SHIM_FLAG_ATTACH))) {
        container_keep_fd(shim, create->container, CONTAINER_LOG, job_take_fd(job, 0));
        failure = container_log_init(shim, create->container);
    }
    if (!failure)
        failure = stdio_make(shim, create);
    FAILPOINT("shim.create.before_run");
    if (!failure)
        failure = create_run(shim, create);
    if (failure)
        create_fail(shim, create, failure);
}

static struct error *create_begin(struct shim *shim, struct step *step, const char *id)
{
    struct container_record record;

    TRY(record_read(step, &record));
    struct container *container = container_new(shim, id);
    container->record = record;
    FAILPOINT("shim.create.before_creating");
    struct error *failure = container_move(shim, container, SHIM_CONTAINER_CREATING);
    if (failure) {
        container_forget(shim, container);
        return failure;
    }
    FAILPOINT("shim.create.after_creating");
    struct create *create = xcalloc(1, sizeof(*create));
    *create = (struct create){.step = step, .container = container, .stdio = {-1, -1, -1}, .console = -1};
    create->pid_path = shim_path(shim, "tmp/%u.pid", ++shim->serial);
    unlink(create->pid_path);
    step->phase = 1;
    failure = job_task_run(shim, log_file_open, container->record.log_path, LOG_OPEN_LIMIT_MS, create_logged, create);
    if (failure)
        create_fail(shim, create, failure);
    return NULL;
}

/* A container that exists joins; one that is being made or unmade is waited for. */
void container_create(struct shim *shim, struct step *step)
{
    const char *id;
    struct error *failure = step_container_name(step, &id);
    struct container *container = failure ? NULL : container_find(shim, id);

    if (step->phase == 2) { /* a failed one, while it is undone */
        if (container && container->is_deleting)
            step_wait(shim, step);
        else
            step_finish(shim, step, step->work);
    } else if (failure) {
        step_finish(shim, step, failure);
    } else if (container && container->is_undone && !container->is_deleting) { /* an undo that failed goes on */
        container_undo(shim, container);
        step_wait(shim, step);
    } else if (container && (container->is_deleting || container->record.state == SHIM_CONTAINER_CREATING)) {
        step_wait(shim, step);
    } else if (container) {
        create_answer(shim, step, container);
    } else {
        failure = create_begin(shim, step, id);
        if (failure)
            step_finish(shim, step, error_wrap(failure, "create container"));
    }
}
