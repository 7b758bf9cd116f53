/* How a shim answers a session, as far as a test of `stream` needs it. */
#include "tests/support/stream_shim.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/memory.h"
#include "common/stream_protocol.h"

enum { TOKENS_MAX = 512, CLIENTS_MAX = 512 };

struct token_state {
    char secret[STREAM_SECRET_SIZE];
    char key[STREAM_KEY_SIZE];
    uint32_t kind, flags;
    const char *const *argv;
    int client; /* index, -1: none */
    pid_t pid;  /* of an exec that has begun */
    int pidfd;
    bool has_ended;
    int wait_status;
    int out[2]; /* an attach's pipes */
};

struct stream_shim {
    char *directory, *path, *pod;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int wake[2];
    bool is_stopping, is_dead, has_forgotten;
    int listener;
    int clients[CLIENTS_MAX];
    struct token_state *tokens[TOKENS_MAX];
    size_t token_count;
    int input[2]; /* the container's stdin */
    int master, slave;
    bool has_input_ended;
    unsigned opens, starts, ends;
};

static void check(struct error *failure)
{
    if (failure) {
        fprintf(stderr, "stream_shim: %s\n", failure->text);
        abort();
    }
}

static void message_send(int fd, struct stream_message *message, const int *fds, size_t count)
{
    message->version = STREAM_VERSION;
    error_free(fd_send(fd, message, sizeof(*message), fds, count)); /* a session that has gone */
}

static void failed_send(int fd, uint32_t serial, int code, const char *text)
{
    struct stream_message message = {.type = STREAM_FAILED, .serial = serial, .code = code};

    snprintf(message.text, sizeof(message.text), "%s", text);
    message_send(fd, &message, NULL, 0);
}

static struct token_state *token_of(struct stream_shim *shim, const struct stream_message *message)
{
    for (size_t i = 0; i < shim->token_count; i++)
        if (strcmp(shim->tokens[i]->secret, message->secret) == 0)
            return shim->tokens[i];
    return NULL;
}

/* ---- OPEN ---- */

static void on_open(struct stream_shim *shim, int client, const struct stream_message *message)
{
    struct token_state *token = token_of(shim, message);
    struct stream_message opened = {.type = STREAM_OPENED};

    shim->opens++;
    if (!token || token->kind != message->kind || (token->key[0] && strcmp(token->key, message->key) != 0)) {
        failed_send(shim->clients[client], 0, ERROR_NOT_FOUND, "no such token");
        return;
    }
    strcpy(token->key, message->key);
    token->client = client;
    opened.kind = token->kind;
    opened.flags = token->flags;
    snprintf(opened.text, sizeof(opened.text), "%s", token->kind == STREAM_PORT_FORWARD ? "" : "container1");
    message_send(shim->clients[client], &opened, NULL, 0);
}

/* ---- exec ---- */

static void ended_send(struct stream_shim *shim, struct token_state *token)
{
    struct stream_message ended = {.type = STREAM_ENDED, .wait_status = token->wait_status};

    message_send(shim->clients[token->client], &ended, NULL, 0);
    shim->ends++;
}

static void child_run(const struct token_state *token, const int stdio[3])
{
    setsid();
    for (int i = 0; i < 3; i++)
        dup2(stdio[i], i);
    if (token->flags & STREAM_TTY)
        ioctl(0, TIOCSCTTY, 0);
    syscall(SYS_close_range, 3, ~0U, 0);
    signal(SIGPIPE, SIG_DFL);
    execvp(token->argv[0], (char **)token->argv);
    _exit(127);
}

/* As an OCI runtime does: makes a terminal, and sends its master to the console socket. */
static void terminal_hand_over(struct stream_shim *shim, int console, int stdio[3])
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    autoclose int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC),
                  peer = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int number, unlocked = 0;

    snprintf(address.sun_path, sizeof(address.sun_path), "%s/console", shim->directory);
    unlink(address.sun_path);
    if (bind(console, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(console, 1) < 0 ||
        connect(peer, (struct sockaddr *)&address, sizeof(address)) < 0)
        abort();
    unlink(address.sun_path);
    ioctl(master, TIOCSPTLCK, &unlocked);
    ioctl(master, TIOCGPTN, &number);
    autofree char *slave = xasprintf("/dev/pts/%d", number);
    stdio[0] = stdio[1] = stdio[2] = open(slave, O_RDWR | O_NOCTTY | O_CLOEXEC);
    check(fd_send(peer, "ptmx", 4, &master, 1));
}

