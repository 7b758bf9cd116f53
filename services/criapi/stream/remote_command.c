/* Which channel of an exec or attach belongs to which descriptor, and in which order they end. */
#include "services/criapi/stream/remote_command.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/clock.h"
#include "services/criapi/stream/relay.h"
#include "services/criapi/stream/resize.h"

static const struct transport_functions *functions_of(const struct remote_command *command)
{
    return command->work.transport->functions;
}

void remote_command_init(struct remote_command *command, const struct work_functions *functions,
                         const struct work_options *options, struct shim_link *link)
{
    command->work = (struct work){.functions = functions, .options = *options, .link = link};
    command->in_fd.fd = command->out_fd[0].fd = command->out_fd[1].fd = command->terminal = -1;
    command->channels_ns = clock_boottime_ns() + (int64_t)WORK_CHANNELS_S * 1000000000;
}

void remote_command_fini(struct remote_command *command)
{
    watch_close(&command->in_fd);
    watch_close(&command->out_fd[0]);
    watch_close(&command->out_fd[1]);
    free(command->status);
}

/* ---- channels ---- */

static struct channel **place_of(struct remote_command *command, const char *type)
{
    struct {
        const char *type;
        struct channel **place;
    } places[] = {{"error", &command->error},
                  {"stdin", &command->in},
                  {"stdout", &command->out[0]},
                  {"stderr", &command->out[1]},
                  {"resize", &command->resize}};

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        if (strcmp(places[i].type, type) == 0)
            return places[i].place;
    return NULL;
}

/* Is what the client sends there of use? */
static bool is_input(const struct remote_command *command, struct channel *const *place)
{
    uint32_t flags = command->work.options.flags;

    return (place == &command->in && flags & STREAM_STDIN) || (place == &command->resize && flags & STREAM_TTY);
}

struct error *remote_command_opened(struct work *work, struct channel *channel, const struct channel_request *request)
{
    struct remote_command *command = (struct remote_command *)work;
    struct channel **place = place_of(command, request->type);

    if (!place)
        return error_new(ERROR_INVALID_ARGUMENT, "unexpected stream type: %s", request->type);
    if (*place)
        return error_new(ERROR_ALREADY_EXISTS, "a second stream of type %s", request->type);
    *place = channel;
    channel->is_ignored = !is_input(command, place);
    return NULL;
}

bool remote_command_is_complete(const struct remote_command *command)
{
    const struct work_options *options = &command->work.options;
    bool needs_resize = (options->flags & STREAM_TTY) && options->has_resize;

    return command->error && (command->in || !(options->flags & STREAM_STDIN)) &&
           (command->out[0] || !(options->flags & STREAM_STDOUT)) &&
           (command->out[1] || !(options->flags & STREAM_STDERR)) && (command->resize || !needs_resize);
}

int64_t remote_command_deadline(const struct remote_command *command)
{
    return command->state == REMOTE_CHANNELS ? command->channels_ns : INT64_MAX;
}

/* ---- bytes ---- */

void remote_command_watch(struct remote_command *command, struct poll_set *set)
{
    for (int i = 0; i < 2; i++)
        if (command->out[i])
            relay_out_watch(command->work.transport, command->out[i], &command->out_fd[i], set);
    if (command->in)
        relay_in_watch(command->in, &command->in_fd, set);
}

void remote_command_output(struct remote_command *command)
{
    for (int i = 0; i < 2; i++) {
        if (command->out_fd[i].fd < 0 || !command->out[i])
            continue;
        enum relay relay = relay_out(command->work.transport, command->out[i], &command->out_fd[i], &command->moved_ns);
        if (relay == RELAY_OPEN)
            continue;
        if (command->out_fd[i].fd == command->terminal)
            command->terminal = -1;
        watch_close(&command->out_fd[i]);
    }
}

bool remote_command_input(struct remote_command *command)
{
    if (!command->in || command->in->is_ignored || command->in_fd.fd < 0)
        return false;
    enum relay relay = relay_in(command->work.transport, command->in, &command->in_fd);
    if (relay == RELAY_OPEN)
        return false;
    relay_ignore(command->work.transport, command->in);
    if (command->in_fd.fd != command->terminal)
        watch_close(&command->in_fd);
    return relay == RELAY_ENDED;
}

void remote_command_resize(struct remote_command *command)
{
    struct channel *channel = command->resize;
    struct winsize size;
    size_t used;

    if (!channel || channel->is_ignored || command->terminal < 0)
        return;
    for (;;) {
        enum resize_result result = resize_parse(buffer_head(&channel->in), channel->in.size, &used, &size);
        if (result == RESIZE_INVALID)
            relay_ignore(command->work.transport, channel);
        if (result != RESIZE_FOUND)
            return;
        functions_of(command)->consume(command->work.transport, channel, used);
        ioctl(command->terminal, TIOCSWINSZ, &size); /* a terminal that is gone takes no size */
    }
}

/* ---- the end ---- */

void remote_command_end(struct remote_command *command, char *status)
{
    if (command->state >= REMOTE_DRAINING) {
        free(status);
        return;
    }
    command->status = status;
    command->state = REMOTE_DRAINING;
    command->moved_ns = clock_boottime_ns();
    relay_ignore(command->work.transport, command->in);
    if (command->in_fd.fd != command->terminal)
        watch_close(&command->in_fd);
}

void remote_command_finish(struct remote_command *command)
{
    struct channel *ends[] = {command->out[0], command->out[1], command->error, command->in, command->resize};
    size_t length = strlen(command->status);
    struct channel *error = command->error;

    watch_close(&command->out_fd[0]);
    watch_close(&command->out_fd[1]);
    if (error && !error->out_ended && functions_of(command)->room(command->work.transport, error) < length)
        return;
    if (error && length > 0)
        functions_of(command)->send(command->work.transport, error, command->status, length);
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
        if (ends[i])
            functions_of(command)->end(command->work.transport, ends[i]);
    command->state = REMOTE_DONE;
}

struct error *remote_command_pipe(int ours, int *ret_ours, int *ret_theirs)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_errno(errno, "make a pipe");
    fcntl(ends[ours], F_SETFL, O_NONBLOCK);
    *ret_ours = ends[ours];
    *ret_theirs = ends[1 - ours];
    return NULL;
}
