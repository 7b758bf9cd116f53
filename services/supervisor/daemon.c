/* What each event means for a daemon, and which step follows. */
#include "services/supervisor/daemon.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "services/supervisor/death.h"
#include "services/supervisor/keeper_calls.h"

static const int64_t corpse_ns = 1000000000;

static void daemon_note_start(struct daemon *daemon, const struct keeper_message *child, bool is_restart)
{
    daemon->process = child->process;
    daemon->generation = child->generation;
    daemon->started_ns = child->time_ns;
    daemon->restarts += is_restart;
    daemon->has_run = true;
    daemon->is_ready = daemon->has_served = false;
    daemon->killed_ns = 0;
    daemon->note[0] = '\0';
    heartbeat_heard(&daemon->heartbeat, clock_boottime_ns());
}

/* A failed spawn waits like a failed start; one whose answer was lost may have succeeded. */
static void daemon_start_failed(struct supervisor *supervisor, struct daemon *daemon, const struct error *failure)
{
    int64_t now_ns = clock_boottime_ns();

    if (failure->code == ERROR_DEADLINE_EXCEEDED || failure->code == ERROR_UNAVAILABLE)
        supervisor->needs_sync = true;
    daemon->next_start_ns = now_ns + restart_delay_ns(&daemon->restart, now_ns, failure->code == ERROR_UNAVAILABLE);
    log_warn("a daemon cannot be started", "daemon=%s error=%s", daemon->name, log_quote(failure->text));
}

void daemon_start(struct supervisor *supervisor, struct daemon *daemon)
{
    struct keeper_message child;

    if (daemon->process.pid || supervisor->needs_sync || clock_boottime_ns() < daemon->next_start_ns)
        return;
    autoptr(error) failure = keeper_spawn_daemon(supervisor, daemon, &child);
    pthread_mutex_lock(&supervisor->lock);
    if (failure)
        daemon_start_failed(supervisor, daemon, failure);
    else
        daemon_note_start(daemon, &child, daemon->has_run);
    pthread_mutex_unlock(&supervisor->lock);
    if (failure)
        return;
    supervisor_save(supervisor, false);
    log_info("daemon started", "daemon=%s generation=%ju pid=%d restarts=%u last=%s", daemon->name,
             (uintmax_t)daemon->generation, daemon->process.pid, daemon->restarts, log_quote(daemon->last_reason));
}

static bool is_same_process(const struct process_id *one, const struct process_id *other)
{
    return one->pid == other->pid && one->start_ticks == other->start_ticks;
}

void daemon_adopt(struct supervisor *supervisor, struct daemon *daemon, const struct keeper_message *child)
{
    if (is_same_process(&daemon->process, &child->process)) {
        heartbeat_heard(&daemon->heartbeat, clock_boottime_ns());
        return;
    }
    pthread_mutex_lock(&supervisor->lock);
    daemon_note_start(daemon, child, daemon->has_run && child->generation != daemon->generation);
    pthread_mutex_unlock(&supervisor->lock);
    log_info("daemon adopted", "daemon=%s generation=%ju pid=%d", daemon->name, (uintmax_t)daemon->generation,
             daemon->process.pid);
}

void daemon_ended(struct supervisor *supervisor, struct daemon *daemon, bool is_known, int wait_status)
{
    enum death_reason reason = daemon->killed_ns ? DEATH_HANG : death_reason_of(is_known, wait_status);
    bool at_once = reason == DEATH_KILLED || reason == DEATH_UNKNOWN || daemon->has_served;
    int64_t now_ns = clock_boottime_ns();
    struct process_id process = daemon->process;

    pthread_mutex_lock(&supervisor->lock);
    daemon->last_death = reason;
    death_describe(reason, wait_status, daemon->last_reason, sizeof(daemon->last_reason));
    daemon->process = (struct process_id){0};
    daemon->is_ready = false;
    daemon->next_start_ns = now_ns + restart_delay_ns(&daemon->restart, now_ns, at_once);
    pthread_mutex_unlock(&supervisor->lock);
    log_warn("daemon ended", "daemon=%s generation=%ju reason=%s failures=%u", daemon->name,
             (uintmax_t)daemon->generation, log_quote(daemon->last_reason), daemon->restart.failures);
    supervisor_save(supervisor, false);
    daemon_start(supervisor, daemon);
    keeper_drop_exit(supervisor, &process);
}

void daemon_check(struct supervisor *supervisor, struct daemon *daemon)
{
    int64_t now_ns = clock_boottime_ns();

    if (!daemon->process.pid)
        return;
    if (daemon->killed_ns) {
        if (now_ns - daemon->killed_ns > corpse_ns)
            daemon_ended(supervisor, daemon, false, 0); /* stuck in the kernel: its successor does not wait */
        return;
    }
    if (!heartbeat_is_hang(&daemon->heartbeat, now_ns, daemon->is_ready))
        return;
    log_warn("daemon hangs and will be killed", "daemon=%s pid=%d", daemon->name, daemon->process.pid);
    autoptr(error) failure = keeper_kill(supervisor, &daemon->process, SIGKILL);
    if (failure)
        supervisor->needs_sync = true; /* gone already, or a new keeper */
    else
        daemon->killed_ns = now_ns;
}

void daemon_heard(struct supervisor *supervisor, struct daemon *daemon, const struct notify_message *message)
{
    bool is_first = !daemon->is_ready && (message->is_ready || message->is_watchdog);

    pthread_mutex_lock(&supervisor->lock);
    heartbeat_heard(&daemon->heartbeat, clock_boottime_ns());
    if (message->is_watchdog)
        daemon->has_served = true;
    if (is_first)
        daemon->is_ready = true;
    if (message->has_status)
        snprintf(daemon->note, sizeof(daemon->note), "%s", message->status);
    pthread_mutex_unlock(&supervisor->lock);
    if (is_first)
        supervisor_save(supervisor, false);
}