static void exec_spawn(struct stream_shim *shim, struct token_state *token, const int *fds)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC), stdio[3] = {null, null, null}, next = 0;

    if (token->flags & STREAM_TTY)
        terminal_hand_over(shim, fds[0], stdio);
    else
        for (int i = 0; i < 3; i++)
            if (token->flags & (uint32_t)(STREAM_STDIN << i))
                stdio[i] = fds[next++];
    token->pid = fork();
    if (token->pid == 0)
        child_run(token, stdio);
    token->pidfd = (int)syscall(SYS_pidfd_open, token->pid, 0);
    if (token->flags & STREAM_TTY)
        close(stdio[0]);
    close(null);
}

static void exec_start(struct stream_shim *shim, struct token_state *token, const int *fds, size_t count)
{
    struct stream_message started = {.type = STREAM_STARTED};

    if (shim->has_forgotten) {
        failed_send(shim->clients[token->client], 0, ERROR_ABORTED, "the exec was lost with its shim");
        return;
    }
    if (!token->argv) {
        failed_send(shim->clients[token->client], 0, ERROR_NOT_FOUND, "the container is not running");
        return;
    }
    if (token->pid == 0 && count > 0)
        exec_spawn(shim, token, fds);
    message_send(shim->clients[token->client], &started, NULL, 0);
    if (token->has_ended)
        ended_send(shim, token);
}

static void exec_reap(struct stream_shim *shim, struct token_state *token)
{
    if (waitpid(token->pid, &token->wait_status, 0) != token->pid)
        abort();
    close(token->pidfd);
    token->pidfd = -1;
    token->has_ended = true;
    if (token->client >= 0)
        ended_send(shim, token);
}

/* ---- attach, port-forward ---- */

static void attach_start(struct stream_shim *shim, struct token_state *token, int *fds, size_t count)
{
    struct stream_message started = {.type = STREAM_STARTED, .flags = token->flags};
    bool wants_input = token->flags & (STREAM_TTY | STREAM_STDIN);
    int input = token->flags & STREAM_TTY ? shim->master : shim->input[1];
    size_t next = 0;

    for (int i = 0; i < 2; i++) {
        if (token->out[i] >= 0)
            close(token->out[i]);
        token->out[i] =
            token->flags & (uint32_t)(STREAM_STDOUT << i) && next < count ? fcntl(fds[next++], F_DUPFD_CLOEXEC, 3) : -1;
    }
    message_send(shim->clients[token->client], &started, &input, wants_input && input >= 0);
}

static void on_start(struct stream_shim *shim, struct token_state *token, int *fds, size_t count)
{
    if (token->kind == STREAM_EXEC)
        exec_start(shim, token, fds, count);
    else
        attach_start(shim, token, fds, count);
    shim->starts++;
}

static void on_stdin_end(struct stream_shim *shim)
{
    if (shim->input[1] >= 0)
        close(shim->input[1]);
    shim->input[1] = -1;
    shim->has_input_ended = true;
}

static void on_connect(struct stream_shim *shim, int client, const struct stream_message *message)
{
    struct sockaddr_in ipv4 = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)message->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 ipv6 = {
        .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)message->port), .sin6_addr = in6addr_loopback};
    struct stream_message connected = {.type = STREAM_CONNECTED, .serial = message->serial};
    autoclose int fd = socket((int)message->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int result = message->family == AF_INET ? connect(fd, (struct sockaddr *)&ipv4, sizeof(ipv4))
                                            : connect(fd, (struct sockaddr *)&ipv6, sizeof(ipv6));

    if (fd < 0 || (result < 0 && errno != EINPROGRESS))
        failed_send(shim->clients[client], message->serial, ERROR_UNAVAILABLE, strerror(errno));
    else
        message_send(shim->clients[client], &connected, &fd, 1);
}

