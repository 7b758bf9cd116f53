/* What a start does, and what a start that failed leaves: an exited container, as containerd has it. */
#include "services/sandboxd/container_start.h"

#include <string.h>

#include "common/clock.h"
#include "common/failpoint.h"
#include "services/sandboxd/container_exit.h"
#include "services/sandboxd/pod_shim.h"

enum { START_ERROR_CODE = 128 };

static const char start_error_reason[] = "StartError";

static bool call_is_over(void *call)
{
    return ipc_call_is_over(call);
}

struct shim_patience call_patience(const struct ipc_call *call)
{
    return (struct shim_patience){.is_over = call_is_over, .argument = (void *)call, .deadline_ns = call->deadline_ns};
}

/* The request itself, which came again as the sandboxd before died in it, though the container has ended meanwhile. */
static bool is_answered(const Bulkhead__ContainerRecord *record, const char *request_id)
{
    return record->state == CONTAINER_EXITED && !strcmp(record->start_request, request_id);
}

/* Its answer: that of the runtime's refusal, or that it was started. */
static struct error *answer_again(const Bulkhead__ContainerRecord *record)
{
    if (strcmp(record->reason, start_error_reason) != 0)
        return NULL;
    return error_new(ERROR_INTERNAL, "start container %s: %s", record->id, record->message);
}

/* May it be started? *ret_started: it is already. Notes the request. */
static struct error *start_check(struct container *container, const char *request_id, bool *ret_started)
{
    struct error *error = NULL;

    pthread_mutex_lock(&container->d->lock);
    uint32_t state = container->record->state;
    bool answered = is_answered(container->record, request_id);
    *ret_started = state == CONTAINER_RUNNING || answered;
    if (answered)
        error = answer_again(container->record);
    else if (*ret_started)
        ;
    else if (container->pod->record->state != POD_READY)
        error = error_new(ERROR_FAILED_PRECONDITION, "sandbox container \"%s\" is not running", container->pod->record->id);
    else if (state != CONTAINER_CREATED)
        error = error_new(ERROR_FAILED_PRECONDITION, "container \"%s\" is in %s state", container->record->id,
                          state == CONTAINER_EXITED ? "CONTAINER_EXITED" : container_state_name(state));
    else {
        container->record->start_requested = true;
        text_set(&container->record->start_request, request_id);
    }
    pthread_mutex_unlock(&container->d->lock);
    return error;
}

static bool is_of_the_call(const struct error *error)
{
    return error->code == ERROR_CANCELLED || error->code == ERROR_DEADLINE_EXCEEDED || error->code == ERROR_ABORTED ||
           error->code == ERROR_UNAVAILABLE;
}

/* The runtime refused: the container has ended before it began. */
static struct error *start_failed(struct container *container, struct error *error)
{
    struct container_exit exit = {.exit_code = START_ERROR_CODE,
                                  .finished_at_ns = clock_realtime_ns(),
                                  .reason = start_error_reason,
                                  .message = error->text};

    error_free(container_move_exited(container, &exit));
    return error;
}

struct error *container_start(struct container *container, const struct ipc_call *call)
{
    uint64_t step = shim_step_derive(container->record->id, "start", 0);
    struct shim_patience patience = call_patience(call);
    struct wire_writer fields = {0};
    auto_shim_reply reply = {0};
    bool is_started = false;

    TRY(start_check(container, call->request_id, &is_started));
    if (is_started)
        return container_started(container, 0); /* if the sandboxd before had not got so far */
    TRY(container_save(container));
    FAILPOINT("sandboxd.container_start.before_start");
    wire_put_string(&fields, SHIM_TAG_CONTAINER, container->record->id);
    struct error *error = shim_client_call(pod_shim(container->pod), step, SHIM_START, &fields, &patience, &reply);
    wire_writer_fini(&fields);
    if (error)
        return error_wrap(is_of_the_call(error) ? error : start_failed(container, error), "start container %s",
                          container->record->id);
    FAILPOINT("sandboxd.container_start.after_start");
    TRY(container_started(container, (int64_t)shim_reply_u64(&reply, SHIM_TAG_TIME_NS)));
    shim_client_ack(pod_shim(container->pod), step);
    return NULL;
}
