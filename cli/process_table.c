/* Where each column of `bulkhead status` comes from. */
#include "cli/process_table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/ipc.h"
#include "common/memory.h"
#include "proto/bulkhead.pb-c.h"
#include "services/supervisor/death.h"
#include "services/supervisor/keeper/identity.h"

enum { SMAPS_MAX_BYTES = 64 << 10 };
static const int64_t second_ns = 1000000000;
static const int64_t answer_limit_ns = 5000000000;

static int64_t memory_kb(int pid)
{
    char path[48];
    autofree char *text = NULL;
    size_t size = 0;

    snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
    autoptr(error) failure = file_read_all(path, SMAPS_MAX_BYTES, &text, &size);
    const char *line = failure ? NULL : strstr(text, "\nPss:");
    return line ? strtoll(line + 5, NULL, 10) : -1;
}

/* Who it runs as now: the owner of its /proc directory. */
static uint32_t user_now(int pid, uint32_t otherwise)
{
    char path[32];
    struct stat status;

    snprintf(path, sizeof(path), "/proc/%d", pid);
    return stat(path, &status) == 0 ? status.st_uid : otherwise;
}

static struct process_row *row_add(struct process_table *table, char *process, const struct process_id *id)
{
    table->rows = xreallocarray(table->rows, table->count + 1, sizeof(*table->rows));
    struct process_row *row = &table->rows[table->count++];
    struct process_id now;
    autoptr(error) gone = process_id_read(id->pid, &now);

    *row = (struct process_row){.process = process, .memory_kb = -1};
    if (gone || now.start_ticks != id->start_ticks)
        return row;
    row->pid = id->pid;
    row->memory_kb = memory_kb(id->pid);
    return row;
}

/* By the kernel's word, which outlives whoever noted the start. */
static int64_t uptime_s(const struct process_row *row, const struct process_id *id)
{
    return row->pid ? clock_boottime_ns() / second_ns - (int64_t)id->start_ticks / sysconf(_SC_CLK_TCK) : 0;
}

static void identity_add(struct process_table *table, int directory, const char *file, const char *name)
{
    struct identity identity;
    char reason[32];
    autoptr(error) missing = identity_load(directory, file, &identity);

    if (missing)
        return;
    struct process_row *row = row_add(table, xstrdup(name), &identity.process);
    row->uid = row->pid ? user_now(row->pid, 0) : 0;
    row->generation = identity.generation;
    row->restarts = identity.restarts;
    row->last_reason = xstrdup(death_describe((enum death_reason)identity.last_death, 0, reason, sizeof(reason)));
    row->uptime_s = uptime_s(row, &identity.process);
    row->is_ready = row->pid != 0;
    row->note = xstrdup("");
}

static void status_add(struct process_table *table, const Bulkhead__ProcessStatus *status)
{
    struct process_id id = {.pid = status->pid, .start_ticks = status->start_ticks};
    char *name = status->instance[0] ? xasprintf("%s %s", status->name, status->instance) : xstrdup(status->name);
    struct process_row *row = row_add(table, name, &id);

    row->uid = row->pid ? user_now(row->pid, status->uid) : status->uid;
    row->generation = status->generation;
    row->restarts = status->restarts;
    row->last_reason = xstrdup(status->last_reason);
    row->uptime_s = uptime_s(row, &id);
    row->is_ready = status->ready;
    row->note = xstrdup(status->note);
}

static struct error *supervisor_ask(const struct config *config, Bulkhead__SupervisorStatusReply **ret)
{
    autofree char *directory = config_state_path(config, "supervisor");
    autofree uint8_t *data = NULL;
    size_t size = 0;
    struct ipc_client *client = NULL;

    TRY(ipc_client_open(directory, &client));
    struct error *failure =
        ipc_client_call(client, "SupervisorStatus", NULL, clock_boottime_ns() + answer_limit_ns, NULL, 0, &data, &size);
    ipc_client_close(client);
    if (failure)
        return failure;
    *ret = bulkhead__supervisor_status_reply__unpack(NULL, size, data);
    return *ret ? NULL : error_new(ERROR_INTERNAL, "the supervisor's answer cannot be read");
}

static void degraded_set(struct process_table *table, char *reason)
{
    table->is_degraded = true;
    table->degraded_reason = reason;
}

void process_table_read(const struct config *config, struct process_table *ret)
{
    autofree char *path = config_state_path(config, "keeper");
    autoclose int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    Bulkhead__SupervisorStatusReply *reply = NULL;

    *ret = (struct process_table){0};
    if (directory < 0 && errno != ENOENT) {
        ret->is_running = true; /* for all we know */
        degraded_set(ret, xasprintf("cannot look into %s: %s", path, strerror(errno)));
        return;
    }
    if (directory >= 0) {
        identity_add(ret, directory, "backstop", "backstop");
        identity_add(ret, directory, "self", "keeper");
    }
    for (size_t i = 0; i < ret->count; i++)
        ret->is_running = ret->is_running || ret->rows[i].pid;
    if (!ret->is_running) {
        degraded_set(ret, xasprintf("bulkhead does not run with the state directory %s", config->state));
        return;
    }
    autoptr(error) failure = supervisor_ask(config, &reply);
    if (failure) {
        degraded_set(ret, xasprintf("the supervisor does not answer: %s", failure->text));
        return;
    }
    for (size_t i = 0; i < reply->n_processes; i++)
        status_add(ret, reply->processes[i]);
    ret->is_degraded = reply->degraded;
    ret->degraded_reason = xstrdup(reply->degraded_reason);
    bulkhead__supervisor_status_reply__free_unpacked(reply, NULL);
}

void process_table_fini(struct process_table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        free(table->rows[i].process);
        free(table->rows[i].last_reason);
        free(table->rows[i].note);
    }
    free(table->rows);
    free(table->degraded_reason);
}