/* ---- the thread ---- */

static void client_close(struct stream_shim *shim, int client)
{
    close(shim->clients[client]);
    shim->clients[client] = -1;
    for (size_t i = 0; i < shim->token_count; i++)
        if (shim->tokens[i]->client == client)
            shim->tokens[i]->client = -1;
}

static void on_message(struct stream_shim *shim, int client, const struct stream_message *message, int *fds,
                       size_t count)
{
    struct token_state *token = token_of(shim, message);

    if (message->type == STREAM_OPEN)
        on_open(shim, client, message);
    else if (token && message->type == STREAM_START)
        on_start(shim, token, fds, count);
    else if (token && message->type == STREAM_STDIN_END)
        on_stdin_end(shim);
    else if (token && message->type == STREAM_CONNECT)
        on_connect(shim, client, message);
}

static void client_receive(struct stream_shim *shim, int client)
{
    struct stream_message message;
    int fds[FD_PASS_MAX];
    size_t size = 0, count = 0;
    struct error *failure = fd_receive(shim->clients[client], &message, sizeof(message), &size, fds, &count);

    if (failure || size != sizeof(message))
        client_close(shim, client);
    else
        on_message(shim, client, &message, fds, count);
    error_free(failure);
    fds_close(fds, count);
}

static void client_accept(struct stream_shim *shim)
{
    int fd = accept4(shim->listener, NULL, NULL, SOCK_CLOEXEC);

    for (int i = 0; fd >= 0 && i < CLIENTS_MAX; i++) {
        if (shim->clients[i] < 0) {
            shim->clients[i] = fd;
            return;
        }
    }
}

struct source {
    enum { SOURCE_WAKE, SOURCE_LISTENER, SOURCE_CLIENT, SOURCE_CHILD } kind;
    size_t index;
};

static size_t sources_collect(struct stream_shim *shim, struct pollfd *fds, struct source *sources)
{
    size_t count = 0;

    fds[count] = (struct pollfd){.fd = shim->wake[0], .events = POLLIN};
    sources[count++] = (struct source){SOURCE_WAKE, 0};
    fds[count] = (struct pollfd){.fd = shim->listener, .events = POLLIN};
    sources[count++] = (struct source){SOURCE_LISTENER, 0};
    for (size_t i = 0; i < CLIENTS_MAX; i++) {
        if (shim->clients[i] < 0)
            continue;
        fds[count] = (struct pollfd){.fd = shim->clients[i], .events = POLLIN};
        sources[count++] = (struct source){SOURCE_CLIENT, i};
    }
    for (size_t i = 0; i < shim->token_count && !shim->is_dead; i++) {
        if (shim->tokens[i]->pidfd < 0)
            continue;
        fds[count] = (struct pollfd){.fd = shim->tokens[i]->pidfd, .events = POLLIN};
        sources[count++] = (struct source){SOURCE_CHILD, i};
    }
    return count;
}

static void source_handle(struct stream_shim *shim, const struct source *source, const struct pollfd *fd)
{
    char byte;

    if (source->kind == SOURCE_WAKE && read(fd->fd, &byte, 1) < 0)
        return;
    if (source->kind == SOURCE_LISTENER && shim->listener == fd->fd)
        client_accept(shim);
    if (source->kind == SOURCE_CLIENT && shim->clients[source->index] == fd->fd)
        client_receive(shim, (int)source->index);
    if (source->kind == SOURCE_CHILD && !shim->is_dead && shim->tokens[source->index]->pidfd == fd->fd)
        exec_reap(shim, shim->tokens[source->index]);
}

static void *shim_thread(void *argument)
{
    static __thread struct pollfd fds[2 + CLIENTS_MAX + TOKENS_MAX];
    static __thread struct source sources[2 + CLIENTS_MAX + TOKENS_MAX];
    struct stream_shim *shim = argument;

    pthread_mutex_lock(&shim->lock);
    while (!shim->is_stopping) {
        size_t count = sources_collect(shim, fds, sources);
        pthread_mutex_unlock(&shim->lock);
        int ready = poll(fds, count, -1);
        pthread_mutex_lock(&shim->lock);
        for (size_t i = 0; ready > 0 && i < count; i++)
            if (fds[i].revents)
                source_handle(shim, &sources[i], &fds[i]);
        pthread_cond_broadcast(&shim->changed);
    }
    pthread_mutex_unlock(&shim->lock);
    return NULL;
}

