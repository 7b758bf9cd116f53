/* SPDY/3.1's frames as bytes (SPDY Protocol, Draft 3.1, section 2.2 and 2.6). Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SPDY_VERSION = 3, SPDY_HEAD_SIZE = 8, SPDY_STREAM_MAX = 0x7fffffff };

enum spdy_type {
    SPDY_SYN_STREAM = 1,
    SPDY_SYN_REPLY = 2,
    SPDY_RST_STREAM = 3,
    SPDY_SETTINGS = 4,
    SPDY_PING = 6,
    SPDY_GOAWAY = 7,
    SPDY_HEADERS = 8,
    SPDY_WINDOW_UPDATE = 9,
};

enum { SPDY_FLAG_FIN = 1, SPDY_FLAG_UNIDIRECTIONAL = 2 };

enum spdy_status { /* of RST_STREAM */
                   SPDY_PROTOCOL_ERROR = 1,
                   SPDY_INVALID_STREAM = 2,
                   SPDY_REFUSED_STREAM = 3,
                   SPDY_CANCEL = 5,
                   SPDY_FLOW_CONTROL_ERROR = 7,
                   SPDY_STREAM_ALREADY_CLOSED = 9,
};

enum { SPDY_GOAWAY_OK = 0, SPDY_GOAWAY_PROTOCOL_ERROR = 1 };
enum { SPDY_SETTING_INITIAL_WINDOW = 7 };

struct spdy_frame {
    bool is_control;
    uint16_t version; /* of a control frame */
    uint16_t type;    /* enum spdy_type, or one that is unknown */
    uint8_t flags;
    uint32_t length;    /* of what follows the head */
    uint32_t stream_id; /* of a data frame */
};

void spdy_frame_parse(const uint8_t head[SPDY_HEAD_SIZE], struct spdy_frame *ret);
void spdy_frame_format(const struct spdy_frame *frame, uint8_t head[SPDY_HEAD_SIZE]);

uint32_t spdy_number(const uint8_t *data); /* 4 bytes, big endian */
void spdy_number_format(uint32_t number, uint8_t *data);

/* A SETTINGS frame's value of that id. false: it is not there, or the payload is malformed. */
bool spdy_setting_find(const uint8_t *payload, size_t size, uint32_t id, uint32_t *ret);
