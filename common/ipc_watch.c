/* When a daemon's name means another socket, and how the connection to the older one is given up. */
#include "common/ipc_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "common/log.h"
#include "common/memory.h"

enum { ABSENT_MS = 10, QUIET_MS = 1000, RECONNECT_MS = 10 };

struct ipc_watch {
    nng_socket socket;
    char *path; /* DIR/sock */
    char *url;
    void (*redialled)(void *argument);
    void *argument;
    int stop;     /* eventfd */
    int inotify;  /* -1 where there are no more instances: then the name is looked at each second */
    int watch;    /* inotify's number, -1 for none */
    int dialled;  /* O_PATH of the socket that the dialer was made for: its inode can't be used again */
    nng_dialer dialer;
    pthread_t thread;
};

static bool is_same_file(int one, int other)
{
    struct stat a, b;

    return one >= 0 && other >= 0 && fstat(one, &a) == 0 && fstat(other, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

/* A dialer per socket: closing it ends its connection too, even one that a stopped daemon never finished. */
static void dial(struct ipc_watch *watch)
{
    int result = nng_dialer_create(&watch->dialer, watch->socket, watch->url);

    if (result == 0)
        result = nng_dialer_set_ms(watch->dialer, NNG_OPT_RECONNMINT, RECONNECT_MS);
    if (result == 0)
        result = nng_dialer_set_ms(watch->dialer, NNG_OPT_RECONNMAXT, RECONNECT_MS);
    if (result == 0)
        result = nng_dialer_start(watch->dialer, NNG_FLAG_NONBLOCK);
    if (result != 0)
        log_warn("cannot dial", "url=%s error=%s", watch->url, log_quote(nng_strerror(result)));
}

/* Looks at the name, and dials anew if it means another socket. The watch is set before the look, so that no rename
 * falls between. False while there is no such name. */
static bool follow(struct ipc_watch *watch)
{
    if (watch->watch >= 0)
        inotify_rm_watch(watch->inotify, watch->watch);
    watch->watch = watch->inotify < 0 ? -1 : inotify_add_watch(watch->inotify, watch->path, IN_ATTRIB | IN_DELETE_SELF);
    autoclose int now = open(watch->path, O_PATH | O_CLOEXEC | O_NOFOLLOW);
    if (now < 0)
        return false;
    if (is_same_file(now, watch->dialled))
        return true;
    if (watch->dialled >= 0) {
        nng_dialer_close(watch->dialer);
        close(watch->dialled);
    }
    watch->dialled = TAKE_FD(now);
    dial(watch);
    watch->redialled(watch->argument);
    return true;
}

static void drain(int inotify)
{
    char events[4096];

    while (inotify >= 0 && read(inotify, events, sizeof(events)) > 0)
        ;
}

/* Is the name still the socket that is watched? Spares the steady state a new watch each second. */
static bool is_changed(struct ipc_watch *watch)
{
    autoclose int now = open(watch->path, O_PATH | O_CLOEXEC | O_NOFOLLOW);

    return !is_same_file(now, watch->dialled);
}

static void *watch_main(void *argument)
{
    struct ipc_watch *watch = argument;
    bool present = follow(watch);

    pthread_setname_np(pthread_self(), "ipc-watch");
    for (;;) {
        struct pollfd fds[] = {{.fd = watch->stop, .events = POLLIN}, {.fd = watch->inotify, .events = POLLIN}};
        int count = poll(fds, 2, present ? QUIET_MS : ABSENT_MS);
        if (fds[0].revents)
            return NULL;
        if (count == 0 && present && !is_changed(watch))
            continue;
        drain(watch->inotify);
        present = follow(watch);
    }
}

static void watch_free(struct ipc_watch *watch)
{
    int fds[] = {watch->stop, watch->inotify, watch->dialled};

    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
        cleanup_close(&fds[i]);
    free(watch->path);
    free(watch->url);
    free(watch);
}

struct error *ipc_watch_open(nng_socket socket, const char *directory, void (*redialled)(void *argument), void *argument,
                             struct ipc_watch **ret)
{
    struct ipc_watch *watch = xcalloc(1, sizeof(*watch));

    *watch = (struct ipc_watch){
        .socket = socket,
        .path = xasprintf("%s/sock", directory),
        .url = xasprintf("ipc://%s/sock", directory),
        .redialled = redialled,
        .argument = argument,
        .stop = eventfd(0, EFD_CLOEXEC),
        .inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK),
        .watch = -1,
        .dialled = -1,
    };
    int failure = watch->stop < 0 ? errno : pthread_create(&watch->thread, NULL, watch_main, watch);
    if (failure) {
        watch_free(watch);
        return error_errno(failure, "watch %s", directory);
    }
    *ret = watch;
    return NULL;
}

void ipc_watch_close(struct ipc_watch *watch)
{
    if (!watch)
        return;
    eventfd_write(watch->stop, 1);
    pthread_join(watch->thread, NULL);
    watch_free(watch);
}
