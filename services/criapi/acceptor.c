/* Which connections become gRPC's: those whose first bytes are HTTP/2's preface, within a limit of time and number. */
#include "services/criapi/acceptor.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"

enum { PREFACE_SIZE = 24, STOP = -1, PAUSE_NS = 50000000 };

static const char preface[PREFACE_SIZE + 1] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/* A proven connection's fd is a second one: gRPC has its own, and this one tells when the connection ends. */
struct connection {
    int fd;
    bool is_proven;
    int64_t since_ns;
    TAILQ_ENTRY(connection) link;
};

TAILQ_HEAD(connections, connection);

struct acceptor {
    struct acceptor_options options;
    int epoll_fd;
    int pipe_fds[2]; /* descriptors of acceptor_add, or STOP */
    struct connections unproven, proven;
    size_t unproven_count, proven_count;
    pthread_t thread;
};

static void connection_drop(struct acceptor *acceptor, struct connection *connection)
{
    TAILQ_REMOVE(connection->is_proven ? &acceptor->proven : &acceptor->unproven, connection, link);
    --*(connection->is_proven ? &acceptor->proven_count : &acceptor->unproven_count);
    /* epoll would not forget it: gRPC's descriptor is of the same socket */
    epoll_ctl(acceptor->epoll_fd, EPOLL_CTL_DEL, connection->fd, NULL);
    close(connection->fd);
    free(connection);
}

static struct error *watch(struct acceptor *acceptor, int operation, int fd, uint32_t events, void *pointer)
{
    struct epoll_event event = {.events = events, .data.ptr = pointer};

    if (epoll_ctl(acceptor->epoll_fd, operation, fd, &event) < 0)
        return error_errno(errno, "watch a connection");
    return NULL;
}

/* Gives gRPC the connection, and keeps a descriptor that tells its end. */
static struct error *connection_hand_over(struct acceptor *acceptor, struct connection *connection)
{
    int fd = fcntl(connection->fd, F_DUPFD_CLOEXEC, 0);

    if (fd < 0)
        return error_errno(errno, "duplicate a connection");
    struct error *error = watch(acceptor, EPOLL_CTL_MOD, connection->fd, EPOLLRDHUP, connection);
    if (error) {
        close(fd);
        return error;
    }
    TAILQ_REMOVE(&acceptor->unproven, connection, link);
    acceptor->unproven_count--;
    TAILQ_INSERT_TAIL(&acceptor->proven, connection, link);
    acceptor->proven_count++;
    connection->is_proven = true;
    acceptor->options.connected(acceptor->options.argument, fd);
    return NULL;
}

/* Looks at the first bytes without taking them. */
static void connection_prove(struct acceptor *acceptor, struct connection *connection)
{
    char bytes[PREFACE_SIZE];
    ssize_t size = recv(connection->fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);

    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (size <= 0 || memcmp(bytes, preface, (size_t)size) != 0) {
        if (size > 0)
            log_info("closed a connection that does not speak HTTP/2", "fd=%d", connection->fd);
        connection_drop(acceptor, connection);
    } else if (size == PREFACE_SIZE) {
        struct error *error = connection_hand_over(acceptor, connection);
        if (!error)
            return;
        log_warn("closed a connection", "error=%s", log_quote(error->text));
        error_free(error);
        connection_drop(acceptor, connection);
    }
}

static void connection_event(struct acceptor *acceptor, struct connection *connection, uint32_t events)
{
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        connection_drop(acceptor, connection);
    else if (!connection->is_proven)
        connection_prove(acceptor, connection);
}

static void connection_add(struct acceptor *acceptor, int fd)
{
    struct connection *connection = xcalloc(1, sizeof(*connection));

    *connection = (struct connection){.fd = fd, .since_ns = clock_boottime_ns()};
    if (acceptor->unproven_count >= ACCEPTOR_UNPROVEN_MAX)
        connection_drop(acceptor, TAILQ_FIRST(&acceptor->unproven));
    TAILQ_INSERT_TAIL(&acceptor->unproven, connection, link);
    acceptor->unproven_count++;
    /* Edge-triggered: half a preface must not spin. */
    struct error *error = watch(acceptor, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLRDHUP | EPOLLET, connection);
    if (error) {
        log_warn("closed a connection", "error=%s", log_quote(error->text));
        error_free(error);
        connection_drop(acceptor, connection);
    }
}

static void accept_failed(int errnum)
{
    if (errnum == EAGAIN || errnum == EINTR || errnum == ECONNABORTED)
        return;
    log_error("cannot accept connections", "error=%s", log_quote(strerror(errnum)));
    nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL); /* descriptors are out: not in a busy loop */
}

