/* How one forwarded connection is made, carried and ended. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/memory.h"
#include "services/criapi/stream/forward.h"
#include "services/criapi/stream/relay.h"

static const struct transport_functions *functions_of(const struct forward *forward)
{
    return forward->work->transport->functions;
}

struct forward *forward_new(struct work *work, const char *request_id, uint32_t port, uint32_t serial)
{
    struct forward *forward = xcalloc(1, sizeof(*forward));

    forward->work = work;
    forward->request_id = xstrdup(request_id);
    forward->port = port;
    forward->serial = serial;
    forward->family = AF_INET;
    forward->socket.fd = -1;
    forward->channels_ns = clock_boottime_ns() + (int64_t)WORK_CHANNELS_S * 1000000000;
    return forward;
}

void forward_free(struct forward *forward)
{
    struct channel *channels[] = {forward->data, forward->error};

    for (size_t i = 0; i < 2; i++)
        if (channels[i])
            functions_of(forward)->release(forward->work->transport, channels[i]);
    watch_close(&forward->socket);
    free(forward->request_id);
    free(forward->ipv4_failure);
    free(forward->failure);
    free(forward);
}

/* The words are those that clients know from kubelet and containerd. */
void forward_fail(struct forward *forward, const char *why)
{
    if (forward->state >= FORWARD_FAILING)
        return;
    forward->failure =
        xasprintf("error forwarding port %u to pod %s, uid : %s", forward->port, forward->work->link->token.pod, why);
    forward->state = FORWARD_FAILING;
    watch_close(&forward->socket);
    if (forward->data)
        relay_ignore(forward->work->transport, forward->data);
}

/* ---- connecting ---- */

static void connect_failed(struct forward *forward, const char *why)
{
    watch_close(&forward->socket);
    if (forward->family == AF_INET) {
        forward->ipv4_failure = xstrdup(why);
        forward->family = AF_INET6;
        forward->state = FORWARD_ASKING;
        return;
    }
    autofree char *both = xasprintf("failed to connect to localhost:%u inside namespace %s, IPv4: %s, IPv6: %s",
                                    forward->port, forward->work->link->token.pod, forward->ipv4_failure, why);
    forward_fail(forward, both);
}

static void connect_ask(struct forward *forward)
{
    struct stream_message connect = {.type = STREAM_CONNECT,
                                     .kind = STREAM_PORT_FORWARD,
                                     .serial = forward->serial,
                                     .port = forward->port,
                                     .family = forward->family};

    if (shim_link_send(forward->work->link, &connect, NULL, 0))
        forward->state = FORWARD_ASKED;
}

void forward_message(struct forward *forward, struct shim_event *event)
{
    if (forward->state != FORWARD_ASKED)
        return;
    if (event->message.type == STREAM_CONNECTED && event->count == 1) {
        forward->socket.fd = event->fds[0];
        event->count = 0;
        forward->state = FORWARD_CONNECTING;
    } else if (event->message.type == STREAM_FAILED) {
        connect_failed(forward, event->message.text);
    }
}

static void connect_turn(struct forward *forward)
{
    int code = 0;
    socklen_t size = sizeof(code);

    if (!forward->socket.ready)
        return;
    if (getsockopt(forward->socket.fd, SOL_SOCKET, SO_ERROR, &code, &size) < 0)
        code = errno;
    if (code == 0)
        forward->state = FORWARD_OPEN;
    else
        connect_failed(forward, strerror(code));
}

/* ---- carrying ---- */

static void in_turn(struct forward *forward)
{
    if (forward->in_shut)
        return;
    enum relay relay = relay_in(forward->work->transport, forward->data, &forward->socket);
    if (relay == RELAY_OPEN)
        return;
    if (relay == RELAY_BROKEN && errno != EPIPE) {
        forward_fail(forward, strerror(errno));
        return;
    }
    relay_ignore(forward->work->transport, forward->data);
    shutdown(forward->socket.fd, SHUT_WR);
    forward->in_shut = true;
}

static void out_turn(struct forward *forward)
{
    if (forward->data->out_ended)
        return;
    enum relay relay = relay_out(forward->work->transport, forward->data, &forward->socket, NULL);
    if (relay == RELAY_BROKEN) {
        forward_fail(forward, strerror(errno));
    } else if (relay == RELAY_ENDED) {
        /* Clients close their end only when they have read the end of both. */
        functions_of(forward)->end(forward->work->transport, forward->data);
        functions_of(forward)->end(forward->work->transport, forward->error);
    }
}

static void open_turn(struct forward *forward)
{
    if (forward->data->is_reset) {
        forward->state = FORWARD_OVER;
        return;
    }
    in_turn(forward);
    if (forward->state == FORWARD_OPEN)
        out_turn(forward);
    if (forward->state == FORWARD_OPEN && forward->in_shut && forward->data->out_ended)
        forward->state = FORWARD_OVER;
    if (forward->state == FORWARD_OVER)
        functions_of(forward)->end(forward->work->transport, forward->error);
}

/* ---- turns ---- */

static void failing_turn(struct forward *forward)
{
    struct transport *transport = forward->work->transport;
    size_t length = strlen(forward->failure);

    if (forward->error && !forward->error->out_ended) {
        if (functions_of(forward)->room(transport, forward->error) < length)
            return;
        functions_of(forward)->send(transport, forward->error, forward->failure, length);
        functions_of(forward)->end(transport, forward->error);
    }
    forward->state = FORWARD_OVER;
}

static void channels_turn(struct forward *forward)
{
    if (forward->data && forward->error)
        forward->state = FORWARD_ASKING;
    else if (clock_boottime_ns() >= forward->channels_ns)
        forward_fail(forward, "timed out waiting for streams");
}

void forward_watch(struct forward *forward, struct poll_set *set)
{
    struct transport *transport = forward->work->transport;
    short events = 0;

    forward->socket.ready = 0;
    if (forward->state == FORWARD_CONNECTING)
        events = POLLOUT;
    if (forward->state == FORWARD_OPEN) {
        bool can_send = !forward->data->out_ended && functions_of(forward)->room(transport, forward->data) > 0;
        events = (can_send ? POLLIN : 0) | (forward->data->in.size > 0 && !forward->in_shut ? POLLOUT : 0);
    }
    if (events)
        poll_set_add(set, &forward->socket, events);
}

void forward_turn(struct forward *forward)
{
    if (forward->state == FORWARD_CHANNELS)
        channels_turn(forward);
    if (forward->state == FORWARD_CONNECTING)
        connect_turn(forward);
    if (forward->state == FORWARD_ASKING) /* perhaps once more, by the other family */
        connect_ask(forward);
    if (forward->state == FORWARD_OPEN)
        open_turn(forward);
    if (forward->state == FORWARD_FAILING)
        failing_turn(forward);
}
