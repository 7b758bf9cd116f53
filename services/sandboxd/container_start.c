/* What a start does, and what a start that failed leaves: an exited container, as containerd has it. */
#include "services/sandboxd/container_start.h"

#include "common/clock.h"
#include "common/failpoint.h"
#include "services/sandboxd/container_exit.h"
#include "services/sandboxd/pod_shim.h"

enum { START_ERROR_CODE = 128 };

static bool call_is_over(void *call)
{
    return ipc_call_is_over(call);
}

struct shim_patience call_patience(const struct ipc_call *call)
{
    return (struct shim_patience){.is_over = call_is_over, .argument = (void *)call, .deadline_ns = call->deadline_ns};
}

/* May it be started? *ret_runs: it does already. Notes the request. */
static struct error *start_check(struct container *container, bool *ret_runs)
{
    struct error *error = NULL;

    pthread_mutex_lock(&container->d->lock);
    uint32_t state = container->record->state;
    *ret_runs = state == CONTAINER_RUNNING;
    if (*ret_runs)
        ;
    else if (container->pod->record->state != POD_READY)
        error = error_new(ERROR_FAILED_PRECONDITION, "sandbox container \"%s\" is not running", container->pod->record->id);
    else if (state != CONTAINER_CREATED)
        error = error_new(ERROR_FAILED_PRECONDITION, "container \"%s\" is in %s state", container->record->id,
                          state == CONTAINER_EXITED ? "CONTAINER_EXITED" : container_state_name(state));
    else
        container->record->start_requested = true;
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
                                  .reason = "StartError",
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
    bool runs = false;

    TRY(start_check(container, &runs));
    if (runs)
        return NULL;
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
