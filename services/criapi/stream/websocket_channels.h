/* Numbered channels in a WebSocket's messages (k8s.io/streaming/pkg/httpstream/wsstream): a byte that says which, then
 * data. */
#pragma once

#include "services/criapi/stream/channels.h"
#include "services/criapi/stream/upgrade.h"

/* For exec and attach: the channels that flags (STREAM_STDIN, ...) ask for. The owner is told of all of them at once by
 * websocket_channels_open(). */
struct transport *websocket_channels_new(const struct byte_sink *sink, const struct channel_owner *owner,
                                         const struct upgrade *upgrade);

/* Opens the channels of an exec or attach, and says by an empty message that the session is there. */
void websocket_channels_open_remote(struct transport *transport, uint32_t flags);

/* Opens two channels for each port, each beginning with the port's number. */
void websocket_channels_open_ports(struct transport *transport, const uint16_t *ports, size_t count);
