/* When a daemon's name means another socket, and how the connection to the older one is given up. */
#include "common/ipc_watch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/log.h"
#include "common/memory.h"

enum {
    ABSENT_MS = 10,    /* between looks for a name that is not there */
    QUIET_MS = 1000,   /* between looks besides inotify's word */
    BLIND_MS = 20,     /* between looks without inotify */
    RECONNECT_MS = 10, /* nng's own, at most */
    BLIND_FDS = 16384, /* looked through where they can't be listed */
    LONELY_LOOKS = 3,  /* without a connection to a daemon that accepts */
};

struct ipc_watch {
    nng_socket socket;
    char *path; /* DIR/NAME */
    char *url;
    void (*renewed)(void *argument);
    void *argument;
    int stop;    /* eventfd */
    int inotify; /* -1 where there are no more instances: then the name is looked at often */
    int watch;   /* inotify's number, -1 for none */
    int known;   /* O_PATH of the socket that had the name when it was looked at: its inode can't be used again */
    unsigned lonely; /* quiet looks in a row without a connection */
    atomic_int connections;
    pthread_t thread;
    bool has_thread;
};

static bool is_same_file(int one, int other)
{
    struct stat a, b;

    return one >= 0 && other >= 0 && fstat(one, &a) == 0 && fstat(other, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

/* ---- giving up ---- */

/* nng 1.5.2 must not be told to close a connection: a read that is between a message's head and its body is forgotten then,
 * and the thread that frees connections waits for it for ever. So the kernel ends it, and nng finds out by reading. A peer's
 * name is the one that it was bound to, DIR/NAME.GENERATION. */
static void end_connection(const struct ipc_watch *watch, int fd)
{
    struct sockaddr_un peer = {0};
    socklen_t size = sizeof(peer);
    size_t length = strlen(watch->path);

    if (getpeername(fd, (struct sockaddr *)&peer, &size) < 0 || peer.sun_family != AF_UNIX)
        return;
    if (length < sizeof(peer.sun_path) && strncmp(peer.sun_path, watch->path, length) == 0 && peer.sun_path[length] == '.')
        shutdown(fd, SHUT_RDWR);
}

/* Also those that are only half made. One to the newest generation is hit as well if it is already there: its requests are
 * sent again. */
static void end_connections(const struct ipc_watch *watch)
{
    DIR *fds = opendir("/proc/self/fd");

    for (int fd = 0; !fds && fd < BLIND_FDS; fd++) /* a sandbox without /proc */
        end_connection(watch, fd);
    for (struct dirent *entry; fds && (entry = readdir(fds));) {
        if (entry->d_name[0] != '.')
            end_connection(watch, atoi(entry->d_name));
    }
    if (fds)
        closedir(fds);
}

/* ---- dialling ---- */

/* On nng's threads. */
static void pipe_changed(nng_pipe pipe, nng_pipe_ev event, void *argument)
{
    struct ipc_watch *watch = argument;

    (void)pipe;
    atomic_fetch_add(&watch->connections, event == NNG_PIPE_EV_ADD_PRE ? 1 : -1);
}

/* A dialler that connects to whatever has the name, again and again. It is never closed: nng 1.5.2 loses a connection
 * that is half made then. */
static int dial(struct ipc_watch *watch)
{
    nng_dialer dialler;

    int result = nng_dialer_create(&dialler, watch->socket, watch->url);
    if (result == 0)
        result = nng_dialer_set_ms(dialler, NNG_OPT_RECONNMINT, RECONNECT_MS);
    if (result == 0)
        result = nng_dialer_set_ms(dialler, NNG_OPT_RECONNMAXT, RECONNECT_MS);
    if (result == 0)
        result = nng_dialer_start(dialler, NNG_FLAG_NONBLOCK);
    return result;
}

static bool is_served(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0 || strlen(path) >= sizeof(address.sun_path))
        return false;
    strcpy(address.sun_path, path);
    return connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
}

/* Should the dialler be lost for a reason unknown to us, another one takes its place. */
static void look_after(struct ipc_watch *watch)
{
    watch->lonely = atomic_load(&watch->connections) > 0 ? 0 : watch->lonely + 1;
    if (watch->lonely < LONELY_LOOKS)
        return;
    watch->lonely = 0;
    if (is_served(watch->path) && dial(watch) == 0)
        log_warn("dials once more", "url=%s", watch->url);
}

static void drain(int inotify)
{
    char events[4096];

    while (inotify >= 0 && read(inotify, events, sizeof(events)) > 0)
        ;
}

/* Looks at the name, and ends the connections if it means another socket. The watch is set before the look, so that no
 * rename falls between. False while there is no such name. */
static bool follow(struct ipc_watch *watch)
{
    if (watch->watch >= 0)
        inotify_rm_watch(watch->inotify, watch->watch);
    drain(watch->inotify); /* of the removal's own event too, which would wake the thread for ever */
    watch->watch = watch->inotify < 0 ? -1 : inotify_add_watch(watch->inotify, watch->path, IN_ATTRIB | IN_DELETE_SELF);
    autoclose int now = open(watch->path, O_PATH | O_CLOEXEC | O_NOFOLLOW);
    if (now < 0)
        return false;
    if (is_same_file(now, watch->known))
        return true;
    if (watch->known >= 0) {
        end_connections(watch);
        close(watch->known);
    }
    watch->known = TAKE_FD(now);
    if (watch->renewed)
        watch->renewed(watch->argument);
    return true;
}

/* ---- the thread ---- */

/* Is the name still the socket that is watched? Spares the steady state a new watch each second. */
static bool is_changed(struct ipc_watch *watch)
{
    autoclose int now = open(watch->path, O_PATH | O_CLOEXEC | O_NOFOLLOW);

    return !is_same_file(now, watch->known);
}

static void *watch_main(void *argument)
{
    struct ipc_watch *watch = argument;
    bool present = follow(watch);

    pthread_setname_np(pthread_self(), "ipc-watch");
    for (;;) {
        struct pollfd fds[] = {{.fd = watch->stop, .events = POLLIN}, {.fd = watch->inotify, .events = POLLIN}};
        int count = poll(fds, 2, !present ? ABSENT_MS : watch->inotify < 0 ? BLIND_MS : QUIET_MS);
        if (fds[0].revents)
            return NULL;
        if (count == 0 && present && !is_changed(watch)) {
            look_after(watch);
            continue;
        }
        present = follow(watch);
    }
}

static int watch_start(struct ipc_watch *watch)
{
    if (watch->stop < 0)
        return errno;
    if (nng_pipe_notify(watch->socket, NNG_PIPE_EV_ADD_PRE, pipe_changed, watch) != 0 ||
        nng_pipe_notify(watch->socket, NNG_PIPE_EV_REM_POST, pipe_changed, watch) != 0)
        return EINVAL;
    if (dial(watch) != 0)
        return ENOMEM;
    int failure = pthread_create(&watch->thread, NULL, watch_main, watch);
    watch->has_thread = failure == 0;
    return failure;
}

struct error *ipc_watch_open(nng_socket socket, const char *directory, const char *name,
                             void (*renewed)(void *argument), void *argument, struct ipc_watch **ret)
{
    struct ipc_watch *watch = xcalloc(1, sizeof(*watch));

    *watch = (struct ipc_watch){
        .socket = socket,
        .path = xasprintf("%s/%s", directory, name),
        .url = xasprintf("ipc://%s/%s", directory, name),
        .renewed = renewed,
        .argument = argument,
        .stop = eventfd(0, EFD_CLOEXEC),
        .inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK),
        .watch = -1,
        .known = -1,
    };
    int failure = watch_start(watch);
    *ret = watch;
    return failure ? error_errno(failure, "watch %s", directory) : NULL;
}

void ipc_watch_stop(struct ipc_watch *watch)
{
    if (!watch || !watch->has_thread)
        return;
    eventfd_write(watch->stop, 1);
    pthread_join(watch->thread, NULL);
}

void ipc_watch_free(struct ipc_watch *watch)
{
    if (!watch)
        return;
    int fds[] = {watch->stop, watch->inotify, watch->known};
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
        cleanup_close(&fds[i]);
    free(watch->path);
    free(watch->url);
    free(watch);
}
