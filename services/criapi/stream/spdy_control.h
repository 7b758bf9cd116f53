/* A SPDY session's state, and what is done with its control frames. Only for spdy_*.c. */
#pragma once

#include "services/criapi/stream/channels.h"
#include "services/criapi/stream/spdy_frame.h"
#include "services/criapi/stream/spdy_headers.h"

/* The clients of Kubernetes (moby/spdystream) neither send WINDOW_UPDATE nor heed it. So a window counts only once the
 * client has shown that it keeps one, by a SETTINGS with an initial window or a WINDOW_UPDATE; until then TCP alone
 * slows us down. Bytes sent before count against it all the same. */
struct spdy_session {
    struct transport transport;
    struct byte_sink sink;
    struct channel_owner owner;
    struct spdy_inflater inflater;
    struct spdy_deflater deflater;
    uint8_t head[SPDY_HEAD_SIZE];
    size_t head_size;
    struct spdy_frame frame; /* the one that is being read, once its head is whole */
    size_t frame_left;       /* bytes of it to come */
    bool in_frame;
    struct buffer control; /* of a control frame */
    struct channel *full;  /* the one that made us stop reading */
    size_t waiting;        /* bytes in all channels */
    uint32_t last_stream;  /* the client's highest */
    int64_t initial_window;
    int64_t window; /* of the whole session (3.1) */
    int64_t unacknowledged;
    bool has_windows, has_session_window;
    bool is_away; /* we have said so */
};

/* Does what a whole control frame, session->frame, asks for. An error ends the session. */
struct error *spdy_control(struct spdy_session *session, const uint8_t *payload, size_t size)
    __attribute__((warn_unused_result));

/* Writes a control frame; the next one, whose payload is two numbers; a RST_STREAM. */
void spdy_control_send(struct spdy_session *session, enum spdy_type type, uint8_t flags, const void *payload,
                       size_t size);
void spdy_control_send_two(struct spdy_session *session, enum spdy_type type, uint32_t first, uint32_t second);
void spdy_reset_send(struct spdy_session *session, uint32_t stream, enum spdy_status status);
