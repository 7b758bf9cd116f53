/* The successor's rules: what to wait for, what to kill, what to undo, what to report again. */
#include "services/sandboxd/shim/adopt.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/record.h"
#include "services/sandboxd/shim/container.h"
#include "services/sandboxd/shim/exec.h"
#include "services/sandboxd/shim/shim.h"

enum { STORE_LIMIT_MS = 5000, AWAITED_LIMIT_MS = 120000, TICK_MS = 3, NS_PER_MS = 1000000 };

/* --- before the loop ---------------------------------------------------------------------------------------------- */

static void container_take_fd(struct container *container, const char *suffix, int fd)
{
    for (int i = 0; i < CONTAINER_FD_COUNT; i++)
        if (strcmp(suffix, container_fd_suffix((enum container_fd)i)) == 0 && container->fds[i] < 0) {
            container->fds[i] = fd;
            return;
        }
    close(fd);
}

/* "pod.SUFFIX", "CONTAINER.SUFFIX" or "EXEC.SUFFIX". */
static void take_fd(struct shim *shim, const char *name, int fd)
{
    char owner[80];
    const char *dot = strrchr(name, '.');

    if (!dot || (size_t)(dot - name) >= sizeof(owner)) {
        close(fd);
        return;
    }
    snprintf(owner, sizeof(owner), "%.*s", (int)(dot - name), name);
    struct container *container = container_find(shim, owner);
    if (strcmp(owner, "pod") == 0)
        pod_take_fd(shim, dot + 1, fd);
    else if (container)
        container_take_fd(container, dot + 1, fd);
    else
        exec_take_fd(shim, name, fd);
}

/* A record that can't be read stays untouched and is named; the others are served. */
static void container_load(struct shim *shim, const char *id)
{
    autofree void *data = NULL;
    uint32_t version;
    size_t size;

    autoptr(error) failure = record_load(shim->containers_fd, id, "container", CONTAINER_VERSION, &version, &data, &size);
    if (failure || size != sizeof(struct container_record) || !shim_name_is_valid(id)) {
        log_error("container record set aside", "container=%s error=%s", id, log_quote(failure ? failure->text : "its size"));
        return;
    }
    struct container *container = container_new(shim, id);
    memcpy(&container->record, data, size);
    container->is_adopted = true;
}

static void containers_load(struct shim *shim)
{
    int fd = openat(shim->containers_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);

    if (!directory)
        return;
    for (const struct dirent *entry; (entry = readdir(directory));)
        if (entry->d_name[0] != '.' && !strchr(entry->d_name, '.'))
            container_load(shim, entry->d_name);
    closedir(directory);
}

struct error *adopt_load(struct shim *shim, bool from_store)
{
    containers_load(shim);
    exec_adopt_all(shim);
    tokens_load(shim);
    ports_adopt(shim);
    if (!from_store && !shim->containers && !(shim->pod.record.state & SHIM_POD_IS_SET_UP))
        return NULL;
    struct error *failure = store_get_all(shim, STORE_LIMIT_MS, take_fd);
    if (failure)
        log_warn("nothing from the keeper's store", "error=%s", log_quote(failure->text));
    error_free(failure); /* pids, namespaces and pipes can be found without it */
    pod_find_namespaces(shim);
    return NULL;
}

/* --- pipes that no store has -------------------------------------------------------------------------------------- */

