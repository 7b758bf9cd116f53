/* The main thread: which events are taken in which order. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "common/clock.h"
#include "common/log.h"
#include "services/supervisor/daemon.h"
#include "services/supervisor/keeper/exits.h"
#include "services/supervisor/keeper_calls.h"

enum { TICK_MS = 100, NS_PER_MS = 1000000 };
static const int64_t late_ns = 500000000;
static const int64_t stuck_ns = 2500000000;

static struct daemon *daemon_of_pid(struct supervisor *supervisor, pid_t pid)
{
    for (size_t i = 0; i < SUPERVISOR_DAEMONS; i++)
        if (supervisor->daemons[i].process.pid == pid)
            return &supervisor->daemons[i];
    return NULL;
}

static void notifications_take(struct supervisor *supervisor)
{
    struct notify_message message;

    while (notify_receive(supervisor->notify_fd, &message)) {
        struct daemon *daemon = message.pid > 0 ? daemon_of_pid(supervisor, message.pid) : NULL;
        if (daemon)
            daemon_heard(supervisor, daemon, &message);
        else if (message.pid > 0)
            sessions_heard(supervisor, &message);
    }
}

static struct ended *ended_take(struct supervisor *supervisor)
{
    pthread_mutex_lock(&supervisor->lock);
    struct ended *ended = supervisor->ended;
    if (ended)
        supervisor->ended = ended->next;
    pthread_mutex_unlock(&supervisor->lock);
    return ended;
}

/* In the order in which they were told. An end of a generation that is not the present one is only acknowledged. */
static void exits_take(struct supervisor *supervisor)
{
    for (struct ended *ended; (ended = ended_take(supervisor)); free(ended)) {
        const struct keeper_message *exit = &ended->exit;
        struct daemon *daemon = daemon_of_pid(supervisor, exit->process.pid);
        if (daemon && daemon->process.start_ticks == exit->process.start_ticks)
            daemon_ended(supervisor, daemon, exit->found, exit->wait_status);
        else if (!sessions_ended(supervisor, exit))
            keeper_drop_exit(supervisor, &exit->process);
    }
}

struct living {
    struct keeper_message children[SUPERVISOR_DAEMONS]; /* the newest generation of each */
    struct keeper_message older[16];
    size_t older_count;
    struct supervisor *supervisor;
};

static void living_add_older(struct living *living, const struct keeper_message *child)
{
    if (living->older_count < sizeof(living->older) / sizeof(living->older[0]))
        living->older[living->older_count++] = *child;
}

static void living_add(void *argument, const struct keeper_message *child)
{
    struct living *living = argument;

    if (child->program == KEEPER_STREAM)
        sessions_adopt(living->supervisor, child);
    for (size_t i = 0; i < SUPERVISOR_DAEMONS; i++) {
        if ((int32_t)living->supervisor->daemons[i].program != child->program)
            continue;
        if (!living->children[i].found) {
            living->children[i] = *child;
        } else if (child->generation > living->children[i].generation) {
            living_add_older(living, &living->children[i]);
            living->children[i] = *child;
        } else {
            living_add_older(living, child);
        }
    }
}

/* A daemon that we believed alive is not: the exit record knows how it ended. */
static void daemon_missed(struct supervisor *supervisor, struct daemon *daemon)
{
    struct keeper_exit_record record = {0};
    autoptr(error) missing = exit_load(supervisor->exits_dir, &daemon->process, &record);

    daemon_ended(supervisor, daemon, !missing, record.wait_status);
}

static struct error *sync_with_keeper(struct supervisor *supervisor)
{
    struct living living = {.supervisor = supervisor};

    TRY(keeper_sync_pages(supervisor));
    TRY(keeper_put_listener(supervisor));
    sessions_miss_all(&supervisor->sessions);
    TRY(keeper_list(supervisor, living_add, &living));
    sessions_drop_missed(supervisor);
    for (size_t i = 0; i < living.older_count; i++)
        error_free(keeper_kill(supervisor, &living.older[i].process, SIGKILL));
    for (size_t i = 0; i < SUPERVISOR_DAEMONS; i++) {
        struct daemon *daemon = &supervisor->daemons[i];
        if (living.children[i].found)
            daemon_adopt(supervisor, daemon, &living.children[i]);
        else if (daemon->process.pid)
            daemon_missed(supervisor, daemon);
    }
    supervisor_save(supervisor, false);
    return NULL;
}

/* Whatever kept this loop, the daemons are not to blame for it. */
static void lateness_excuse(struct supervisor *supervisor)
{
    int64_t now_ns = clock_boottime_ns();
    int64_t since_ns = now_ns - atomic_load(&supervisor->passed_ns);

    if (since_ns > late_ns)
        for (size_t i = 0; i < SUPERVISOR_DAEMONS; i++)
            heartbeat_excuse(&supervisor->daemons[i].heartbeat, since_ns);
    atomic_store(&supervisor->passed_ns, now_ns);
}

static int wait_ms(const struct supervisor *supervisor)
{
    int64_t now_ns = clock_boottime_ns(), wait_ns = (int64_t)TICK_MS * NS_PER_MS;

    for (size_t i = 0; i < SUPERVISOR_DAEMONS; i++) {
        const struct daemon *daemon = &supervisor->daemons[i];
        if (!daemon->process.pid && daemon->next_start_ns - now_ns < wait_ns)
            wait_ns = daemon->next_start_ns - now_ns;
    }
    return wait_ns <= 0 ? 0 : (int)(wait_ns / NS_PER_MS) + 1;
}

static void wait_for_events(struct supervisor *supervisor)
{
    struct pollfd watched[] = {{.fd = supervisor->notify_fd, .events = POLLIN},
                               {.fd = supervisor->wake_fd, .events = POLLIN}};
    eventfd_t count;

    poll(watched, 2, supervisor->needs_sync ? 0 : wait_ms(supervisor));
    if (watched[1].revents)
        eventfd_read(supervisor->wake_fd, &count);
}

static void pass(struct supervisor *supervisor)
{
    wait_for_events(supervisor);
    lateness_excuse(supervisor);
    atomic_store(&supervisor->waits, true); /* what follows may wait for a keeper; 2 s a call */
    if (atomic_exchange(&supervisor->needs_sync, false)) {
        autoptr(error) failure = sync_with_keeper(supervisor);
        if (failure) {
            supervisor->needs_sync = true;
            log_warn("the keeper cannot be asked", "error=%s", log_quote(failure->text));
        }
    }
    exits_take(supervisor);
    notifications_take(supervisor);
    for (size_t i = 0; i < SUPERVISOR_DAEMONS; i++) {
        daemon_check(supervisor, &supervisor->daemons[i]);
        daemon_start(supervisor, &supervisor->daemons[i]);
    }
    sessions_check(supervisor);
    atomic_store(&supervisor->waits, false);
}

struct error *supervisor_run(void *state)
{
    struct supervisor *supervisor = state;

    atomic_store(&supervisor->passed_ns, clock_boottime_ns());
    for (;;)
        pass(supervisor);
}

/* The loop comes round, or waits for a keeper, which is not its fault. */
struct error *supervisor_ping(void *state)
{
    struct supervisor *supervisor = state;

    pthread_mutex_lock(&supervisor->lock);
    pthread_mutex_unlock(&supervisor->lock);
    if (!atomic_load(&supervisor->waits) && clock_boottime_ns() - atomic_load(&supervisor->passed_ns) > stuck_ns)
        return error_new(ERROR_UNAVAILABLE, "the supervisor's loop does not come round");
    return NULL;
}
