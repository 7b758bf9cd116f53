/* How a test's stream process opens, starts, joins and ends a session. */
#include "tests/support/stream_peer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/memory.h"

enum { LIMIT_MS = 60000, NS_PER_MS = 1000000, TURN_MS = 2 };

static void key_make(char key[STREAM_KEY_SIZE])
{
    uint8_t bytes[(STREAM_KEY_SIZE - 1) / 2];

    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
        abort();
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(key + 2 * i, 3, "%02x", bytes[i]);
}

static struct error *kind_parse(const char *name, size_t size, uint32_t *ret)
{
    static const char *const names[] = {"", "exec", "attach", "portforward"};

    for (uint32_t kind = STREAM_EXEC; kind <= STREAM_PORT_FORWARD; kind++)
        if (strlen(names[kind]) == size && memcmp(names[kind], name, size) == 0) {
            *ret = kind;
            return NULL;
        }
    return error_new(ERROR_INVALID_ARGUMENT, "no kind of session: %s", name);
}

static void pipe_make(struct stream_peer *peer, int stream)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        abort();
    peer->passed[stream] = ends[stream == 0 ? 0 : 1];
    peer->ours[stream] = ends[stream == 0 ? 1 : 0];
    fcntl(peer->ours[stream], F_SETFL, O_NONBLOCK | (stream == 0 ? O_WRONLY : 0));
}

static void descriptors_make(struct stream_peer *peer)
{
    bool is_exec = peer->kind == STREAM_EXEC;

    if (peer->kind == STREAM_PORT_FORWARD)
        return;
    if (is_exec && (peer->flags & STREAM_TTY)) {
        peer->console = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        return;
    }
    if (is_exec && (peer->flags & STREAM_STDIN))
        pipe_make(peer, 0);
    if (peer->flags & STREAM_STDOUT)
        pipe_make(peer, 1);
    if (peer->flags & STREAM_STDERR)
        pipe_make(peer, 2);
}

struct error *stream_peer_init(struct stream_peer *peer, const char *state, const char *url, uint32_t flags)
{
    const char *token = strrchr(url, '/'), *dash = strrchr(url, '-');
    const char *kind = token ? memrchr(url, '/', (size_t)(token - url)) : NULL;

