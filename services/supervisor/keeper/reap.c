/* In which order an end is recorded, told and reaped, for our own children and for adopted ones. */
#include "services/supervisor/keeper/reap.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/clock.h"
#include "common/failpoint.h"
#include "common/fd.h"
#include "common/log.h"
#include "services/supervisor/keeper/children.h"
#include "services/supervisor/keeper/exits.h"
#include "services/supervisor/keeper/pidfd_info.h"
#include "services/supervisor/keeper/programs.h"
#include "services/supervisor/keeper/server.h"
#include "services/supervisor/keeper/supervisor.h"

/* How long its new parent may take to record and reap an adopted process; the backstop takes none, init some 1.5 s, and a
 * stopped one for ever. */
static const int64_t reaper_limit_ns = 200000000;

static void child_ended(struct keeper *keeper, struct child *child, bool is_known, int wait_status, int64_t time_ns)
{
    log_info("ended", "program=%s name=%s generation=%llu pid=%d status=%d known=%d",
             program_get(child->program)->name, child->name, (unsigned long long)child->generation,
             child->process.pid, wait_status, is_known);
    server_tell_exit(keeper, child, is_known, wait_status, time_ns);
    if (child->program == KEEPER_SUPERVISOR)
        supervisor_ended(keeper, child, is_known, wait_status);
    child_forget(keeper, child);
}

void reap_children(struct keeper *keeper)
{
    struct ended_process ended;

    while (exit_next(keeper->exits_dir, &ended)) {
        struct child *child = child_find_pid(keeper, ended.process.pid);
        FAILPOINT("keeper.reap.recorded");
        exit_reap(&ended);
        FAILPOINT("keeper.reap.reaped");
        if (child && !child->is_adopted)
            child_ended(keeper, child, true, ended.wait_status, ended.time_ns);
        else
            log_debug("reaped an orphan", "pid=%d status=%d", ended.process.pid, ended.wait_status);
    }
}

void reap_adopted(struct keeper *keeper, struct watch *watch, uint32_t events)
{
    (void)keeper;
    (void)events;
    ((struct child *)watch)->dying_since_ns = clock_boottime_ns(); /* the watch is its first member */
}

bool reap_is_pending(const struct keeper *keeper)
{
    for (const struct child *child = keeper->children; child; child = child->next)
        if (child->dying_since_ns)
            return true;
    return false;
}

static bool is_reaped(int pidfd)
{
    return syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0) < 0 && errno == ESRCH;
}

/* Without the right to trace, the kernel says 0 where the status would be. */
static bool may_trace(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};

    return syscall(SYS_capget, &header, data) == 0 && (data[0].effective & (1u << CAP_SYS_PTRACE));
}

/* The status of a zombie that nobody reaps: the last field of its stat line (docs/decisions/0002). */
static bool zombie_status(pid_t pid, int *ret_wait_status)
{
    char path[40];
    autofree char *text = NULL;
    size_t size = 0;

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    autoptr(error) failure = file_read_all(path, 4096, &text, &size);
    const char *state = failure ? NULL : strrchr(text, ')');
    if (!state || strncmp(state, ") Z ", 4) != 0 || !may_trace())
        return false;
    *ret_wait_status = (int)strtol(strrchr(state, ' '), NULL, 10);
    return true;
}

/* The record of the backstop (or of ours, if it has become our child), else the kernel, else unknown. */
static void adopted_ended(struct keeper *keeper, struct child *child)
{
    struct keeper_exit_record record = {.time_ns = clock_realtime_ns()};
    autoptr(error) missing = exit_load(keeper->exits_dir, &child->process, &record);
    bool is_known = !missing || pidfd_exit_status(child->pidfd, &record.wait_status) ||
                    zombie_status(child->process.pid, &record.wait_status);

    child_ended(keeper, child, is_known, record.wait_status, record.time_ns);
}

void reap_dying(struct keeper *keeper)
{
    for (struct child *child = keeper->children, *next; child; child = next) {
        next = child->next;
        if (!child->dying_since_ns)
            continue;
        bool is_late = clock_boottime_ns() - child->dying_since_ns > reaper_limit_ns;
        if (is_late || is_reaped(child->pidfd))
            adopted_ended(keeper, child);
    }
}
