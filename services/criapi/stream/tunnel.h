/* SPDY through a WebSocket: the bytes of one are the binary messages of the other (kubectl port-forward since 1.30). */
#pragma once

#include "services/criapi/stream/channels.h"

struct transport *tunnel_new(const struct byte_sink *sink, const struct channel_owner *owner);
