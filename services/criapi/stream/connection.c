/* How bytes go through the client's socket, and how its end is seen. */
#include "services/criapi/stream/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "common/clock.h"

/* As Go's net/http: a peer that vanished is noticed within some three minutes. */
enum { KEEPALIVE_S = 15, KEEPALIVE_COUNT = 9 };

void connection_init(struct connection *connection, int fd)
{
    int on = 1, interval = KEEPALIVE_S, count = KEEPALIVE_COUNT;

    *connection = (struct connection){.watch.fd = fd, .moved_ns = clock_boottime_ns()};
    fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &interval, sizeof(interval));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
}

/* A client that makes us answer and does not read the answers is read no further. */
static bool has_room(const struct connection *connection)
{
    return !connection->has_ended && connection->in.size < CONNECTION_IN_MAX &&
           connection->out.size < CONNECTION_OUT_MAX;
}

void connection_watch(struct connection *connection, struct poll_set *set)
{
    short events = connection->has_ended ? 0 : POLLRDHUP;

    if (has_room(connection))
        events |= POLLIN;
    if (connection->out.size > 0)
        events |= POLLOUT;
    poll_set_add(set, &connection->watch, events);
}

static void connection_read(struct connection *connection)
{
    uint8_t data[CONNECTION_IN_MAX];
    ssize_t count = recv(connection->watch.fd, data, CONNECTION_IN_MAX - connection->in.size, 0);

    if (count > 0) {
        buffer_append(&connection->in, data, (size_t)count);
        connection->moved_ns = clock_boottime_ns();
    } else if (count == 0) {
        connection->has_ended = true;
    } else if (errno != EAGAIN && errno != EINTR) {
        connection->is_gone = true;
    }
}

void connection_receive(struct connection *connection)
{
    if (connection->watch.ready & (POLLERR | POLLHUP | POLLNVAL))
        connection->is_gone = true;
    if (connection->watch.ready & POLLIN && has_room(connection))
        connection_read(connection);
    else if (connection->watch.ready & POLLRDHUP)
        connection->has_ended = true; /* what it sent last finds no room, and never will: nobody reads the answer */
}

void connection_flush(struct connection *connection)
{
    while (connection->out.size > 0 && !connection->is_gone) {
        ssize_t count = send(connection->watch.fd, buffer_head(&connection->out), connection->out.size, MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0 && errno == EAGAIN)
            return;
        if (count < 0) {
            connection->is_gone = true;
            return;
        }
        buffer_consume(&connection->out, (size_t)count);
        connection->moved_ns = clock_boottime_ns();
    }
}

static void sink_write(void *argument, const void *data, size_t size)
{
    struct connection *connection = argument;

    if (!connection->is_gone)
        buffer_append(&connection->out, data, size);
}

static size_t sink_pending(const void *argument)
{
    const struct connection *connection = argument;

    return connection->out.size;
}

struct byte_sink connection_sink(struct connection *connection)
{
    return (struct byte_sink){.write = sink_write, .pending = sink_pending, .argument = connection};
}

void connection_fini(struct connection *connection)
{
    watch_close(&connection->watch);
    buffer_fini(&connection->in);
    buffer_fini(&connection->out);
}
