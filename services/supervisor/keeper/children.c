/* How a child is written down before it exists, and found again by the keeper's successor. */
#include "services/supervisor/keeper/children.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

#include "common/clock.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/record.h"
#include "services/supervisor/keeper/cgroup.h"
#include "services/supervisor/keeper/programs.h"
#include "services/supervisor/keeper/reap.h"

struct child_record {
    int32_t program;
    uint32_t flags;
    uint64_t serial;
    uint64_t generation;
    int64_t started_ns;
    struct process_id process; /* pid 0: an intent */
    char name[KEEPER_NAME_SIZE];
};

static void record_name(const struct child *child, char *name, size_t size)
{
    snprintf(name, size, "%s.%llu", program_get(child->program)->name, (unsigned long long)child->serial);
}

static struct error *child_save(const struct keeper *keeper, const struct child *child)
{
    struct child_record record = {
        .program = (int32_t)child->program,
        .flags = child->flags,
        .serial = child->serial,
        .generation = child->generation,
        .started_ns = child->started_ns,
        .process = child->process,
    };
    char name[64];

    memcpy(record.name, child->name, sizeof(record.name));
    record_name(child, name, sizeof(name));
    return record_save(keeper->children_dir, name, "child", 1, &record, sizeof(record));
}

static struct error *serials_save(const struct keeper *keeper)
{
    return record_save(keeper->keeper_dir, "serials", "serials", 1, keeper->serials, sizeof(keeper->serials));
}

static void serials_load(struct keeper *keeper)
{
    uint32_t version = 0;
    autofree void *data = NULL;
    size_t size = 0;
    autoptr(error) failure = record_load(keeper->keeper_dir, "serials", "serials", 1, &version, &data, &size);

    if (!failure && size == sizeof(keeper->serials))
        memcpy(keeper->serials, data, size);
    else if (!failure || failure->code != ERROR_NOT_FOUND)
        log_error("the generation counters are unreadable", "error=%s", log_quote(failure ? failure->text : "size"));
}

/* Where nothing can be written, what exists must be served and ended all the same: only a new pod is refused. Without a record
 * the next keeper does not adopt the child: it ends a daemon by its cgroup, and a shim runs on. */
static bool is_new_shim(const struct child *child)
{
    return child->program == KEEPER_SHIM && !(child->flags & KEEPER_ADOPT);
}

struct error *child_intend(struct keeper *keeper, enum keeper_program program, const char *name, uint64_t generation,
                           uint32_t flags, struct child **ret)
{
    struct child *child = xcalloc(1, sizeof(*child));
    uint64_t *serial = &keeper->serials[program];

    if (!program_get(program)->has_instance && generation > *serial)
        *serial = generation;
    else
        (*serial)++;
    child->program = program;
    child->pidfd = -1;
    child->serial = *serial;
    child->generation = program_get(program)->has_instance && generation ? generation : child->serial;
    child->flags = flags & KEEPER_ADOPT;
    child->started_ns = clock_boottime_ns();
    snprintf(child->name, sizeof(child->name), "%s", name);
    struct error *failure = serials_save(keeper);
    if (!failure)
        failure = child_save(keeper, child);
    if (failure && is_new_shim(child)) {
        child_forget(keeper, child);
        return error_wrap(failure, "note the intent to start %s", program_get(program)->name);
    }
    if (failure)
        log_warn("a child is started without a record", "program=%s generation=%llu error=%s",
                 program_get(program)->name, (unsigned long long)child->generation, log_quote(failure->text));
    error_free(failure);
    *ret = child;
    return NULL;
}

struct error *child_started(struct keeper *keeper, struct child *child, pid_t pid)
{
    child->next = keeper->children; /* it is ours whatever fails below: the reaping takes it off the list */
    keeper->children = child;
    child->process.pid = pid;
    TRY(process_id_read(pid, &child->process));
    FAILPOINT("keeper.spawn.before_record");
    autoptr(error) unsaved = child_save(keeper, child);
    if (unsaved)
        log_error("a child could not be recorded", "pid=%d error=%s", pid, log_quote(unsaved->text));
    child->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (child->pidfd < 0)
        return error_errno(errno, "pidfd of %d", pid);
    return NULL;
}

