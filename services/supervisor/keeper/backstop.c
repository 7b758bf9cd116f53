/* How the keeper is found, started, watched and ended by the process that systemd watches. */
#include "services/supervisor/keeper/backstop.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/service.h"
#include "services/supervisor/death.h"
#include "services/supervisor/keeper/exits.h"
#include "services/supervisor/keeper/identity.h"
#include "services/supervisor/keeper/listener.h"
#include "services/supervisor/keeper/stream_listener.h"

enum { TICK_MS = 250, SOON_MS = 10, LISTENER_FD = 3, STREAM_FD = 4, HIGH_FD = 64, ARGUMENTS_MAX = 40, NUMBER_SIZE = 24 };
static const int64_t ms = 1000000;
static const int64_t stream_give_up_ns = 10000000000; /* for the streaming socket to come back from who holds it */

struct backstop {
    const struct config *config;
    int directory; /* STATE/keeper */
    int exits_dir;
    int lock_fd;
    int signal_fd;
    int listener; /* our copy of the gRPC socket, -1: not yet ours */
    int stream_listener; /* of the streaming sessions' socket */
    bool is_stream_published; /* its address is in the file */
    int64_t stream_missed_ns; /* since when the keeper has none; 0: it was not asked */
    int socket;   /* to the keeper */
    struct process_id keeper;
    int keeper_pidfd; /* -1: none lives */
    enum death_reason last_death;
    int64_t last_start_ns, last_answer_ns, last_tick_ns;
    int64_t stopping_since_ns;
    bool is_ready, is_stopping, is_hang, is_finished, has_failed;
};

static struct error *directory_make(const char *path, mode_t mode, int *ret_fd)
{
    if (mkdir(path, mode) < 0 && errno != EEXIST)
        return error_errno(errno, "mkdir %s", path);
    *ret_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *ret_fd < 0 ? error_errno(errno, "open %s", path) : NULL;
}

static struct error *directories_open(struct backstop *backstop)
{
    autofree char *keeper = config_state_path(backstop->config, "keeper");
    autofree char *exits = config_state_path(backstop->config, "keeper/exits");
    autoclose int root = -1, state = -1;

    TRY(directory_make(backstop->config->root, 0711, &root));
    TRY(directory_make(backstop->config->state, 0711, &state));
    TRY(directory_make(keeper, 0711, &backstop->directory));
    return directory_make(exits, 0755, &backstop->exits_dir);
}

static struct error *lock_take(struct backstop *backstop)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    backstop->lock_fd = openat(backstop->directory, "backstop.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (backstop->lock_fd < 0 || fcntl(backstop->lock_fd, F_SETLK, &lock) < 0)
        return error_new(ERROR_ALREADY_EXISTS, "another `bulkhead run` uses %s", backstop->config->state);
    return NULL;
}

static struct error *signals_open(struct backstop *backstop)
{
    sigset_t watched;

    sigemptyset(&watched);
    sigaddset(&watched, SIGCHLD);
    sigaddset(&watched, SIGTERM);
    sigaddset(&watched, SIGINT);
    sigprocmask(SIG_BLOCK, &watched, NULL);
    backstop->signal_fd = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
    return backstop->signal_fd < 0 ? error_errno(errno, "signalfd") : NULL;
}

/* The holder of STATE/keeper/lock, if any: a keeper that outlived the backstop before. */
static pid_t lock_holder(const struct backstop *backstop)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    autoclose int fd = openat(backstop->directory, "lock", O_RDWR | O_CLOEXEC);

    if (fd < 0 || fcntl(fd, F_GETLK, &lock) < 0 || lock.l_type == F_UNLCK)
        return 0;
    return lock.l_pid;
}

