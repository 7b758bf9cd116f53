/* When whom: the choice of a victim, and what must have become of it. */
#include "cli/chaos/killer.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/chaos/processes.h"
#include "cli/chaos/random.h"
#include "cli/chaos/readiness.h"
#include "cli/chaos/work.h"
#include "common/clock.h"
#include "common/ipc.h"
#include "common/memory.h"

enum { TICK_US = 5000, LOOK_US = 5000, PENDING_MAX = 64, KILLER_STREAM = 1000 };

static const int64_t child_patience_ns = 300000000;   /* for one of a kind that lives only at times */
static const int64_t work_patience_ns = 50000000;
static const int64_t replaced_limit_ns = 15000000000; /* BOOTTIME; a machine that is busy, not a measure */
static const int64_t stopped_shim_limit_ns = 45000000000; /* sandboxd gives it three silences of 5 s */
static const int64_t guard_silence_ns = 5000000000;   /* until the service manager's watchdog ends the backstop */

/* A victim that is not yet dead, or has no successor. */
struct pending {
    size_t number;
    struct process process;
    int pidfd; /* -1: dead */
    int64_t at_ns, dead_ns;
};

struct killer {
    struct chaos *chaos;
    struct random random;
    struct ipc_client *supervisor; /* NULL with --kill */
    regex_t match;
    struct pending pending[PENDING_MAX];
    size_t pending_count;
};

static const regex_t *match_of(const struct killer *killer)
{
    return killer->chaos->options->kill ? &killer->match : NULL;
}

static void look(struct killer *killer, struct processes *ret)
{
    processes_read(killer->chaos->config->state, match_of(killer), ret);
}

/* ---- what became of the victims ---- */

static bool is_dead(int pidfd)
{
    struct pollfd fd = {.fd = pidfd, .events = POLLIN};

    return poll(&fd, 1, 0) == 1;
}

static bool other_exists(struct killer *killer, const struct process *process)
{
    struct processes now;
    bool found = false;

    look(killer, &now);
    for (size_t i = 0; i < now.count; i++)
        found = found || (now.all[i].target == process->target && now.all[i].pid != process->pid &&
                          !strcmp(now.all[i].pod, process->pod));
    processes_free(&now);
    return found;
}

static bool has_successor(struct killer *killer, const struct pending *victim, const struct readiness *readiness)
{
    const struct process *process = &victim->process;

    if (process->target == TARGET_MATCH) /* a call after its death tells that somebody serves */
        return recorder_last_success_ns(killer->chaos->recorder) > victim->dead_ns;
    if (target_is_child(process->target))
        return true;
    if (process->target == TARGET_SHIM && !book_has(killer->chaos->book, process->pod))
        return true; /* its pod ends, or is not there yet: the call about it tells */
    if (process->target == TARGET_KEEPER || process->target == TARGET_BACKSTOP)
        return readiness->is_answered && other_exists(killer, process);
    if (process->target == TARGET_SHIM && other_exists(killer, process)) /* which may be killed before it is asked about */
        return true;
    return readiness_has_successor(readiness, process->target, process->pod, process->pid);
}

static void victim_note_death(struct killer *killer, struct pending *victim)
{
    if (victim->pidfd < 0 || !is_dead(victim->pidfd))
        return;
    close(TAKE_FD(victim->pidfd));
    victim->dead_ns = clock_boottime_ns();
    recorder_kill_dead(killer->chaos->recorder, victim->number);
}

/* What the service manager does to a backstop that no longer feeds its watchdog. */
static void guard_end(const struct pending *victim)
{
    bool is_silent = clock_boottime_ns() > victim->at_ns + guard_silence_ns;

    if (victim->process.target == TARGET_BACKSTOP && victim->pidfd >= 0 && is_silent)
        syscall(SYS_pidfd_send_signal, victim->pidfd, SIGKILL, NULL, 0);
}

/* Is it done with? */
static bool victim_look(struct killer *killer, struct pending *victim, const struct readiness *readiness)
{
    struct recorder *recorder = killer->chaos->recorder;

    victim_note_death(killer, victim);
    guard_end(victim);
    if (victim->pidfd < 0 && has_successor(killer, victim, readiness)) {
        recorder_kill_settled(recorder, victim->number);
        return true;
    }
    bool is_stopped_shim = victim->pidfd >= 0 && victim->process.target == TARGET_SHIM;
    if (clock_boottime_ns() < victim->at_ns + (is_stopped_shim ? stopped_shim_limit_ns : replaced_limit_ns))
        return false;
    recorder_violation(recorder, VIOLATION_REPLACED, "%s %.13s, pid %d, %s", target_name(victim->process.target),
                       victim->process.pod, victim->process.pid,
                       victim->pidfd < 0 ? "died, and has no successor" : "was stopped, and nobody ended it");
    if (victim->pidfd >= 0)
        close(victim->pidfd);
    return true;
}

static void victims_look(struct killer *killer)
{
    struct readiness readiness = {0};
    size_t kept = 0;

    if (!killer->pending_count)
        return;
    if (killer->supervisor)
        readiness_read(killer->supervisor, &readiness);
    for (size_t i = 0; i < killer->pending_count; i++)
        if (!victim_look(killer, &killer->pending[i], &readiness))
            killer->pending[kept++] = killer->pending[i];
    killer->pending_count = kept;
    readiness_free(&readiness);
}

static void victims_await(struct killer *killer)
{
    for (victims_look(killer); killer->pending_count; victims_look(killer))
        usleep(LOOK_US);
}

/* ---- the next victim ---- */

