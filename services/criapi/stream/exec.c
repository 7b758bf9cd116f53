/* How a command is started with a session's pipes or terminal, and when its session is over. */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/memory.h"
#include "services/criapi/stream/remote_command.h"
#include "services/criapi/stream/status_json.h"

/* A child of the command may keep its pipes for ever: so long may they be silent after its end. */
enum { SILENCE_S = 2, PASSED_MAX = 3 };
static const char failing[] = "error executing command in container";

struct exec {
    struct remote_command command;
    int passed[PASSED_MAX]; /* ends for the command, or the console's socket, until STARTED */
    size_t passed_count;
    struct watch console; /* with a terminal: the socket at which the runtime hands over the master, once STARTED */
    struct watch console_peer; /* the runtime's connection to it */
    bool was_started;
};

static struct exec *exec_of(struct work *work)
{
    return (struct exec *)work;
}

/* ---- starting ---- */

static struct error *passed_make(struct exec *exec)
{
    struct remote_command *command = &exec->command;
    uint32_t flags = command->work.options.flags;

    if (flags & STREAM_TTY) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
            return error_errno(errno, "make a console socket");
        exec->passed[exec->passed_count++] = fd;
        return NULL;
    }
    if (flags & STREAM_STDIN)
        TRY(remote_command_pipe(1, &command->in_fd.fd, &exec->passed[exec->passed_count++]));
    if (flags & STREAM_STDOUT)
        TRY(remote_command_pipe(0, &command->out_fd[0].fd, &exec->passed[exec->passed_count++]));
    if (flags & STREAM_STDERR)
        TRY(remote_command_pipe(0, &command->out_fd[1].fd, &exec->passed[exec->passed_count++]));
    return NULL;
}

static void exec_end(struct exec *exec, const struct error *why)
{
    remote_command_end(&exec->command, status_failure(exec->command.work.options.has_status_json, failing, why));
}

static void exec_begin(struct exec *exec)
{
    for (size_t i = 0; i < PASSED_MAX; i++)
        exec->passed[i] = -1;
    exec->command.state = REMOTE_STARTING;
    autoptr(error) failure = passed_make(exec);
    if (failure)
        exec_end(exec, failure);
}

/* To a shim that has told of the start, START is only a question: it needs no descriptors. */
static void start_send(struct exec *exec)
{
    struct stream_message start = {
        .type = STREAM_START, .kind = STREAM_EXEC, .flags = exec->command.work.options.flags};

    exec->command.is_start_sent = shim_link_send(exec->command.work.link, &start, exec->passed, exec->passed_count);
}

static void passed_close(struct exec *exec)
{
    bool is_terminal = exec->command.work.options.flags & STREAM_TTY;

    if (is_terminal && exec->passed_count > 0 && !exec->was_started)
        exec->console.fd = TAKE_FD(exec->passed[0]);
    for (size_t i = 0; i < exec->passed_count; i++)
        if (exec->passed[i] >= 0)
            close(exec->passed[i]);
    exec->passed_count = 0;
}

/* ---- the shim's messages ---- */

static void exec_started(struct exec *exec)
{
    passed_close(exec);
    exec->was_started = true;
    if (exec->command.state == REMOTE_STARTING)
        exec->command.state = REMOTE_RUNNING;
}

static void exec_ended(struct exec *exec, const struct stream_message *message)
{
    bool as_json = exec->command.work.options.has_status_json;

    exec_started(exec);
    if (message->flags & STREAM_UNKNOWN) {
        autoptr(error) unknown = error_new(ERROR_UNKNOWN, "its exit status is unknown");
        exec_end(exec, unknown);
    } else {
        remote_command_end(&exec->command, status_exit(as_json, message->wait_status));
    }
}

static void exec_message(struct work *work, struct shim_event *event)
{
    struct exec *exec = exec_of(work);

    switch (event->message.type) {
    case STREAM_OPENED: /* by the next shim */
        exec->command.is_start_sent = false;
        break;
    case STREAM_STARTED:
        exec_started(exec);
        break;
    case STREAM_ENDED:
        exec_ended(exec, &event->message);
        break;
    case STREAM_FAILED: {
        autoptr(error) failure = error_new((enum error_code)event->message.code, "%s", event->message.text);
        exec->was_started = true; /* there will be no console */
        passed_close(exec);
        exec_end(exec, failure);
        break;
    }
    default:
        break;
    }
}

/* ---- the terminal ---- */

static void terminal_take(struct exec *exec, int master)
{
    struct remote_command *command = &exec->command;

    fcntl(master, F_SETFL, O_RDWR | O_NONBLOCK);
    command->out_fd[0].fd = command->terminal = master;
    command->in_fd.fd = fcntl(master, F_DUPFD_CLOEXEC, 0);
    watch_close(&exec->console);
    watch_close(&exec->console_peer);
    command->moved_ns = clock_boottime_ns();
}

