/* A SPDY/3.1 session as its server: streams that the client makes. */
#pragma once

#include "services/criapi/stream/channels.h"

/* Never fails. The sink and the owner are copied; what they point to must outlive the transport. */
struct transport *spdy_session_new(const struct byte_sink *sink, const struct channel_owner *owner);