void child_forget(struct keeper *keeper, struct child *child)
{
    char name[64];

    for (struct child **link = &keeper->children; *link; link = &(*link)->next) {
        if (*link == child) {
            *link = child->next;
            break;
        }
    }
    if (!program_get(child->program)->outlives_keeper)
        cgroup_kill(keeper, child->program, child->serial);
    if (!cgroup_remove(keeper, child->program, child->serial))
        keeper->cgroups_dirty = true;
    record_name(child, name, sizeof(name));
    error_free(record_remove(keeper->children_dir, name));
    if (child->pidfd >= 0) {
        /* By hand: whoever asked LIST has a copy, and with it epoll would keep an event for freed memory. */
        epoll_ctl(keeper->epoll, EPOLL_CTL_DEL, child->pidfd, NULL);
        close(child->pidfd);
    }
    free(child);
}

struct child *child_find(const struct keeper *keeper, const struct process_id *process)
{
    struct child *child = child_find_pid(keeper, process->pid);

    return child && child->process.start_ticks == process->start_ticks ? child : NULL;
}

struct child *child_find_pid(const struct keeper *keeper, pid_t pid)
{
    for (struct child *child = keeper->children; child; child = child->next)
        if (child->process.pid == pid)
            return child;
    return NULL;
}

/* The newest: an older generation may still be dying. */
struct child *child_find_program(const struct keeper *keeper, enum keeper_program program)
{
    struct child *newest = NULL;

    for (struct child *child = keeper->children; child; child = child->next)
        if (child->program == program && (!newest || child->serial > newest->serial))
            newest = child;
    return newest;
}

/* An intent whose keeper died between fork and record: its cgroup knows. */
static void intent_resolve(const struct keeper *keeper, struct child *child)
{
    pid_t pid = cgroup_only_process(keeper, child->program, child->serial);

    if (pid && program_get(child->program)->outlives_keeper)
        error_free(process_id_read(pid, &child->process));
}

static bool child_adopt(struct keeper *keeper, struct child *child)
{
    if (child->process.pid == 0)
        intent_resolve(keeper, child);
    autoptr(error) gone = process_id_open(&child->process, &child->pidfd);
    if (gone)
        return false;
    child->is_adopted = true;
    child->watch.ready = reap_adopted;
    keeper_watch(keeper, child->pidfd, EPOLLIN | EPOLLONESHOT, &child->watch);
    child->next = keeper->children;
    keeper->children = child;
    log_info("adopted", "program=%s name=%s generation=%llu pid=%d", program_get(child->program)->name, child->name,
             (unsigned long long)child->generation, child->process.pid);
    return true;
}

static struct error *child_load(struct keeper *keeper, const char *name)
{
    uint32_t version = 0;
    autofree void *data = NULL;
    size_t size = 0;

    TRY(record_load(keeper->children_dir, name, "child", 1, &version, &data, &size));
    const struct child_record *record = data;
    if (size != sizeof(*record) || !program_is_valid(record->program))
        return error_new(ERROR_DATA_LOSS, "child record %s is not one", name);
    struct child *child = xcalloc(1, sizeof(*child));
    child->program = (enum keeper_program)record->program;
    child->flags = record->flags;
    child->serial = record->serial;
    child->generation = record->generation;
    child->started_ns = record->started_ns;
    child->process = record->process;
    child->pidfd = -1;
    snprintf(child->name, sizeof(child->name), "%.*s", KEEPER_NAME_SIZE - 1, record->name);
    if (keeper->serials[child->program] < child->serial)
        keeper->serials[child->program] = child->serial;
    if (!child_adopt(keeper, child))
        child_forget(keeper, child); /* its end is in the exit records, which its owner reads */
    return NULL;
}

struct error *children_load(struct keeper *keeper)
{
    int fd = openat(keeper->children_dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);

    if (!directory) {
        int errnum = errno;
        if (fd >= 0)
            close(fd);
        return error_errno(errnum, "list the children's records");
    }
    serials_load(keeper);
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (entry->d_name[0] == '.')
            continue;
        autoptr(error) failure = child_load(keeper, entry->d_name);
        if (failure)
            log_warn("a child's record was put aside", "error=%s", log_quote(failure->text));
    }
    closedir(directory);
    keeper->cgroups_dirty = true;
    return serials_save(keeper);
}

void children_leave(struct keeper *keeper)
{
    while (keeper->children) {
        struct child *child = keeper->children;
        keeper->children = child->next;
        free(child); /* its pidfd goes with this process */
    }
}
