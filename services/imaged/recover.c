/* What imaged rebuilds at its start: the records; everything unfinished is the sweeper's, or of the pull that comes again. */
#include <string.h>

#include "common/fd.h"
#include "common/log.h"
#include "common/memory.h"
#include "services/imaged/imaged.h"
#include "services/imaged/sweep.h"

/* A child's exit has served once it is told; its record would stay for a minute. */
static void exit_drop(struct keeper_client *keeper, const struct process_id *process)
{
    struct keeper_message reply, request = {.type = KEEPER_DROP_EXIT, .process = *process};
    int fds[FD_PASS_MAX];
    size_t fd_count = 0;
    struct error *failure = keeper_client_call(keeper, &request, NULL, 0, 0, &reply, fds, &fd_count);

    if (!failure)
        fds_close(fds, fd_count);
    error_free(failure); /* else the keeper drops it by itself */
}

static void child_ended(void *argument, const struct keeper_message *message)
{
    struct imaged *imaged = argument;

    if (imaged->keeper) /* not yet in the first instants after a start */
        exit_drop(imaged->keeper, &message->process);
    if (message->wait_status != 0)
        log_warn("child ended", "program=%d name=%s pid=%d wait_status=%d", message->program, message->name, message->process.pid,
                 message->wait_status);
}

struct error *imaged_recover(void *state, const struct service_context *context)
{
    struct imaged *imaged = state;
    autofree char *directory = config_root_path(context->config, "imaged");

    imaged->config = context->config;
    imaged->generation = context->generation;
    pulls_init(&imaged->pulls);
    TRY(store_open(&imaged->store, directory, context->root_fd));
    const struct keeper_client_options options = {
        .state_directory = context->config->state,
        .on_exit = child_ended,
        .subscribe = -1,
        .argument = imaged,
    };
    TRY_TO(keeper_client_open(&options, &imaged->keeper), "keeper");
    return sweep_start(imaged);
}

struct error *imaged_ping(void *state)
{
    struct imaged *imaged = state;
    struct image *image = NULL;

    pthread_mutex_lock(&imaged->store.lock);
    struct error *failure = store_find(&imaged->store, "sha256", &image);
    pthread_mutex_unlock(&imaged->store.lock);
    pthread_mutex_lock(&imaged->pulls.lock);
    pthread_mutex_unlock(&imaged->pulls.lock);
    return failure;
}