    *peer = (struct stream_peer){.flags = flags, .socket = -1, .console = -1};
    for (int i = 0; i < 3; i++) {
        peer->passed[i] = peer->ours[i] = -1;
        peer->output[i] = xstrdup("");
    }
    if (!kind || !dash || dash < token || strlen(dash + 1) != STREAM_SECRET_SIZE - 1)
        return error_new(ERROR_INVALID_ARGUMENT, "not a session's URL: %s", url);
    TRY(kind_parse(kind + 1, (size_t)(token - kind - 1), &peer->kind));
    snprintf(peer->path, sizeof(peer->path), "%s/shim/%.*s/stream", state, (int)(dash - token - 1), token + 1);
    memcpy(peer->secret, dash + 1, STREAM_SECRET_SIZE);
    key_make(peer->key);
    descriptors_make(peer);
    return NULL;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void passed_close(struct stream_peer *peer)
{
    for (int i = 0; i < 3; i++)
        close_fd(&peer->passed[i]);
}

void stream_peer_fini(struct stream_peer *peer)
{
    close_fd(&peer->socket);
    close_fd(&peer->console);
    passed_close(peer);
    for (int i = 0; i < 3; i++) {
        close_fd(&peer->ours[i]);
        free(TAKE(peer->output[i]));
    }
}

/* --- messages ----------------------------------------------------------------------------------------------------- */

static void say(struct stream_peer *peer, struct stream_message *message, const int *fds, size_t count)
{
    message->version = STREAM_VERSION;
    message->kind = peer->kind;
    memcpy(message->secret, peer->secret, sizeof(message->secret));
    memcpy(message->key, peer->key, sizeof(message->key));
    error_free(fd_send(peer->socket, message, sizeof(*message), fds, count)); /* a break is seen when it is read */
}

static void say_start(struct stream_peer *peer)
{
    bool is_begun = peer->kind == STREAM_EXEC && peer->is_started;
    size_t count = 0;
    int fds[3];

    if (!is_begun && peer->kind == STREAM_EXEC && (peer->flags & STREAM_TTY))
        fds[count++] = peer->console;
    for (int i = 0; i < 3 && !is_begun; i++)
        if (peer->passed[i] >= 0)
            fds[count++] = peer->passed[i];
    say(peer, &(struct stream_message){.type = STREAM_START}, fds, count);
}

static void take_started(struct stream_peer *peer, const struct stream_message *message, int fd)
{
    peer->is_started = true;
    peer->started = *message;
    if (peer->kind == STREAM_EXEC)
        passed_close(peer); /* so that the ends are seen */
    if (fd >= 0 && peer->ours[0] < 0)
        peer->ours[0] = fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

static void take(struct stream_peer *peer, const struct stream_message *message, int fd)
{
    switch (message->type) {
    case STREAM_OPENED:
        peer->is_opened = true;
        peer->opened = *message;
        if (peer->wants_start)
            say_start(peer);
        break;
    case STREAM_STARTED:
        take_started(peer, message, fd);
        break;
    case STREAM_ENDED:
        peer->is_ended = true;
        peer->ended = *message;
        break;
    case STREAM_FAILED:
        peer->has_failed = true;
        peer->failed = *message;
        break;
    default:
        break;
    }
}

static bool connect_again(struct stream_peer *peer)
{
    if (peer->socket >= 0 || peer->is_stopped)
        return peer->socket >= 0;
    struct error *failure = socket_connect(peer->path, &peer->socket);
    if (failure) {
        error_free(failure);
        peer->socket = -1;
        return false;
    }
    peer->connections++;
    say(peer, &(struct stream_message){.type = STREAM_OPEN}, NULL, 0);
    return true;
}

/* False: nothing came within a moment. */
static bool receive(struct stream_peer *peer, struct stream_message *message, int *ret_fd)
{
    int fds[FD_PASS_MAX];
    size_t size, count = 0;

    *ret_fd = -1;
    if (!connect_again(peer) || poll(&(struct pollfd){.fd = peer->socket, .events = POLLIN}, 1, TURN_MS) <= 0)
        return false;
    autoptr(error) failure = fd_receive(peer->socket, message, sizeof(*message), &size, fds, &count);
    if (failure || size != sizeof(*message)) {
        close_fd(&peer->socket);
        return false;
    }
    if (count)
        *ret_fd = fds[0];
    return true;
}

/* --- output ------------------------------------------------------------------------------------------------------- */

static void read_into(struct stream_peer *peer, int stream, int *fd)
{
    char part[65536];
    ssize_t size;

    while (*fd >= 0 && (size = read(*fd, part, sizeof(part))) != 0) {
        if (size < 0 && errno == EAGAIN)
            return;
        if (size < 0)
            break;
        if (peer->output_size[stream] + (size_t)size > PEER_OUTPUT_MAX)
            return;
        peer->output[stream] = xrealloc(peer->output[stream], peer->output_size[stream] + (size_t)size + 1);
        memcpy(peer->output[stream] + peer->output_size[stream], part, (size_t)size);
        peer->output_size[stream] += (size_t)size;
        peer->output[stream][peer->output_size[stream]] = '\0';
    }
    if (stream > 0 && fd == &peer->ours[stream])
        close_fd(fd);
}

static void console_accept(struct stream_peer *peer)
{
    char name[256];
    int fds[FD_PASS_MAX];
    size_t size, count = 0;

    if (peer->console < 0 || peer->ours[0] >= 0)
        return;
    autoclose int runtime = accept4(peer->console, NULL, NULL, SOCK_CLOEXEC);
    if (runtime < 0)
        return;
    autoptr(error) failure = fd_receive(runtime, name, sizeof(name), &size, fds, &count);
    if (failure || count == 0)
        return;
    peer->ours[0] = fds[0];
    fds_close(fds + 1, count - 1);
    fcntl(fds[0], F_SETFL, O_RDWR | O_NONBLOCK);
}

static void output_take(struct stream_peer *peer)
{
    bool is_master = peer->kind == STREAM_EXEC && (peer->flags & STREAM_TTY);

    console_accept(peer);
    if (peer->is_slow)
        return;
    if (is_master)
        read_into(peer, 1, &peer->ours[0]);
    for (int i = 1; i <= 2; i++)
        read_into(peer, i, &peer->ours[i]);
}

static void turn(struct stream_peer *peer)
{
    struct stream_message message;
    int fd;

    if (receive(peer, &message, &fd))
        take(peer, &message, fd);
    if (fd >= 0)
        close(fd);
    output_take(peer);
    if (peer->turn)
        peer->turn(peer->argument);
}

void stream_peer_pump(struct stream_peer *peer, int milliseconds)
{
    int64_t until_ns = clock_boottime_ns() + (int64_t)milliseconds * NS_PER_MS;

    do
        turn(peer);
    while (clock_boottime_ns() < until_ns);
}

/* --- waiting ------------------------------------------------------------------------------------------------------ */

static struct error *wait_for(struct stream_peer *peer, const bool *flag, const char *what)
{
    int64_t until_ns = clock_boottime_ns() + (int64_t)LIMIT_MS * NS_PER_MS;

    while (!*flag && !peer->has_failed) {
        turn(peer);
        if (clock_boottime_ns() > until_ns)
            return error_new(ERROR_DEADLINE_EXCEEDED, "the session is not %s after %d s", what, LIMIT_MS / 1000);
    }
    if (!*flag)
        return error_new((enum error_code)peer->failed.code, "%.250s", peer->failed.text);
    return NULL;
}

struct error *stream_peer_open(struct stream_peer *peer)
{
    return wait_for(peer, &peer->is_opened, "opened");
}

void stream_peer_begin(struct stream_peer *peer)
{
    if (!peer->wants_start && peer->is_opened && peer->socket >= 0)
        say_start(peer);
    peer->wants_start = true; /* else, or where it was lost: with the next OPENED */
}

struct error *stream_peer_start(struct stream_peer *peer)
{
    TRY(stream_peer_open(peer));
    stream_peer_begin(peer);
    return wait_for(peer, &peer->is_started, "started");
}

struct error *stream_peer_wait_end(struct stream_peer *peer)
{
    TRY(wait_for(peer, &peer->is_ended, "ended"));
    output_take(peer);
    return NULL;
}

struct error *stream_peer_wait_output(struct stream_peer *peer, int stream, const char *text)
{
    int64_t until_ns = clock_boottime_ns() + (int64_t)LIMIT_MS * NS_PER_MS;

    while (!strstr(peer->output[stream], text)) {
        bool was_over = peer->is_ended || peer->has_failed;
        turn(peer);
        if (was_over && !strstr(peer->output[stream], text))
            return error_new(ERROR_ABORTED, "the session is over without \"%s\": \"%.400s\" %.250s", text,
                             peer->output[stream], peer->failed.text);
        if (clock_boottime_ns() > until_ns)
            return error_new(ERROR_DEADLINE_EXCEEDED, "no \"%s\" after %d s: \"%.400s\"", text, LIMIT_MS / 1000,
                             peer->output[stream]);
    }
    return NULL;
}

struct error *stream_peer_write(struct stream_peer *peer, const char *text)
{
    int64_t until_ns = clock_boottime_ns() + (int64_t)LIMIT_MS * NS_PER_MS;

    while (peer->ours[0] < 0) { /* the console's may come behind STARTED */
        turn(peer);
        if (clock_boottime_ns() > until_ns || peer->has_failed)
            return error_new(ERROR_FAILED_PRECONDITION, "the session has no input");
    }
    return fd_write_all(peer->ours[0], text, strlen(text));
}

void stream_peer_close_input(struct stream_peer *peer)
{
    close_fd(&peer->ours[0]);
    if (peer->kind == STREAM_ATTACH && peer->socket >= 0)
        say(peer, &(struct stream_message){.type = STREAM_STDIN_END}, NULL, 0);
}

/* --- port-forward ------------------------------------------------------------------------------------------------- */

static struct error *connected(int fd)
{
    socklen_t size = sizeof(int);
    int failure = 0;

    if (poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, LIMIT_MS) <= 0)
        return error_new(ERROR_DEADLINE_EXCEEDED, "no connection after %d s", LIMIT_MS / 1000);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size) < 0 || failure)
        return error_new(ERROR_UNAVAILABLE, "connect: %s", strerror(failure));
    fcntl(fd, F_SETFL, 0);
    return NULL;
}

