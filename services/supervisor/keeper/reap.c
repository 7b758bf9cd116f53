/* In which order an end is recorded, told and reaped, for our own children and for adopted ones. */
#include "services/supervisor/keeper/reap.h"

#include <errno.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/clock.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "services/supervisor/keeper/children.h"
#include "services/supervisor/keeper/exits.h"
#include "services/supervisor/keeper/pidfd_info.h"
#include "services/supervisor/keeper/programs.h"
#include "services/supervisor/keeper/server.h"
#include "services/supervisor/keeper/supervisor.h"

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
    ((struct child *)watch)->is_dying = true; /* the watch is its first member */
}

bool reap_is_pending(const struct keeper *keeper)
{
    for (const struct child *child = keeper->children; child; child = child->next)
        if (child->is_dying)
            return true;
    return false;
}

static bool is_reaped(int pidfd)
{
    return syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0) < 0 && errno == ESRCH;
}

/* The record of the backstop (or of ours, if it has become our child), else the kernel, else unknown. */
static void adopted_ended(struct keeper *keeper, struct child *child)
{
    struct keeper_exit_record record = {.time_ns = clock_realtime_ns()};
    autoptr(error) missing = exit_load(keeper->exits_dir, &child->process, &record);
    bool is_known = !missing || pidfd_exit_status(child->pidfd, &record.wait_status);

    child_ended(keeper, child, is_known, record.wait_status, record.time_ns);
}

void reap_dying(struct keeper *keeper)
{
    for (struct child *child = keeper->children, *next; child; child = next) {
        next = child->next;
        if (child->is_dying && is_reaped(child->pidfd))
            adopted_ended(keeper, child);
    }
}
