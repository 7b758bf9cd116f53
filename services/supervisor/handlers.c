/* What the supervisor answers: the processes it knows, for `bulkhead status` and CRI's Status. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/memory.h"
#include "proto/bulkhead.pb-c.h"
#include "services/supervisor/death.h"
#include "services/supervisor/keeper_calls.h"

enum { PROCESSES_MAX = 4096, DEGRADED_FAILURES = 3 };

struct status {
    struct supervisor *supervisor;
    Bulkhead__SupervisorStatusReply reply;
};

static Bulkhead__ProcessStatus *process_add(struct status *status, const char *name, const char *instance,
                                            const struct process_id *process)
{
    Bulkhead__SupervisorStatusReply *reply = &status->reply;
    Bulkhead__ProcessStatus *entry = xmalloc(sizeof(*entry));

    bulkhead__process_status__init(entry);
    entry->name = xstrdup(name);
    entry->instance = xstrdup(instance);
    entry->pid = process->pid;
    entry->start_ticks = process->start_ticks;
    reply->processes = xreallocarray(reply->processes, reply->n_processes + 1, sizeof(entry));
    reply->processes[reply->n_processes++] = entry;
    return entry;
}

static void self_add(struct status *status)
{
    const struct supervisor *supervisor = status->supervisor;
    struct process_id self = {.pid = getpid()};
    char reason[REASON_SIZE];

    error_free(process_id_read(getpid(), &self));
    Bulkhead__ProcessStatus *entry = process_add(status, "supervisor", "", &self);
    entry->uid = getuid();
    entry->generation = supervisor->generation;
    entry->restarts = supervisor->restarts;
    entry->last_reason = xstrdup(death_describe(supervisor->last_death, 0, reason, sizeof(reason)));
    entry->started_ns = supervisor->started_ns;
    entry->ready = true;
}

static enum config_user user_of(enum keeper_program program)
{
    switch (program) {
    case KEEPER_CRIAPI: return CONFIG_USER_CRIAPI;
    case KEEPER_SANDBOXD: return CONFIG_USER_SANDBOXD;
    case KEEPER_IMAGED: return CONFIG_USER_IMAGED;
    case KEEPER_LOGD: return CONFIG_USER_LOGD;
    default: return CONFIG_USER_ROOT;
    }
}

static void degraded_note(struct status *status, const struct daemon *daemon)
{
    Bulkhead__SupervisorStatusReply *reply = &status->reply;

    if (reply->degraded || daemon->restart.failures < DEGRADED_FAILURES)
        return;
    reply->degraded = true;
    reply->degraded_reason = xasprintf("%s failed %u times in a row, last: %s", daemon->name, daemon->restart.failures,
                                       daemon->last_reason[0] ? daemon->last_reason : "it cannot be started");
}

static void daemon_add(struct status *status, const struct daemon *daemon)
{
    Bulkhead__ProcessStatus *entry = process_add(status, daemon->name, "", &daemon->process);

    entry->uid = config_uid(status->supervisor->config, user_of(daemon->program));
    entry->generation = daemon->generation;
    entry->restarts = daemon->restarts;
    entry->last_reason = xstrdup(daemon->last_reason);
    entry->started_ns = daemon->started_ns;
    entry->ready = daemon->is_ready;
    entry->note = xstrdup(daemon->note);
    degraded_note(status, daemon);
}

static void session_describe(struct supervisor *supervisor, const struct keeper_message *child, Bulkhead__ProcessStatus *entry)
{
    const struct sessions *sessions = &supervisor->sessions;

    entry->uid = config_uid(supervisor->config, CONFIG_USER_STREAM);
    pthread_mutex_lock(&supervisor->lock);
    for (size_t i = 0; i < sessions->count; i++)
        if (sessions->all[i].process.pid == child->process.pid)
            entry->note = xstrdup(sessions->all[i].note);
    pthread_mutex_unlock(&supervisor->lock);
}

/* Those that have instances: shims, fetch, unpack, stream. */
static void instance_add(void *argument, const struct keeper_message *child)
{
    static const char *const names[KEEPER_PROGRAM_COUNT] = {
        [KEEPER_STREAM] = "stream", [KEEPER_SHIM] = "shim", [KEEPER_FETCH] = "fetch", [KEEPER_UNPACK] = "unpack"};
    struct status *status = argument;

    if (child->program < 0 || child->program >= KEEPER_PROGRAM_COUNT || !names[child->program] ||
        status->reply.n_processes >= PROCESSES_MAX)
        return;
    Bulkhead__ProcessStatus *entry = process_add(status, names[child->program], child->name, &child->process);
    entry->generation = child->generation;
    entry->restarts = (child->flags & KEEPER_ADOPT) ? 1 : 0;
    entry->last_reason = xstrdup((child->flags & KEEPER_ADOPT) ? "adopted its pod" : "");
    entry->started_ns = child->time_ns;
    entry->ready = true;
    if (child->program == KEEPER_STREAM)
        session_describe(status->supervisor, child, entry);
}

static void status_fini(struct status *status)
{
    Bulkhead__SupervisorStatusReply *reply = &status->reply;

    for (size_t i = 0; i < reply->n_processes; i++)
        bulkhead__process_status__free_unpacked(reply->processes[i], NULL);
    free(reply->processes);
    if (reply->degraded)
        free(reply->degraded_reason);
}

static struct error *handle_status(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    struct status status = {.supervisor = state};
    struct supervisor *supervisor = state;

    (void)call;
    bulkhead__supervisor_status_reply__init(&status.reply);
    self_add(&status);
    pthread_mutex_lock(&supervisor->lock);
    for (size_t i = 0; i < SUPERVISOR_DAEMONS; i++)
        daemon_add(&status, &supervisor->daemons[i]);
    pthread_mutex_unlock(&supervisor->lock);
    struct error *failure = keeper_list(supervisor, instance_add, &status);
    if (!failure) {
        reply->size = bulkhead__supervisor_status_reply__get_packed_size(&status.reply);
        reply->data = xmalloc(reply->size);
        bulkhead__supervisor_status_reply__pack(&status.reply, reply->data);
    }
    status_fini(&status);
    return failure;
}

const struct ipc_method supervisor_methods[] = {{"SupervisorStatus", handle_status}, {NULL, NULL}};