static void console_receive(struct exec *exec)
{
    char name[4096];
    size_t size, count = 0;
    int fds[FD_PASS_MAX];

    autoptr(error) failure = fd_receive(exec->console_peer.fd, name, sizeof(name), &size, fds, &count);
    if (failure && failure->code == ERROR_ABORTED)
        return;
    if (failure || count == 0) {
        watch_close(&exec->console_peer);
        return;
    }
    fds_close(fds + 1, count - 1);
    terminal_take(exec, fds[0]);
}

static void console_turn(struct exec *exec)
{
    if (exec->console.ready && exec->console_peer.fd < 0)
        exec->console_peer.fd = accept4(exec->console.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (exec->console_peer.fd >= 0)
        console_receive(exec);
}

/* ---- turns ---- */

static void exec_watch(struct work *work, struct poll_set *set)
{
    struct exec *exec = exec_of(work);

    if (exec->command.state == REMOTE_CHANNELS)
        return;
    remote_command_watch(&exec->command, set);
    if (exec->console_peer.fd < 0)
        poll_set_add(set, &exec->console, POLLIN);
    else
        poll_set_add(set, &exec->console_peer, POLLIN);
}

/* Does the output still have a source that may speak? */
static bool has_output(const struct exec *exec)
{
    return exec->command.out_fd[0].fd >= 0 || exec->command.out_fd[1].fd >= 0 || exec->console.fd >= 0;
}

/* While the client does not read, we do not listen, and silence says nothing. */
static bool is_listening(const struct exec *exec)
{
    const struct remote_command *command = &exec->command;

    for (int i = 0; i < 2; i++)
        if (command->out_fd[i].fd >= 0 && command->out[i] &&
            command->work.transport->functions->room(command->work.transport, command->out[i]) == 0)
            return false;
    return true;
}

static int64_t silence_deadline(const struct exec *exec)
{
    return exec->command.moved_ns + (int64_t)SILENCE_S * 1000000000;
}

static int64_t exec_deadline(const struct work *work)
{
    const struct exec *exec = (const struct exec *)work;

    if (exec->command.state == REMOTE_DRAINING && is_listening(exec))
        return silence_deadline(exec);
    return remote_command_deadline(&exec->command);
}

static void drain_turn(struct exec *exec)
{
    if (!is_listening(exec))
        exec->command.moved_ns = clock_boottime_ns();
    if (!has_output(exec) || clock_boottime_ns() >= silence_deadline(exec))
        exec->command.state = REMOTE_STATUS;
}

static void channels_turn(struct exec *exec)
{
    if (remote_command_is_complete(&exec->command)) {
        exec_begin(exec);
    } else if (clock_boottime_ns() >= exec->command.channels_ns) {
        autoptr(error) late = error_new(ERROR_DEADLINE_EXCEEDED, "timed out waiting for client to create streams");
        exec_end(exec, late);
    }
}

static bool exec_turn(struct work *work)
{
    struct exec *exec = exec_of(work);
    struct remote_command *command = &exec->command;

    if (command->state == REMOTE_CHANNELS)
        channels_turn(exec);
    if ((command->state == REMOTE_STARTING || command->state == REMOTE_RUNNING) && !command->is_start_sent)
        start_send(exec);
    if (command->state != REMOTE_CHANNELS) {
        console_turn(exec);
        remote_command_output(command);
        remote_command_input(command);
        remote_command_resize(command);
    }
    if (command->state == REMOTE_DRAINING)
        drain_turn(exec);
    if (command->state == REMOTE_STATUS)
        remote_command_finish(command);
    return command->state == REMOTE_DONE;
}

static void exec_fail(struct work *work, const struct error *why)
{
    struct exec *exec = exec_of(work);

    passed_close(exec);
    exec_end(exec, why);
    exec->command.state = exec->command.state < REMOTE_STATUS ? REMOTE_STATUS : exec->command.state;
}

static void exec_free(struct work *work)
{
    struct exec *exec = exec_of(work);

    passed_close(exec);
    watch_close(&exec->console);
    watch_close(&exec->console_peer);
    remote_command_fini(&exec->command);
    free(exec);
}

struct work *exec_new(const struct work_options *options, struct shim_link *link)
{
    static const struct work_functions functions = {.opened = remote_command_opened,
                                                    .message = exec_message,
                                                    .watch = exec_watch,
                                                    .deadline = exec_deadline,
                                                    .turn = exec_turn,
                                                    .fail = exec_fail,
                                                    .free = exec_free};
    struct exec *exec = xcalloc(1, sizeof(*exec));

    remote_command_init(&exec->command, &functions, options, link);
    exec->console.fd = exec->console_peer.fd = -1;
    return &exec->command.work;
}
