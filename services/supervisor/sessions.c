/* Which streaming processes live, and when the next one is started. */
#include "services/supervisor/sessions.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/memory.h"
#include "services/supervisor/keeper_calls.h"

void sessions_init(struct sessions *sessions, int listener)
{
    *sessions = (struct sessions){.listener = listener};
    restart_init(&sessions->restart, clock_boottime_ns());
}

static struct session *session_find(struct sessions *sessions, pid_t pid)
{
    for (size_t i = 0; i < sessions->count; i++)
        if (sessions->all[i].process.pid == pid)
            return &sessions->all[i];
    return NULL;
}

static void session_add(struct supervisor *supervisor, const struct process_id *process, enum session_state state)
{
    struct sessions *sessions = &supervisor->sessions;

    pthread_mutex_lock(&supervisor->lock);
    sessions->all = xreallocarray(sessions->all, sessions->count + 1, sizeof(*sessions->all));
    sessions->all[sessions->count++] = (struct session){.process = *process, .state = state};
    pthread_mutex_unlock(&supervisor->lock);
}

static void session_remove(struct supervisor *supervisor, struct session *session)
{
    struct sessions *sessions = &supervisor->sessions;

    pthread_mutex_lock(&supervisor->lock);
    *session = sessions->all[--sessions->count];
    pthread_mutex_unlock(&supervisor->lock);
}

static enum session_state state_read(pid_t pid)
{
    autofree char *path = xasprintf("/proc/%d/comm", pid);
    autofree char *name = NULL;
    size_t size;
    autoptr(error) gone = file_read_all(path, 64, &name, &size);

    if (gone)
        return SESSION_OPEN; /* its exit is on its way */
    name[strcspn(name, "\n")] = '\0';
    return session_state_of(name);
}

void sessions_adopt(struct supervisor *supervisor, const struct keeper_message *child)
{
    struct session *known = session_find(&supervisor->sessions, child->process.pid);

    if (!known)
        session_add(supervisor, &child->process, state_read(child->process.pid));
    else
        known->is_missed = false;
}

void sessions_miss_all(struct sessions *sessions)
{
    for (size_t i = 0; i < sessions->count; i++)
        sessions->all[i].is_missed = true;
}

void sessions_drop_missed(struct supervisor *supervisor)
{
    struct sessions *sessions = &supervisor->sessions;

    for (size_t i = 0; i < sessions->count;)
        if (sessions->all[i].is_missed)
            session_remove(supervisor, &sessions->all[i]);
        else
            i++;
}

bool sessions_heard(struct supervisor *supervisor, const struct notify_message *message)
{
    struct session *session = session_find(&supervisor->sessions, message->pid);

    if (!session)
        return false;
    pthread_mutex_lock(&supervisor->lock);
    if (message->is_ready)
        session->state = SESSION_OPEN;
    else if (message->has_status && session->state == SESSION_WAITS)
        session->state = SESSION_NEW;
    if (message->has_status)
        snprintf(session->note, sizeof(session->note), "%s", message->status);
    pthread_mutex_unlock(&supervisor->lock);
    return true;
}

/* One that ends before it had a connection, by itself, makes the next one wait: it may be broken. */
bool sessions_ended(struct supervisor *supervisor, const struct keeper_message *exit)
{
    struct sessions *sessions = &supervisor->sessions;
    struct session *session = session_find(sessions, exit->process.pid);
    int64_t now_ns = clock_boottime_ns();

    if (!session || session->process.start_ticks != exit->process.start_ticks)
        return false;
    bool was_killed = !exit->found || (WIFSIGNALED(exit->wait_status) && WTERMSIG(exit->wait_status) == SIGKILL);
    if (session->state == SESSION_WAITS)
        sessions->next_start_ns = now_ns + restart_delay_ns(&sessions->restart, now_ns, was_killed);
    if (exit->found && exit->wait_status != 0)
        log_warn("a session's process ended", "pid=%d status=%d session=%s", exit->process.pid, exit->wait_status,
                 log_quote(session->note));
    session_remove(supervisor, session);
    keeper_drop_exit(supervisor, &exit->process);
    return true;
}

static bool is_pending(const struct sessions *sessions)
{
    struct pollfd waiting = {.fd = sessions->listener, .events = POLLIN};

    return poll(&waiting, 1, 0) == 1 && (waiting.revents & POLLIN);
}

static void start_failed(struct supervisor *supervisor, const struct error *failure)
{
    struct sessions *sessions = &supervisor->sessions;
    int64_t now_ns = clock_boottime_ns();

    if (failure->code == ERROR_DEADLINE_EXCEEDED || failure->code == ERROR_UNAVAILABLE)
        supervisor->needs_sync = true;
    sessions->next_start_ns = now_ns + restart_delay_ns(&sessions->restart, now_ns, false);
    log_warn("no process for streaming sessions", "error=%s", log_quote(failure->text));
}

void sessions_check(struct supervisor *supervisor)
{
    struct sessions *sessions = &supervisor->sessions;
    struct keeper_message child;

    if (supervisor->needs_sync || !session_is_wanted(sessions, is_pending(sessions), clock_boottime_ns()))
        return;
    sessions->last_start_ns = clock_boottime_ns();
    autoptr(error) failure = keeper_spawn_stream(supervisor, &child);
    if (failure)
        start_failed(supervisor, failure);
    else
        session_add(supervisor, &child.process, SESSION_WAITS);
}
