/* A session's channels, whatever carries them: SPDY's streams, or the numbered channels of a WebSocket. */
#pragma once

#include <stdbool.h>

#include "common/error.h"
#include "services/criapi/stream/buffer.h"

/* A full channel's bytes wait in the connection, and with them all that came behind: a client without flow control
 * cannot be stopped otherwise. One that has it never fills a channel: its window is smaller. SESSION: of all channels.
 */
#ifdef BULKHEAD_FUZZ /* so that inputs of a few bytes get there */
enum { CHANNEL_IN_MAX = 96, SESSION_IN_MAX = 256 };
#else
enum { CHANNEL_IN_MAX = 128 << 10, SESSION_IN_MAX = 8 << 20 };
#endif
enum { CHANNEL_WINDOW = 64 << 10, CHANNELS_MAX = 2048 };

/* At most so many bytes of data wait for the client to read; what a protocol answers by itself comes on top. */
enum { TRANSPORT_OUT_MAX = 64 << 10 };

struct channel {
    uint32_t id;
    struct buffer in;       /* from the client, for its owner */
    bool is_ignored;        /* what comes is dropped */
    bool in_ended;          /* nothing more will come */
    bool out_ended;         /* nothing more may be sent */
    bool is_reset;          /* by the client; both of the above as well */
    int64_t window;         /* SPDY: bytes that may be sent, where the client does flow control */
    int64_t unacknowledged; /* SPDY: bytes consumed since the last WINDOW_UPDATE */
    struct channel *next;
};

/* What the client says a new channel is for; each may be "". The stream types are those of k8s.io/kubelet:
 * "error", "stdin", "stdout", "stderr", "resize", and "data" of a port-forward. */
struct channel_request {
    uint32_t id;
    const char *type;
    const char *port;
    const char *request_id;
};

struct transport;

/* The owner of the channels. `opened` takes a new one, or says why it is refused (then the channel is gone); it sends
 * nothing yet. */
struct channel_owner {
    struct error *(*opened)(void *argument, struct channel *channel, const struct channel_request *request);
    void *argument;
};

struct transport_functions {
    /* Takes bytes of the client. *ret_taken is less than size where a channel is full, or after the end. An error ends
     * the session; the transport has said its goodbye then. */
    struct error *(*feed)(struct transport *transport, const uint8_t *data, size_t size, size_t *ret_taken);
    bool (*is_full)(const struct transport *transport); /* feed would take nothing now */
    /* How many bytes the channel may send now; 0: wait. */
    size_t (*room)(const struct transport *transport, const struct channel *channel);
    void (*send)(struct transport *transport, struct channel *channel, const void *data, size_t size);
    void (*end)(struct transport *transport, struct channel *channel);   /* no more will be sent */
    void (*reset)(struct transport *transport, struct channel *channel); /* neither sent nor received */
    /* size bytes of channel->in have been used: drops them, and tells the client if it counts. */
    void (*consume)(struct transport *transport, struct channel *channel, size_t size);
    void (*release)(struct transport *transport, struct channel *channel); /* the owner forgets it; frees it */
    void (*goodbye)(struct transport *transport); /* the session is over; ends nothing by itself */
    void (*free)(struct transport *transport);
};

struct transport {
    const struct transport_functions *functions;
    struct channel *channels;
    size_t count;
    bool is_over; /* the client has said goodbye */
    size_t held;  /* bytes that feed has taken, and that wait inside for a channel: it is to be called again */
};

/* Where a transport writes to: the connection, or a WebSocket that it is tunnelled through. */
struct byte_sink {
    void (*write)(void *argument, const void *data, size_t size);
    size_t (*pending)(const void *argument); /* bytes that wait for the client to read */
    void *argument;
};

/* For transports: the list. */
struct channel *transport_channel_add(struct transport *transport, uint32_t id);
struct channel *transport_channel_find(const struct transport *transport, uint32_t id);
void transport_channel_remove(struct transport *transport, struct channel *channel);
void transport_channels_free(struct transport *transport);