static void keeper_adopt(struct backstop *backstop, pid_t pid)
{
    autoptr(error) gone = process_id_read(pid, &backstop->keeper);
    autoptr(error) unopened = gone ? NULL : process_id_open(&backstop->keeper, &backstop->keeper_pidfd);

    if (gone || unopened || lock_holder(backstop) != pid) {
        if (backstop->keeper_pidfd >= 0)
            close(TAKE_FD(backstop->keeper_pidfd));
        return;
    }
    backstop->last_answer_ns = clock_boottime_ns();
    log_info("a keeper lives", "pid=%d", pid);
    if (backstop->is_stopping) /* the signal came before there was whom to tell */
        syscall(SYS_pidfd_send_signal, backstop->keeper_pidfd, SIGTERM, NULL, 0);
}

/* Arguments of the keeper: all that it would otherwise have to parse a file for. `numbers` holds those that are made.
 */
static void keeper_arguments(const struct backstop *backstop, char *program, char **arguments,
                             char numbers[4][NUMBER_SIZE])
{
    const struct config *config = backstop->config;
    size_t count = 0;

    snprintf(numbers[0], NUMBER_SIZE, "%u", config->uid_first);
    snprintf(numbers[1], NUMBER_SIZE, "%d", (int)backstop->last_death);
    snprintf(numbers[2], NUMBER_SIZE, "%d", LISTENER_FD);
    snprintf(numbers[3], NUMBER_SIZE, "%d", STREAM_FD);
    const char *const options[][2] = {
        {"--config", config->file},
        {"--root", config->root},
        {"--state", config->state},
        {"--address", config->address},
        {"--log-level", config->log_level},
        {"--programs", config->programs},
        {"--uid-first", numbers[0]},
        {"--cni-conf-dir", config->cni_conf_dir},
        {"--last-death", numbers[1]},
        {"--seccomp-dir", config->seccomp_profiles_dir},
        {"--certs-dir", config->registry_config_path},
        {"--listener-fd", backstop->listener >= 0 ? numbers[2] : NULL},
        {"--stream-fd", backstop->stream_listener >= 0 ? numbers[3] : NULL},
    };
    arguments[count++] = program;
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        if (!options[i][1])
            continue;
        arguments[count++] = (char *)options[i][0];
        arguments[count++] = (char *)options[i][1];
    }
    if (backstop->is_stopping)
        arguments[count++] = (char *)"--stop";
    arguments[count] = NULL;
}

/* The sockets that we hold go to their numbers. What we were started with beside them, the keeper would hold for ever. */
static void listeners_pass(const struct backstop *backstop)
{
    int cri = fcntl(backstop->listener, F_DUPFD_CLOEXEC, HIGH_FD);
    int stream = fcntl(backstop->stream_listener, F_DUPFD_CLOEXEC, HIGH_FD);

    syscall(SYS_close_range, LISTENER_FD, ~0U, CLOSE_RANGE_CLOEXEC);
    if (cri >= 0)
        dup2(cri, LISTENER_FD);
    if (stream >= 0)
        dup2(stream, STREAM_FD);
}

static _Noreturn void keeper_exec(const struct backstop *backstop)
{
    autofree char *program = xasprintf("%s/bulkhead-keeper", backstop->config->programs);
    char numbers[4][NUMBER_SIZE];
    char *arguments[ARGUMENTS_MAX];
    sigset_t none;

    setsid(); /* a terminal's Ctrl-C is for the backstop alone */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    keeper_arguments(backstop, program, arguments, numbers);
    listeners_pass(backstop);
    execv(program, arguments);
    dprintf(STDERR_FILENO, "%s: %s\n", program, strerror(errno));
    _exit(127);
}

static void keeper_start(struct backstop *backstop, int64_t now_ns)
{
    backstop->last_start_ns = now_ns;
    backstop->last_answer_ns = now_ns;
    backstop->is_hang = false;
    pid_t pid = fork();
    if (pid == 0)
        keeper_exec(backstop);
    autoptr(error) failure = pid < 0 ? error_errno(errno, "fork") : process_id_read(pid, &backstop->keeper);
    backstop->keeper_pidfd = failure ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
    if (backstop->keeper_pidfd < 0)
        log_error("the keeper cannot be started", "errno=%d", errno);
    else
        log_info("started", "program=keeper pid=%d last=%d", pid, (int)backstop->last_death);
}