static bool victim_choose(struct killer *killer, enum target target, struct process *ret)
{
    struct processes now;

    look(killer, &now);
    size_t count = processes_count(&now, target), chosen = random_below(&killer->random, (uint32_t)count);
    for (size_t i = 0; i < now.count; i++)
        if (now.all[i].target == target && chosen-- == 0)
            *ret = now.all[i];
    processes_free(&now);
    return count > 0;
}

static enum target target_choose(struct killer *killer)
{
    uint32_t targets = killer->chaos->options->targets;
    uint32_t chosen = random_below(&killer->random, (uint32_t)__builtin_popcount(targets));

    for (enum target target = 0; target < TARGET_COUNT; target++)
        if (targets_have(targets, target) && chosen-- == 0)
            return target;
    return TARGET_COUNT;
}

/* Waits a little where the chosen kind is one that comes and goes. */
static bool victim_find(struct killer *killer, struct process *ret)
{
    enum target target = target_choose(killer);
    int64_t end = clock_boottime_ns() + child_patience_ns;

    while (!victim_choose(killer, target, ret)) {
        if (clock_boottime_ns() > end || atomic_load(&killer->chaos->is_over))
            return false;
        usleep(TICK_US);
    }
    return true;
}

/* A child is at work from its first instant; who serves must have said so. */
static bool is_ready(struct killer *killer, const struct process *process)
{
    struct readiness readiness;

    if (target_is_child(process->target) && process->target != TARGET_STREAM)
        return true;
    if (!killer->supervisor) /* a call has been answered since the last victim's death */
        return recorder_last_success_ns(killer->chaos->recorder) > 0 && killer->pending_count == 0;
    readiness_read(killer->supervisor, &readiness);
    bool is_asked = process->target == TARGET_KEEPER || process->target == TARGET_BACKSTOP;
    bool ready = is_asked ? readiness.is_answered : readiness_has(&readiness, process->pid);
    readiness_free(&readiness);
    return ready;
}

static int signal_choose(struct killer *killer, enum target target)
{
    bool is_watched = !target_is_child(target) && target != TARGET_MATCH;

    return is_watched && random_chance(&killer->random, killer->chaos->options->stop_percent) ? SIGSTOP : SIGKILL;
}

/* Waits a little for the victim to be ready and at work; if it does not come to that, the kill does not count. */
static void moment_await(struct killer *killer, const struct process *process, struct kill_record *kill)
{
    int64_t end = clock_boottime_ns() + work_patience_ns;

    for (;;) {
        kill->was_ready = is_ready(killer, process);
        work_find(killer->chaos, process, killer->pending_count > 0, kill->work);
        kill->had_work = kill->work[0] != '\0';
        if ((kill->was_ready && kill->had_work) || clock_boottime_ns() > end)
            return;
        usleep(TICK_US);
    }
}

static void victim_kill(struct killer *killer, const struct process *process)
{
    struct kill_record kill = {.pid = process->pid, .target = process->target};
    int pidfd = process_open(process);

    if (pidfd < 0)
        return;
    memcpy(kill.pod, process->pod, sizeof(kill.pod));
    memcpy(kill.detail, process->detail, sizeof(kill.detail));
    kill.signal = signal_choose(killer, process->target);
    moment_await(killer, process, &kill);
    size_t number = recorder_kill(killer->chaos->recorder, &kill);
    syscall(SYS_pidfd_send_signal, pidfd, kill.signal, NULL, 0);
    killer->pending[killer->pending_count++] =
        (struct pending){.number = number, .process = *process, .pidfd = pidfd, .at_ns = clock_boottime_ns()};
}

static void kill_one(struct killer *killer)
{
    struct process process;

    if (!killer->chaos->options->is_overlapping || killer->pending_count == PENDING_MAX)
        victims_await(killer);
    if (victim_find(killer, &process))
        victim_kill(killer, &process);
}

/* Half to one and a half of the mean distance. */
static int64_t pause_choose(struct killer *killer)
{
    double mean_ns = 1e9 / killer->chaos->options->kills_per_second;

    return (int64_t)(mean_ns * (0.5 + (double)random_below(&killer->random, 1000) / 1000));
}

static void killer_loop(struct killer *killer)
{
    int64_t next = clock_boottime_ns() + pause_choose(killer);

    while (!atomic_load(&killer->chaos->is_over)) {
        if (clock_boottime_ns() < next) {
            usleep(TICK_US);
            victims_look(killer);
            continue;
        }
        kill_one(killer);
        next += pause_choose(killer);
        if (next < clock_boottime_ns()) /* no crowd of kills after a wait */
            next = clock_boottime_ns();
    }
    victims_await(killer);
}

void *killer_run(void *argument)
{
    struct chaos *chaos = argument;
    struct killer killer = {.chaos = chaos, .random = random_stream(chaos->options->seed, KILLER_STREAM)};

    if (chaos->options->kills_per_second <= 0)
        return NULL;
    if (chaos->options->kill && regcomp(&killer.match, chaos->options->kill, REG_EXTENDED | REG_NOSUB) != 0)
        return NULL; /* options_parse has tried it */
    autoptr(error) error = chaos->options->kill ? NULL : readiness_open(chaos->config, &killer.supervisor);
    if (error)
        recorder_violation(chaos->recorder, VIOLATION_REPLACED, "the supervisor cannot be asked: %s", error->text);
    else
        killer_loop(&killer);
    if (killer.supervisor)
        ipc_client_close(killer.supervisor);
    if (chaos->options->kill)
        regfree(&killer.match);
    return NULL;
}
