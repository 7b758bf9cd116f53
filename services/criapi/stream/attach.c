/* How a session hangs on to a running container's output and input, and when it lets go. */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>

#include "common/clock.h"
#include "common/memory.h"
#include "services/criapi/stream/relay.h"
#include "services/criapi/stream/remote_command.h"
#include "services/criapi/stream/status_json.h"

static const char failing[] = "error attaching to container";

struct attach {
    struct remote_command command;
    int passed[2]; /* write ends of our pipes: kept, for the next shim */
    size_t passed_count;
    bool has_stdin_ended;  /* by the client */
    bool is_stdin_end_due; /* and the container's is to end with it: to be told to the shim */
};

static struct attach *attach_of(struct work *work)
{
    return (struct attach *)work;
}

static void attach_end(struct attach *attach, const struct error *why)
{
    remote_command_end(&attach->command, status_failure(attach->command.work.options.has_status_json, failing, why));
}

static struct error *pipes_make(struct attach *attach)
{
    struct remote_command *command = &attach->command;
    uint32_t flags = command->work.options.flags;

    if (flags & STREAM_STDOUT)
        TRY(remote_command_pipe(0, &command->out_fd[0].fd, &attach->passed[attach->passed_count++]));
    if (flags & STREAM_STDERR && !(flags & STREAM_TTY))
        TRY(remote_command_pipe(0, &command->out_fd[1].fd, &attach->passed[attach->passed_count++]));
    return NULL;
}

static void attach_begin(struct attach *attach)
{
    attach->command.state = REMOTE_STARTING;
    autoptr(error) failure = pipes_make(attach);
    if (failure)
        attach_end(attach, failure);
}

static void channels_turn(struct attach *attach)
{
    if (remote_command_is_complete(&attach->command)) {
        attach_begin(attach);
    } else if (clock_boottime_ns() >= attach->command.channels_ns) {
        autoptr(error) late = error_new(ERROR_DEADLINE_EXCEEDED, "timed out waiting for client to create streams");
        attach_end(attach, late);
    }
}

static void start_send(struct attach *attach)
{
    struct stream_message start = {
        .type = STREAM_START, .kind = STREAM_ATTACH, .flags = attach->command.work.options.flags};

    attach->command.is_start_sent =
        shim_link_send(attach->command.work.link, &start, attach->passed, attach->passed_count);
}

static void stdin_end_send(struct attach *attach)
{
    struct stream_message end = {.type = STREAM_STDIN_END, .kind = STREAM_ATTACH};

    attach->is_stdin_end_due = !shim_link_send(attach->command.work.link, &end, NULL, 0);
}

/* ---- the shim's messages ---- */

/* The container's stdin, or its terminal. O_NONBLOCK counts for all who share the open file, and suits all: nobody else
 * writes here but other sessions, and logd reads a terminal so. */
static void input_take(struct attach *attach, struct shim_event *event)
{
    struct remote_command *command = &attach->command;
    bool is_terminal = event->message.flags & STREAM_TTY;

    if (event->count == 0) {
        relay_ignore(command->work.transport, command->in); /* the container has none */
        return;
    }
    watch_close(&command->in_fd);
    command->in_fd.fd = event->fds[0];
    fcntl(command->in_fd.fd, F_SETFL, fcntl(command->in_fd.fd, F_GETFL) | O_NONBLOCK);
    fds_close(event->fds + 1, event->count - 1);
    event->count = 0;
    command->terminal = is_terminal ? command->in_fd.fd : -1;
    if (attach->has_stdin_ended && !is_terminal)
        watch_close(&command->in_fd);
}

static void attach_started(struct attach *attach, struct shim_event *event)
{
    input_take(attach, event);
    attach->is_stdin_end_due = attach->has_stdin_ended && attach->command.work.options.flags & STREAM_STDIN_ONCE;
    if (attach->command.state == REMOTE_STARTING)
        attach->command.state = REMOTE_RUNNING;
}