static void keeper_ensure(struct backstop *backstop, int64_t now_ns)
{
    if (backstop->keeper_pidfd >= 0)
        return;
    pid_t holder = lock_holder(backstop);
    if (holder)
        keeper_adopt(backstop, holder);
    else if (now_ns - backstop->last_start_ns >= 100 * ms)
        keeper_start(backstop, now_ns);
}

/* Has it ended the tree as it was told? One that was only adopted leaves no status to us, but says so in its identity.
 */
static bool keeper_is_done(const struct backstop *backstop, bool is_known, int wait_status)
{
    struct identity identity = {0};

    if (!backstop->is_stopping || is_known)
        return backstop->is_stopping && wait_status == 0;
    autoptr(error) unread = identity_load(backstop->directory, "self", &identity);
    return !unread && identity.is_ended && identity.process.pid == backstop->keeper.pid &&
           identity.process.start_ticks == backstop->keeper.start_ticks;
}

static void keeper_ended(struct backstop *backstop, bool is_known, int wait_status)
{
    backstop->last_death = backstop->is_hang ? DEATH_HANG : death_reason_of(is_known, wait_status);
    log_info("ended", "program=keeper pid=%d known=%d status=%d", backstop->keeper.pid, is_known, wait_status);
    backstop->is_finished = keeper_is_done(backstop, is_known, wait_status);
    close(TAKE_FD(backstop->keeper_pidfd));
    if (backstop->socket >= 0)
        close(TAKE_FD(backstop->socket));
    if (is_known)
        exit_drop(backstop->exits_dir, &backstop->keeper);
}

static void reap(struct backstop *backstop)
{
    struct ended_process ended;

    while (exit_next(backstop->exits_dir, &ended)) {
        exit_reap(&ended);
        if (backstop->keeper_pidfd >= 0 && ended.process.pid == backstop->keeper.pid)
            keeper_ended(backstop, true, ended.wait_status);
    }
}

static void stop(struct backstop *backstop)
{
    if (!backstop->is_stopping)
        backstop->stopping_since_ns = clock_boottime_ns();
    backstop->is_stopping = true;
    service_notify("STOPPING=1");
    if (backstop->keeper_pidfd >= 0)
        syscall(SYS_pidfd_send_signal, backstop->keeper_pidfd, SIGTERM, NULL, 0);
}

static void signals_read(struct backstop *backstop)
{
    struct signalfd_siginfo info;

    while (read(backstop->signal_fd, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGCHLD)
            reap(backstop);
        else
            stop(backstop);
    }
}

/* Binds the socket where nobody holds it; a living holder's copy comes by way of the keeper. */
static struct error *listener_ensure(struct backstop *backstop)
{
    if (lock_holder(backstop))
        return NULL;
    struct error *failure = listener_open(backstop->config->address, &backstop->listener);
    if (failure && failure->code == ERROR_ABORTED) {
        log_info("the listening socket is held by another process", "address=%s", backstop->config->address);
        error_free(failure);
        return NULL;
    }
    return failure;
}

static struct error *stream_listener_bind(struct backstop *backstop, bool afresh)
{
    const struct config *config = backstop->config;
    struct error *failure = stream_listener_open(config->state, config->stream_server_address,
                                                 (uint16_t)config->stream_server_port, afresh, &backstop->stream_listener);

    if (failure && failure->code == ERROR_ABORTED) {
        log_info("the streaming socket is held by another process", "error=%s", log_quote(failure->text));
        error_free(failure);
        return NULL;
    }
    return failure;
}

