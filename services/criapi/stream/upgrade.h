/* Which protocol a request gets, or which refusal (k8s.io/streaming: httpstream.Handshake, wsstream). Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/stream_protocol.h"
#include "services/criapi/stream/http_head.h"

enum upgrade_transport {
    UPGRADE_NONE, /* refused: `answer` says why */
    UPGRADE_SPDY,
    UPGRADE_WEBSOCKET, /* numbered channels */
    UPGRADE_TUNNEL,    /* SPDY in a WebSocket's messages */
};

enum { UPGRADE_PORTS_MAX = 100 };

struct upgrade {
    enum upgrade_transport transport;
    char *answer;                      /* 101, or the refusal; the caller frees it */
    bool has_status_json;              /* v4 and later */
    bool has_resize;                   /* v3 and later */
    bool is_base64;                    /* WebSocket: text messages */
    bool has_close;                    /* WebSocket: v5's message that ends a channel */
    uint16_t ports[UPGRADE_PORTS_MAX]; /* of a port-forward by a WebSocket's channels */
    size_t port_count;
};

/* is_websocket_request: the head asks for a WebSocket. Everything else is SPDY, or refused for not being it. */
void upgrade_decide(const struct http_head *head, enum stream_kind kind, struct upgrade *ret);
