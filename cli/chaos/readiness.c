/* How the supervisor's status is asked for and read. */
#include "cli/chaos/readiness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/ipc.h"
#include "common/memory.h"
#include "proto/bulkhead.pb-c.h"

static const int64_t answer_limit_ns = 300000000;

struct error *readiness_open(const struct config *config, struct ipc_client **ret)
{
    autofree char *directory = config_state_path(config, "supervisor");

    return ipc_client_open(directory, ret);
}

static void status_add(struct readiness *readiness, const Bulkhead__ProcessStatus *status)
{
    struct ready_process *process = &readiness->all[readiness->count];

    *process = (struct ready_process){
        .pid = status->pid, .target = target_of_program(status->name), .is_ready = status->ready && status->pid > 0};
    snprintf(process->pod, sizeof(process->pod), "%s", process->target == TARGET_SHIM ? status->instance : "");
    readiness->count += process->target < TARGET_OCI;
}

void readiness_read(struct ipc_client *supervisor, struct readiness *ret)
{
    autofree uint8_t *data = NULL;
    size_t size = 0;

    *ret = (struct readiness){0};
    autoptr(error) silent = ipc_client_call(supervisor, "SupervisorStatus", NULL, clock_boottime_ns() + answer_limit_ns,
                                            NULL, 0, &data, &size);
    Bulkhead__SupervisorStatusReply *reply =
        silent ? NULL : bulkhead__supervisor_status_reply__unpack(NULL, size, data);
    if (!reply)
        return;
    ret->is_answered = true;
    ret->all = xcalloc(reply->n_processes + 1, sizeof(*ret->all));
    for (size_t i = 0; i < reply->n_processes; i++)
        status_add(ret, reply->processes[i]);
    bulkhead__supervisor_status_reply__free_unpacked(reply, NULL);
}

void readiness_free(struct readiness *readiness)
{
    free(readiness->all);
}

bool readiness_has(const struct readiness *readiness, pid_t pid)
{
    for (size_t i = 0; i < readiness->count; i++)
        if (readiness->all[i].pid == pid)
            return readiness->all[i].is_ready;
    return false;
}

bool readiness_has_successor(const struct readiness *readiness, enum target target, const char *pod, pid_t pid)
{
    for (size_t i = 0; i < readiness->count; i++) {
        const struct ready_process *process = &readiness->all[i];
        if (process->target == target && process->is_ready && process->pid != pid && !strcmp(process->pod, pod))
            return true;
    }
    return false;
}