/* Again with each tick where there was no space. */
static void stream_listener_tell(struct backstop *backstop)
{
    if (backstop->is_stream_published || backstop->stream_listener < 0)
        return;
    autoptr(error) failure = stream_listener_publish(backstop->config->state, backstop->stream_listener);
    backstop->is_stream_published = !failure;
    if (failure)
        log_debug("the streaming address is not published", "error=%s", log_quote(failure->text));
}

static void keeper_ask(struct backstop *backstop, uint32_t type)
{
    struct keeper_message message = {.version = KEEPER_VERSION, .type = type};

    if (type == KEEPER_STORE_GET)
        strcpy(message.name, "listener");
    message.serial = type;
    error_free(fd_send(backstop->socket, &message, sizeof(message), NULL, 0));
}

/* Is there a new connection? */
static bool keeper_connect(struct backstop *backstop)
{
    autofree char *path = config_state_path(backstop->config, "keeper/sock");

    if (backstop->socket >= 0)
        return false;
    autoptr(error) failure = socket_connect(path, &backstop->socket);
    if (failure)
        return false;
    fcntl(backstop->socket, F_SETFL, O_NONBLOCK);
    return true;
}

/* The keeper has no streaming socket: one of an older release, or its holders died with it. */
static void stream_listener_missed(struct backstop *backstop)
{
    struct keeper_message put = {.version = KEEPER_VERSION, .type = KEEPER_STORE_PUT, .name = "listener", .fd_count = 1};
    int64_t now_ns = clock_boottime_ns();

    if (!backstop->stream_missed_ns)
        backstop->stream_missed_ns = now_ns;
    autoptr(error) failure = stream_listener_bind(backstop, now_ns - backstop->stream_missed_ns > stream_give_up_ns);
    if (failure)
        log_warn("no streaming sessions", "error=%s", log_quote(failure->text));
    if (backstop->stream_listener < 0)
        return;
    snprintf(put.fd_names[0], sizeof(put.fd_names[0]), "stream");
    put.serial = KEEPER_STORE_PUT;
    error_free(fd_send(backstop->socket, &put, sizeof(put), &backstop->stream_listener, 1));
}

static void listeners_take(struct backstop *backstop, const struct keeper_message *reply, int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (backstop->listener < 0 && strcmp(reply->fd_names[i], "cri") == 0)
            backstop->listener = TAKE_FD(fds[i]);
        if (backstop->stream_listener < 0 && strcmp(reply->fd_names[i], "stream") == 0)
            backstop->stream_listener = TAKE_FD(fds[i]);
    }
    if (backstop->stream_listener < 0 && !backstop->is_stopping)
        stream_listener_missed(backstop);
}

static void keeper_read(struct backstop *backstop)
{
    struct keeper_message reply;
    int fds[FD_PASS_MAX];
    size_t size = 0, count = 0;

    for (;;) {
        autoptr(error) failure = fd_receive(backstop->socket, &reply, sizeof(reply), &size, fds, &count);
        if (failure && failure->code == ERROR_ABORTED)
            return;
        if (failure || size != sizeof(reply)) {
            close(TAKE_FD(backstop->socket));
            return;
        }
        backstop->last_answer_ns = clock_boottime_ns();
        if (reply.serial == KEEPER_STORE_GET)
            listeners_take(backstop, &reply, fds, count);
        else if ((reply.flags & KEEPER_READY) && !backstop->is_ready && !backstop->is_stopping) {
            backstop->is_ready = true;
            service_notify("READY=1");
        }
        for (size_t i = 0; i < count; i++)
            if (fds[i] >= 0)
                close(fds[i]);
    }
}