static void attach_ended(struct attach *attach, const struct stream_message *message)
{
    if (message->code == ERROR_OK) {
        remote_command_end(&attach->command, status_success(attach->command.work.options.has_status_json));
        return;
    }
    autoptr(error) failure = error_new((enum error_code)message->code, "%s", message->text);
    attach_end(attach, failure);
}

static void attach_message(struct work *work, struct shim_event *event)
{
    struct attach *attach = attach_of(work);

    switch (event->message.type) {
    case STREAM_OPENED: /* by the next shim */
        attach->command.is_start_sent = false;
        break;
    case STREAM_STARTED:
        if (attach->command.state < REMOTE_DRAINING)
            attach_started(attach, event);
        break;
    case STREAM_ENDED:
        attach_ended(attach, &event->message);
        break;
    case STREAM_FAILED: {
        autoptr(error) failure = error_new((enum error_code)event->message.code, "%s", event->message.text);
        attach_end(attach, failure);
        break;
    }
    default:
        break;
    }
}

/* ---- turns ---- */

static void attach_watch(struct work *work, struct poll_set *set)
{
    struct attach *attach = attach_of(work);

    if (attach->command.state != REMOTE_CHANNELS)
        remote_command_watch(&attach->command, set);
}

static int64_t attach_deadline(const struct work *work)
{
    return remote_command_deadline((const struct remote_command *)work);
}

/* Our own write ends keep the pipes from ending: after ENDED they are over when they are empty. */
static bool is_drained(const struct remote_command *command)
{
    for (int i = 0; i < 2; i++) {
        int waiting = 0;
        if (command->out_fd[i].fd >= 0 && ioctl(command->out_fd[i].fd, FIONREAD, &waiting) == 0 && waiting > 0)
            return false;
    }
    return true;
}

static void input_turn(struct attach *attach)
{
    if (remote_command_input(&attach->command)) {
        attach->has_stdin_ended = true;
        attach->is_stdin_end_due = attach->command.work.options.flags & STREAM_STDIN_ONCE;
    }
    if (attach->is_stdin_end_due && attach->command.state == REMOTE_RUNNING)
        stdin_end_send(attach);
}

static bool attach_turn(struct work *work)
{
    struct attach *attach = attach_of(work);
    struct remote_command *command = &attach->command;

    if (command->state == REMOTE_CHANNELS)
        channels_turn(attach);
    if ((command->state == REMOTE_STARTING || command->state == REMOTE_RUNNING) && !command->is_start_sent)
        start_send(attach);
    if (command->state != REMOTE_CHANNELS) {
        remote_command_output(command);
        input_turn(attach);
        remote_command_resize(command);
    }
    if (command->state == REMOTE_DRAINING && is_drained(command))
        command->state = REMOTE_STATUS;
    if (command->state == REMOTE_STATUS)
        remote_command_finish(command);
    return command->state == REMOTE_DONE;
}

static void attach_fail(struct work *work, const struct error *why)
{
    struct attach *attach = attach_of(work);

    attach_end(attach, why);
    attach->command.state = attach->command.state < REMOTE_STATUS ? REMOTE_STATUS : attach->command.state;
}

static void attach_free(struct work *work)
{
    struct attach *attach = attach_of(work);

    for (size_t i = 0; i < attach->passed_count; i++)
        if (attach->passed[i] >= 0)
            close(attach->passed[i]);
    remote_command_fini(&attach->command);
    free(attach);
}

struct work *attach_new(const struct work_options *options, struct shim_link *link)
{
    static const struct work_functions functions = {.opened = remote_command_opened,
                                                    .message = attach_message,
                                                    .watch = attach_watch,
                                                    .deadline = attach_deadline,
                                                    .turn = attach_turn,
                                                    .fail = attach_fail,
                                                    .free = attach_free};
    struct attach *attach = xcalloc(1, sizeof(*attach));

    remote_command_init(&attach->command, &functions, options, link);
    attach->passed[0] = attach->passed[1] = -1;
    return &attach->command.work;
}