struct error *stream_peer_connect(struct stream_peer *peer, unsigned port, int family, int *ret_fd)
{
    int64_t until_ns = clock_boottime_ns() + (int64_t)LIMIT_MS * NS_PER_MS;
    struct stream_message message = {
        .type = STREAM_CONNECT, .serial = ++peer->serial, .port = port, .family = (uint32_t)family};
    unsigned asked_at = 0;

    while (clock_boottime_ns() < until_ns) {
        struct stream_message answer;
        autoclose int fd = -1;
        if (connect_again(peer) && peer->is_opened && asked_at != peer->connections) {
            say(peer, &message, NULL, 0);
            asked_at = peer->connections;
        }
        if (peer->turn)
            peer->turn(peer->argument);
        if (!receive(peer, &answer, &fd))
            continue;
        if (answer.type == STREAM_OPENED)
            take(peer, &answer, -1);
        if (answer.type == STREAM_FAILED)
            return error_new((enum error_code)answer.code, "%.250s", answer.text);
        if (answer.type != STREAM_CONNECTED || answer.serial != message.serial)
            continue;
        TRY(connected(fd));
        *ret_fd = TAKE_FD(fd);
        return NULL;
    }
    return error_new(ERROR_DEADLINE_EXCEEDED, "no answer to CONNECT");
}