/* A silent keeper is killed; what we ourselves were late does not count. */
static void keeper_check(struct backstop *backstop, int64_t now_ns)
{
    int64_t late_ns = now_ns - backstop->last_tick_ns - 2 * TICK_MS * ms;

    if (late_ns > 0)
        backstop->last_answer_ns += late_ns;
    if (backstop->keeper_pidfd < 0 || backstop->is_hang || now_ns - backstop->last_answer_ns < 3000 * ms)
        return;
    if (backstop->is_stopping && now_ns - backstop->last_answer_ns < 10000 * ms)
        return;
    log_warn("the keeper is silent and will be killed", "pid=%d", backstop->keeper.pid);
    backstop->is_hang = true;
    syscall(SYS_pidfd_send_signal, backstop->keeper_pidfd, SIGKILL, NULL, 0);
}

/* A keeper that cannot end the tree must not keep us for ever. */
static void stop_check(struct backstop *backstop, int64_t now_ns)
{
    if (!backstop->is_stopping || now_ns - backstop->stopping_since_ns < 30000 * ms)
        return;
    log_error("the tree could not be ended", "state=%s", backstop->config->state);
    backstop->is_finished = backstop->has_failed = true;
}

static void tick(struct backstop *backstop)
{
    int64_t now_ns = clock_boottime_ns();

    stop_check(backstop, now_ns);
    keeper_ensure(backstop, now_ns);
    bool is_new = keeper_connect(backstop);
    if (!is_new && now_ns - backstop->last_tick_ns < TICK_MS * ms)
        return;
    keeper_check(backstop, now_ns);
    backstop->last_tick_ns = now_ns;
    stream_listener_tell(backstop);
    if (backstop->socket >= 0) {
        keeper_ask(backstop, KEEPER_HELLO);
        if (backstop->listener < 0 || backstop->stream_listener < 0)
            keeper_ask(backstop, KEEPER_STORE_GET);
    }
    service_notify("WATCHDOG=1");
}

static void loop(struct backstop *backstop)
{
    while (!backstop->is_finished) {
        struct pollfd watched[] = {
            {.fd = backstop->signal_fd, .events = POLLIN},
            {.fd = backstop->keeper_pidfd, .events = POLLIN},
            {.fd = backstop->socket, .events = POLLIN},
        };
        poll(watched, 3, backstop->keeper_pidfd < 0 || backstop->socket < 0 ? SOON_MS : TICK_MS);
        if (watched[0].revents)
            signals_read(backstop);
        if (backstop->keeper_pidfd >= 0 && watched[1].revents) {
            reap(backstop);
            if (backstop->keeper_pidfd >= 0 && watched[1].fd == backstop->keeper_pidfd)
                keeper_ended(backstop, false, 0); /* adopted: not our child */
        }
        if (backstop->socket >= 0 && watched[2].revents && watched[2].fd == backstop->socket)
            keeper_read(backstop);
        if (!backstop->is_finished)
            tick(backstop);
    }
}

static struct error *backstop_open(struct backstop *backstop)
{
    TRY(directories_open(backstop));
    TRY(lock_take(backstop));
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        return error_errno(errno, "become the subreaper");
    signal(SIGPIPE, SIG_IGN);
    TRY(signals_open(backstop));
    TRY(identity_save(backstop->directory, "backstop", DEATH_UNKNOWN));
    TRY(listener_ensure(backstop));
    if (!lock_holder(backstop))
        TRY(stream_listener_bind(backstop, false));
    stream_listener_tell(backstop);
    return NULL;
}

int backstop_run(const struct config *config)
{
    struct backstop backstop = {
        .config = config, .listener = -1, .stream_listener = -1, .socket = -1, .keeper_pidfd = -1, .last_death = DEATH_UNKNOWN};
    autoptr(error) failure = backstop_open(&backstop);

    if (failure) {
        log_error("cannot start", "error=%s", log_quote(failure->text));
        return 1;
    }
    log_info("ready", "pid=%d address=%s", getpid(), config->address);
    loop(&backstop);
    unlink(config->address);
    stream_listener_forget(config->state);
    identity_end(backstop.directory, "backstop");
    return backstop.has_failed ? 1 : 0;
}
