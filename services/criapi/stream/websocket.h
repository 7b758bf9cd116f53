/* A WebSocket as its server: messages of the client, whole or in pieces, and messages to it. Framing is libwslay's. */
#pragma once

#include <stdbool.h>

#include "services/criapi/stream/channels.h"

/* What is done with the client's messages; each may come in many pieces, of 4 KiB at most. */
struct websocket_receiver {
    void (*begin)(void *argument);
    bool (*data)(void *argument, const uint8_t *data,
                 size_t size);             /* false: the payload is invalid (close code 1007) */
    bool (*end)(void *argument);           /* the same */
    bool (*is_full)(const void *argument); /* read no further for now */
    void *argument;
};

struct websocket;

struct websocket *websocket_new(const struct byte_sink *sink, const struct websocket_receiver *receiver);
void websocket_free(struct websocket *websocket);

/* As transport_functions.feed. */
struct error *websocket_feed(struct websocket *websocket, const uint8_t *data, size_t size, size_t *ret_taken)
    __attribute__((warn_unused_result));

void websocket_send(struct websocket *websocket, bool is_text, const void *data, size_t size);

/* The closing handshake's frame, code 1000; once. */
void websocket_close(struct websocket *websocket);

/* Has the client sent its closing frame? */
bool websocket_is_closed(const struct websocket *websocket);

size_t websocket_pending(const struct websocket *websocket);