/* ---- for the test ---- */

static void wake(struct stream_shim *shim)
{
    if (write(shim->wake[1], "", 1) != 1)
        abort();
}

static void listen_begin(struct stream_shim *shim)
{
    check(socket_listen(shim->path, 0666, (uid_t)-1, &shim->listener));
}

struct stream_shim *stream_shim_new(const char *state, const char *pod)
{
    struct stream_shim *shim = xcalloc(1, sizeof(*shim));
    autofree char *parent = xasprintf("%s/shim", state);

    shim->pod = xstrdup(pod);
    shim->directory = xasprintf("%s/%s", parent, pod);
    shim->path = xasprintf("%s/stream", shim->directory);
    mkdir(parent, 0755);
    if (mkdir(shim->directory, 0755) < 0 || pipe2(shim->wake, O_CLOEXEC) < 0 || pipe2(shim->input, O_CLOEXEC) < 0)
        abort();
    for (int i = 0; i < CLIENTS_MAX; i++)
        shim->clients[i] = -1;
    shim->master = shim->slave = -1;
    pthread_mutex_init(&shim->lock, NULL);
    pthread_cond_init(&shim->changed, NULL);
    listen_begin(shim);
    pthread_create(&shim->thread, NULL, shim_thread, shim);
    return shim;
}

static void terminal_make(struct stream_shim *shim)
{
    int number, unlocked = 0;

    shim->master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    ioctl(shim->master, TIOCSPTLCK, &unlocked);
    ioctl(shim->master, TIOCGPTN, &number);
    autofree char *slave = xasprintf("/dev/pts/%d", number);
    shim->slave = open(slave, O_RDWR | O_NOCTTY | O_CLOEXEC);
}

char *stream_shim_token(struct stream_shim *shim, uint32_t kind, uint32_t flags, const char *const *argv)
{
    struct token_state *token = xcalloc(1, sizeof(*token));
    uint8_t random[16];

    *token =
        (struct token_state){.kind = kind, .flags = flags, .argv = argv, .client = -1, .pidfd = -1, .out = {-1, -1}};
    if (getrandom(random, sizeof(random), 0) != sizeof(random))
        abort();
    for (size_t i = 0; i < sizeof(random); i++)
        snprintf(token->secret + 2 * i, 3, "%02x", random[i]);
    pthread_mutex_lock(&shim->lock);
    if (shim->token_count == TOKENS_MAX)
        abort();
    if (kind == STREAM_ATTACH && flags & STREAM_TTY && shim->master < 0)
        terminal_make(shim);
    shim->tokens[shim->token_count++] = token;
    pthread_mutex_unlock(&shim->lock);
    return xasprintf("%s-%s", shim->pod, token->secret);
}

void stream_shim_die(struct stream_shim *shim)
{
    pthread_mutex_lock(&shim->lock);
    shim->is_dead = true;
    close(shim->listener);
    shim->listener = -1;
    for (int i = 0; i < CLIENTS_MAX; i++)
        if (shim->clients[i] >= 0)
            client_close(shim, i);
    pthread_mutex_unlock(&shim->lock);
    wake(shim);
}

void stream_shim_return(struct stream_shim *shim)
{
    pthread_mutex_lock(&shim->lock);
    shim->is_dead = false;
    listen_begin(shim);
    pthread_mutex_unlock(&shim->lock);
    wake(shim);
}

void stream_shim_forget(struct stream_shim *shim)
{
    pthread_mutex_lock(&shim->lock);
    shim->has_forgotten = true;
    pthread_mutex_unlock(&shim->lock);
}

static bool has_attached(struct stream_shim *shim, int which)
{
    for (size_t i = 0; i < shim->token_count; i++)
        if (shim->tokens[i]->out[which - 1] >= 0)
            return true;
    return false;
}

