/* When the supervisor is started, and when it counts as hanging. */
#include "services/supervisor/keeper/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "services/supervisor/death.h"
#include "services/supervisor/keeper/children.h"
#include "services/supervisor/keeper/spawn.h"
#include "services/supervisor/notify.h"

static const int64_t start_interval_ns = 100000000;
static const int64_t silence_ns = 3000000000;
static const int64_t start_limit_ns = 10000000000; /* until READY=1 */

static void notify_ready(struct keeper *keeper, struct watch *watch, uint32_t events)
{
    struct supervisor_watch *supervisor = &keeper->supervisor;
    const struct child *child = child_find_program(keeper, KEEPER_SUPERVISOR);
    struct notify_message message;

    (void)watch;
    (void)events;
    while (notify_receive(supervisor->notify_fd, &message)) {
        if (!child || message.pid != child->process.pid)
            continue;
        supervisor->last_notify_ns = clock_boottime_ns();
        supervisor->is_ready = supervisor->is_ready || message.is_ready || message.is_watchdog;
    }
}

struct error *supervisor_watch_open(struct keeper *keeper)
{
    struct supervisor_watch *supervisor = &keeper->supervisor;
    autofree char *path = xasprintf("%s/keeper/notify", keeper->options->state);

    TRY(notify_open(path, &supervisor->notify_fd));
    supervisor->watch.ready = notify_ready;
    supervisor->last_notify_ns = clock_boottime_ns();
    supervisor->last_death = DEATH_UNKNOWN; /* of the one before us */
    if (child_find_program(keeper, KEEPER_SUPERVISOR))
        supervisor->is_ready = true;
    keeper_watch(keeper, supervisor->notify_fd, EPOLLIN, &supervisor->watch);
    return NULL;
}

static void supervisor_start(struct keeper *keeper, int64_t now_ns)
{
    struct supervisor_watch *supervisor = &keeper->supervisor;
    struct child *child = NULL;

    supervisor->last_start_ns = now_ns;
    supervisor->last_notify_ns = now_ns;
    supervisor->is_ready = false;
    supervisor->is_hang = false;
    struct spawn_request request = {
        .program = KEEPER_SUPERVISOR, .name = "", .last_death = supervisor->last_death};
    autoptr(error) failure = spawn(keeper, &request, &child);
    if (failure)
        log_error("the supervisor cannot be started", "error=%s", log_quote(failure->text));
    else
        log_info("started", "program=supervisor generation=%llu pid=%d last=%d",
                 (unsigned long long)child->generation, child->process.pid, (int)supervisor->last_death);
}

static void supervisor_check(struct supervisor_watch *supervisor, const struct child *child, int64_t now_ns)
{
    int64_t limit_ns = supervisor->is_ready ? silence_ns : start_limit_ns;

    if (supervisor->is_hang || now_ns - supervisor->last_notify_ns < limit_ns)
        return;
    log_warn("the supervisor is silent and will be killed", "pid=%d", child->process.pid);
    supervisor->is_hang = true;
    syscall(SYS_pidfd_send_signal, child->pidfd, SIGKILL, NULL, 0);
}

void supervisor_tick(struct keeper *keeper, int64_t late_ns)
{
    struct supervisor_watch *supervisor = &keeper->supervisor;
    const struct child *child = child_find_program(keeper, KEEPER_SUPERVISOR);
    int64_t now_ns = clock_boottime_ns();

    if (keeper->stopping_since_ns)
        return;
    supervisor->last_notify_ns += late_ns;
    if (child)
        supervisor_check(supervisor, child, now_ns);
    else if (now_ns - supervisor->last_start_ns >= start_interval_ns)
        supervisor_start(keeper, now_ns);
}

void supervisor_ended(struct keeper *keeper, const struct child *child, bool is_known, int wait_status)
{
    struct supervisor_watch *supervisor = &keeper->supervisor;

    (void)child;
    supervisor->last_death =
        supervisor->is_hang ? DEATH_HANG : death_reason_of(is_known, wait_status);
    supervisor->is_ready = false;
}