/* /proc/PID/fd/N of the container's first process is its own: only a pipe is opened (reading it steals nothing). */
static void pipe_find(struct shim *shim, struct container *container, int number, enum container_fd which)
{
    autofree char *path = xasprintf("/proc/%d/fd/%d", container->record.process.pid, number);
    struct stat about;

    if (container->fds[which] >= 0)
        return;
    autoclose int found = open(path, O_PATH | O_CLOEXEC);
    if (found < 0 || fstat(found, &about) < 0 || !S_ISFIFO(about.st_mode))
        return;
    int fd = open(path, (number == 0 ? O_WRONLY : O_RDONLY) | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return;
    fcntl(fd, F_SETFL, 0);
    container_keep_fd(shim, container, which, fd);
}

static void log_find(struct shim *shim, struct container *container)
{
    struct container_record *record = &container->record;

    if (record->flags & SHIM_FLAG_TERMINAL)
        return; /* a pty's master can't be opened again */
    if (record->flags & SHIM_FLAG_STDIN && !(record->flags & CONTAINER_STDIN_ENDED))
        pipe_find(shim, container, 0, CONTAINER_IN);
    if (!record->log_path[0] && !(record->flags & SHIM_FLAG_ATTACH))
        return;
    pipe_find(shim, container, 1, CONTAINER_OUT);
    pipe_find(shim, container, 2, CONTAINER_ERR);
    if (container->fds[CONTAINER_LOG] < 0) {
        struct task_output output = {0};
        struct error *failure = job_task_wait(shim, log_file_open, record->log_path, &output);
        if (failure)
            log_warn("log file not opened again", "container=%s error=%s", container->id, log_quote(failure->text));
        else
            container_keep_fd(shim, container, CONTAINER_LOG, output.fds[0]);
        wire_writer_fini(&output.fields);
        error_free(failure);
    }
    error_free(container_log_init(shim, container)); /* without it nothing is logged, as its ADD is not sent */
}

/* --- each container ----------------------------------------------------------------------------------------------- */

static void container_resume(struct shim *shim, struct container *container)
{
    int pidfd = -1;

    struct error *failure = process_id_open(&container->record.process, &pidfd);
    bool is_reaped = failure && failure->code == ERROR_NOT_FOUND;
    error_free(failure);
    if (pidfd >= 0 && container->fds[CONTAINER_PIDFD] < 0)
        container_keep_fd(shim, container, CONTAINER_PIDFD, pidfd);
    else if (pidfd >= 0)
        close(pidfd);
    if (!is_reaped)
        log_find(shim, container);
    container_watch(shim, container);
}

static void container_adopt(struct shim *shim, struct container *container)
{
    if (container->record.flags & CONTAINER_STDIN_ENDED)
        container_drop_fd(shim, container, CONTAINER_IN);
    switch (container->record.state) {
    case SHIM_CONTAINER_CREATING:
        container->is_undone = true; /* begun once nothing of the predecessor's runs: see adopt_tick */
        container->is_deleting = true;
        return;
    case SHIM_CONTAINER_EXITED:
        container->is_published = container->record.is_acknowledged;
        if (!container->is_published)
            container_finish_exit(shim, container);
        else
            container_log_leave(shim, container);
        return;
    default:
        container_resume(shim, container);
    }
}

/* --- the predecessor's programs ----------------------------------------------------------------------------------- */

struct survey {
    struct shim *shim;
    bool is_waited; /* something of a predecessor still runs that may end by itself */
    bool is_busy;   /* something that must go is not gone */
};

/* One that must not be cut in two: a start (killed, it gives a true but meaningless exit), an exec, a CNI plugin. */
static bool is_awaited(const char *name)
{
    size_t length = strlen(name), end = strlen(JOB_AWAITED_SUFFIX);

    return length > end && strcmp(name + length - end, JOB_AWAITED_SUFFIX) == 0;
}

static bool is_own_step(const char *name)
{
    return strtol(name, NULL, 10) == getpid();
}

static void survey_step(void *argument, const char *name)
{
    struct survey *survey = argument;
    struct shim *shim = survey->shim;
    autofree char *path = xasprintf("%s/step/%s", shim->pod.record.cgroup, name);

    if (is_own_step(name))
        return;
    if (is_awaited(name) && clock_boottime_ns() < shim->adoption_limit_ns && !cgroup_is_empty(&shim->cgroups, path)) {
        survey->is_waited = true;
        return;
    }
    if (!cgroup_kill(&shim->cgroups, path) || !cgroup_remove(&shim->cgroups, path))
        survey->is_busy = true;
}

/* What a start came to is seen by the FIFO that the runtime removes. */
static void starts_settle(struct shim *shim)
{
    for (struct container *container = shim->containers; container; container = container->next) {
        if (!container->is_adopted || container->record.state != SHIM_CONTAINER_STARTING)
            continue;
        if (!cgroup_is_empty(&shim->cgroups, container->record.step_cgroup))
            continue;
        autofree char *fifo = container_fifo_path(shim, container);
        bool has_started = access(fifo, F_OK) < 0;
        container->record.started_ns = has_started ? clock_realtime_ns() : 0;
        error_free(container_move(shim, container, has_started ? SHIM_CONTAINER_RUNNING : SHIM_CONTAINER_CREATED));
    }
}

static bool undo_next_create(struct shim *shim)
{
    for (struct container *container = shim->containers; container; container = container->next)
        if (container->is_adopted && container->record.state == SHIM_CONTAINER_CREATING && container->is_deleting) {
            container->is_adopted = false; /* once */
            container_undo(shim, container);
            return true;
        }
    return false;
}

/* A cgroup below the pod's without a record: of a container whose record is gone already, or never was. */
static void sweep_container(void *argument, const char *name)
{
    struct survey *survey = argument;
    const struct shim *shim = survey->shim;
    autofree char *path = xasprintf("%s/%s", shim->pod.record.cgroup, name);

    if (strcmp(name, "step") == 0 || strcmp(name, "first") == 0)
        return;
    for (const struct container *container = shim->containers; container; container = container->next)
        if (strcmp(container->record.cgroup, path) == 0 || strcmp(container->id, name) == 0)
            return;
    if (!cgroup_kill(&shim->cgroups, path) || !cgroup_remove(&shim->cgroups, path))
        survey->is_busy = true;
}

static void adopt_tick(struct shim *shim, void *owner)
{
    struct survey survey = {.shim = shim};
    autofree char *steps = xasprintf("%s/step", shim->pod.record.cgroup);

    (void)owner;
    cgroup_each_child(&shim->cgroups, steps, survey_step, &survey);
    starts_settle(shim);
    execs_settle(shim);
    FAILPOINT("shim.adopt.tick");
    if (!survey.is_busy) {
        while (undo_next_create(shim))
            continue;
        cgroup_each_child(&shim->cgroups, shim->pod.record.cgroup, sweep_container, &survey);
    }
    shim->is_adopting = survey.is_busy || survey.is_waited;
    if (shim->is_adopting)
        loop_arm(&shim->loop, &shim->adoption, TICK_MS);
    else
        log_info("adopted", "pod=%s", shim->pod_id);
}

void adopt_begin(struct shim *shim)
{
    shim->adoption_limit_ns = clock_boottime_ns() + (int64_t)AWAITED_LIMIT_MS * NS_PER_MS;
    for (struct container *container = shim->containers; container; container = container->next) {
        container_adopt(shim, container);
    }
    exec_resume_all(shim);
    shim->is_adopting = true;
    shim->adoption = (struct timer){.fire = adopt_tick, .owner = shim};
    loop_arm(&shim->loop, &shim->adoption, 0);
}