void stream_shim_output(struct stream_shim *shim, int which, const void *data, size_t size)
{
    int fds[TOKENS_MAX];
    size_t count = 0;

    pthread_mutex_lock(&shim->lock);
    while (!has_attached(shim, which))
        pthread_cond_wait(&shim->changed, &shim->lock);
    for (size_t i = 0; i < shim->token_count; i++)
        if (shim->tokens[i]->out[which - 1] >= 0)
            fds[count++] = fcntl(shim->tokens[i]->out[which - 1], F_DUPFD_CLOEXEC, 3);
    pthread_mutex_unlock(&shim->lock);
    for (size_t i = 0; i < count; i++) {
        check(fd_write_all(fds[i], data, size));
        close(fds[i]);
    }
}

size_t stream_shim_input(struct stream_shim *shim, void *data, size_t room)
{
    ssize_t count = read(shim->slave >= 0 ? shim->slave : shim->input[0], data, room);

    if (count < 0)
        abort();
    return (size_t)count;
}

uint32_t stream_shim_terminal_size(struct stream_shim *shim, uint32_t before)
{
    struct winsize size;

    for (;;) {
        ioctl(shim->slave, TIOCGWINSZ, &size);
        uint32_t now = (uint32_t)size.ws_col << 16 | size.ws_row;
        if (now != before)
            return now;
        usleep(1000);
    }
}

void stream_shim_end_attach(struct stream_shim *shim, int code, const char *text)
{
    struct stream_message ended = {.type = STREAM_ENDED, .code = code};

    snprintf(ended.text, sizeof(ended.text), "%s", text);
    pthread_mutex_lock(&shim->lock);
    for (size_t i = 0; i < shim->token_count; i++) {
        struct token_state *token = shim->tokens[i];
        if (token->kind == STREAM_ATTACH && token->client >= 0)
            message_send(shim->clients[token->client], &ended, NULL, 0);
    }
    pthread_mutex_unlock(&shim->lock);
}

void stream_shim_end_pod(struct stream_shim *shim)
{
    pthread_mutex_lock(&shim->lock);
    for (int i = 0; i < CLIENTS_MAX; i++)
        if (shim->clients[i] >= 0)
            failed_send(shim->clients[i], 0, ERROR_NOT_FOUND, "the pod is stopped");
    pthread_mutex_unlock(&shim->lock);
}

static void wait_count(struct stream_shim *shim, const unsigned *counter, unsigned count)
{
    pthread_mutex_lock(&shim->lock);
    while (*counter < count)
        pthread_cond_wait(&shim->changed, &shim->lock);
    pthread_mutex_unlock(&shim->lock);
}

void stream_shim_wait_opens(struct stream_shim *shim, unsigned count)
{
    wait_count(shim, &shim->opens, count);
}

void stream_shim_wait_starts(struct stream_shim *shim, unsigned count)
{
    wait_count(shim, &shim->starts, count);
}

void stream_shim_wait_ends(struct stream_shim *shim, unsigned count)
{
    wait_count(shim, &shim->ends, count);
}

static void token_free(struct token_state *token)
{
    if (token->pidfd >= 0) {
        kill(-token->pid, SIGKILL);
        kill(token->pid, SIGKILL);
        waitpid(token->pid, NULL, 0);
        close(token->pidfd);
    }
    for (int i = 0; i < 2; i++)
        if (token->out[i] >= 0)
            close(token->out[i]);
    free(token);
}

void stream_shim_free(struct stream_shim *shim)
{
    int fds[] = {shim->wake[0], shim->wake[1], shim->input[0], shim->input[1], shim->master, shim->slave};

    if (!shim->is_dead)
        stream_shim_die(shim);
    shim->is_stopping = true;
    wake(shim);
    pthread_join(shim->thread, NULL);
    for (size_t i = 0; i < shim->token_count; i++)
        token_free(shim->tokens[i]);
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    unlink(shim->path);
    rmdir(shim->directory);
    free(shim->directory);
    free(shim->path);
    free(shim->pod);
    free(shim);
}
