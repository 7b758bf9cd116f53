/* What a new supervisor rebuilds: the table of daemons from its record; who lives, the loop asks the keeper. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/record.h"
#include "services/supervisor/supervisor.h"

struct daemon_record {
    char name[16];
    struct process_id process;
    uint64_t generation;
    uint32_t restarts;
    uint32_t last_death;
    uint32_t has_run;
    uint32_t is_ready; /* it has said so: from then on its silence is a hang within seconds, whoever listens */
    char last_reason[REASON_SIZE];
};

struct supervisor_record {
    uint32_t restarts; /* of the supervisor itself */
    uint32_t is_ended; /* in order: the next one counts from zero */
    struct daemon_record daemons[SUPERVISOR_DAEMONS];
};

void supervisor_save(struct supervisor *supervisor, bool is_ended)
{
    struct supervisor_record record = {.restarts = supervisor->restarts, .is_ended = is_ended};

    for (size_t i = 0; i < SUPERVISOR_DAEMONS; i++) {
        const struct daemon *daemon = &supervisor->daemons[i];
        struct daemon_record *saved = &record.daemons[i];
        snprintf(saved->name, sizeof(saved->name), "%s", daemon->name);
        saved->process = daemon->process;
        saved->generation = daemon->generation;
        saved->restarts = daemon->restarts;
        saved->last_death = daemon->last_death;
        saved->has_run = daemon->has_run;
        saved->is_ready = daemon->is_ready;
        memcpy(saved->last_reason, daemon->last_reason, sizeof(saved->last_reason));
    }
    autoptr(error) failure =
        record_save(supervisor->state_fd, "daemons", "daemons", 1, &record, sizeof(record));
    if (failure)
        log_warn("the daemons' table is not saved", "error=%s", log_quote(failure->text));
}

static void daemon_recover(struct daemon *daemon, const struct daemon_record *saved, bool is_ended)
{
    daemon->generation = saved->generation;
    if (is_ended)
        return;
    daemon->process = saved->process;
    daemon->restarts = saved->restarts;
    daemon->last_death = (enum death_reason)saved->last_death;
    daemon->has_run = saved->has_run;
    daemon->is_ready = saved->is_ready;
    snprintf(daemon->last_reason, sizeof(daemon->last_reason), "%.*s", REASON_SIZE - 1, saved->last_reason);
}

static void record_apply(struct supervisor *supervisor, const struct supervisor_record *record)
{
    supervisor->restarts = record->is_ended ? 0 : record->restarts + 1;
    if (record->is_ended)
        supervisor->last_death = DEATH_NONE;
    for (size_t i = 0; i < SUPERVISOR_DAEMONS; i++)
        for (size_t k = 0; k < SUPERVISOR_DAEMONS; k++)
            if (strncmp(supervisor->daemons[i].name, record->daemons[k].name, sizeof(record->daemons[k].name)) == 0)
                daemon_recover(&supervisor->daemons[i], &record->daemons[k], record->is_ended);
}

static void record_load_all(struct supervisor *supervisor)
{
    uint32_t version = 0;
    autofree void *data = NULL;
    size_t size = 0;
    autoptr(error) failure = record_load(supervisor->state_fd, "daemons", "daemons", 1, &version, &data, &size);

    if (!failure && size == sizeof(struct supervisor_record))
        record_apply(supervisor, data);
    else if (failure && failure->code != ERROR_NOT_FOUND)
        log_warn("the daemons' table is unreadable", "error=%s", log_quote(failure->text));
    else if (failure)
        supervisor->last_death = DEATH_NONE; /* the first one ever */
}

/* Order of start: logd and imaged are needed by sandboxd, all by criapi; none of them waits for another. */
static void daemons_init(struct supervisor *supervisor)
{
    static const struct {
        const char *name;
        enum keeper_program program;
    } table[SUPERVISOR_DAEMONS] = {
        {"logd", KEEPER_LOGD}, {"imaged", KEEPER_IMAGED}, {"sandboxd", KEEPER_SANDBOXD}, {"criapi", KEEPER_CRIAPI}};

    for (size_t i = 0; i < SUPERVISOR_DAEMONS; i++) {
        struct daemon *daemon = &supervisor->daemons[i];
        daemon->name = table[i].name;
        daemon->program = table[i].program;
        daemon->page_fd = -1;
        restart_init(&daemon->restart, clock_boottime_ns());
    }
}

struct error *supervisor_open(void *state, const struct service_context *context)
{
    struct supervisor *supervisor = state;
    autofree char *exits = config_state_path(context->config, "keeper/exits");

    supervisor->config = context->config;
    supervisor->generation = context->generation;
    supervisor->last_death = context->last_death;
    supervisor->state_fd = context->state_fd;
    supervisor->started_ns = clock_boottime_ns();
    pthread_mutex_init(&supervisor->lock, NULL);
    daemons_init(supervisor);
    sessions_init(&supervisor->sessions, service_fd(context, "stream"));
    supervisor->exits_dir = open(exits, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (supervisor->exits_dir < 0)
        return error_errno(errno, "open %s", exits);
    return NULL;
}

/* On the client's thread: the main thread does the rest. */
static void keeper_connected(void *argument, struct keeper_client *client)
{
    struct supervisor *supervisor = argument;

    (void)client;
    supervisor->needs_sync = true;
    eventfd_write(supervisor->wake_fd, 1);
}

static void keeper_told_exit(void *argument, const struct keeper_message *exit)
{
    struct supervisor *supervisor = argument;
    struct ended *ended = xcalloc(1, sizeof(*ended));
    struct ended **end = &supervisor->ended;

    ended->exit = *exit;
    pthread_mutex_lock(&supervisor->lock);
    while (*end)
        end = &(*end)->next;
    *end = ended;
    pthread_mutex_unlock(&supervisor->lock);
    eventfd_write(supervisor->wake_fd, 1);
}

struct error *supervisor_recover(void *state, const struct service_context *context)
{
    struct supervisor *supervisor = state;
    autofree char *notify = config_state_path(context->config, "supervisor/notify");
    struct keeper_client_options options = {
        .state_directory = context->config->state,
        .connected = keeper_connected,
        .on_exit = keeper_told_exit,
        .subscribe = -1,
        .argument = supervisor,
    };

    record_load_all(supervisor);
    supervisor_save(supervisor, false);
    TRY(notify_open(notify, &supervisor->notify_fd));
    supervisor->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (supervisor->wake_fd < 0)
        return error_errno(errno, "eventfd");
    supervisor->needs_sync = true;
    return keeper_client_open(&options, &supervisor->keeper);
}

void supervisor_close(void *state)
{
    supervisor_save(state, true);
}