static void accept_one(struct acceptor *acceptor)
{
    int fd = accept4(acceptor->options.listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0) {
        accept_failed(errno);
    } else if (acceptor->proven_count + acceptor->unproven_count >= ACCEPTOR_CONNECTIONS_MAX) {
        log_warn("closed a connection: too many are open", "limit=%d", ACCEPTOR_CONNECTIONS_MAX);
        close(fd);
    } else {
        connection_add(acceptor, fd);
    }
}

/* How long to wait for the oldest silent connection, -1 when there is none. */
static int expire(struct acceptor *acceptor)
{
    struct connection *oldest;

    while ((oldest = TAILQ_FIRST(&acceptor->unproven))) {
        int64_t age_ms = (clock_boottime_ns() - oldest->since_ns) / 1000000;
        if (age_ms < acceptor->options.idle_ms)
            return (int)(acceptor->options.idle_ms - age_ms) + 1;
        log_info("closed a connection that said nothing", "seconds=%d", (int)(age_ms / 1000));
        connection_drop(acceptor, oldest);
    }
    return -1;
}

static bool take_added(struct acceptor *acceptor)
{
    int fd;

    if (read(acceptor->pipe_fds[0], &fd, sizeof(fd)) != sizeof(fd))
        return true;
    if (fd == STOP)
        return false;
    connection_add(acceptor, fd);
    return true;
}

/* One event at a time: handling it may free any other connection. */
static void *acceptor_run(void *argument)
{
    struct acceptor *acceptor = argument;
    struct epoll_event event;
    bool goes_on = true;

    while (goes_on) {
        if (epoll_wait(acceptor->epoll_fd, &event, 1, expire(acceptor)) != 1)
            continue;
        if (event.data.ptr == &acceptor->pipe_fds)
            goes_on = take_added(acceptor);
        else if (event.data.ptr == &acceptor->options)
            accept_one(acceptor);
        else
            connection_event(acceptor, event.data.ptr, event.events);
    }
    return NULL;
}

static void acceptor_free(struct acceptor *acceptor)
{
    struct connection *connection;

    while ((connection = TAILQ_FIRST(&acceptor->unproven)))
        connection_drop(acceptor, connection);
    while ((connection = TAILQ_FIRST(&acceptor->proven)))
        connection_drop(acceptor, connection);
    cleanup_close(&acceptor->epoll_fd);
    cleanup_close(&acceptor->pipe_fds[0]);
    cleanup_close(&acceptor->pipe_fds[1]);
    free(acceptor);
}

static struct error *acceptor_start(struct acceptor *acceptor)
{
    if (acceptor->epoll_fd < 0 || pipe2(acceptor->pipe_fds, O_CLOEXEC) < 0)
        return error_errno(errno, "make the acceptor's descriptors");
    TRY(watch(acceptor, EPOLL_CTL_ADD, acceptor->options.listen_fd, EPOLLIN, &acceptor->options));
    TRY(watch(acceptor, EPOLL_CTL_ADD, acceptor->pipe_fds[0], EPOLLIN, &acceptor->pipe_fds));
    int failure = pthread_create(&acceptor->thread, NULL, acceptor_run, acceptor);
    return failure ? error_errno(failure, "start the acceptor's thread") : NULL;
}

struct error *acceptor_open(const struct acceptor_options *options, struct acceptor **ret)
{
    struct acceptor *acceptor = xcalloc(1, sizeof(*acceptor));

    acceptor->options = *options;
    acceptor->pipe_fds[0] = acceptor->pipe_fds[1] = -1;
    TAILQ_INIT(&acceptor->unproven);
    TAILQ_INIT(&acceptor->proven);
    acceptor->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct error *error = acceptor_start(acceptor);
    if (error) {
        acceptor_free(acceptor);
        return error;
    }
    *ret = acceptor;
    return NULL;
}

struct error *acceptor_add(struct acceptor *acceptor, int fd)
{
    if (write(acceptor->pipe_fds[1], &fd, sizeof(fd)) == sizeof(fd))
        return NULL;
    struct error *error = error_errno(errno, "hand over a connection");
    close(fd);
    return error;
}

void acceptor_close(struct acceptor *acceptor)
{
    int stop = STOP;

    if (!acceptor)
        return;
    while (write(acceptor->pipe_fds[1], &stop, sizeof(stop)) < 0 && errno == EINTR)
        ;
    pthread_join(acceptor->thread, NULL);
    acceptor_free(acceptor);
}
