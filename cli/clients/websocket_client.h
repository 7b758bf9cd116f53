/* A WebSocket client, which frames by itself, so that it can break the rules. Blocking; a call that waits for more than a
 * minute, or meets what it does not expect, fails a test by abort(), and ends a lenient client's connection. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum websocket_opcode {
    WEBSOCKET_CONTINUATION = 0,
    WEBSOCKET_TEXT = 1,
    WEBSOCKET_BINARY = 2,
    WEBSOCKET_CLOSE = 8,
    WEBSOCKET_PING = 9,
    WEBSOCKET_PONG = 10,
};

struct websocket_client;

/* GET PATH of 127.0.0.1, with Sec-WebSocket-Protocol: protocol (NULL: none). *ret_status is HTTP's; NULL where it is not
 * 101. */
struct websocket_client *websocket_client_open(uint16_t port, const char *path, const char *protocol, int *ret_status);
void websocket_client_free(struct websocket_client *client); /* closes the connection, without a word */

/* The same on a connection that is there; the client closes it, also where it returns NULL. */
struct websocket_client *websocket_client_open_on(int fd, const char *path, const char *protocol, int *ret_status);

/* From here on the unexpected is the end of the connection; websocket_client_failure() says what it was (NULL: nothing). */
void websocket_client_be_lenient(struct websocket_client *client);
const char *websocket_client_failure(const struct websocket_client *client);

const char *websocket_client_protocol(const struct websocket_client *client); /* agreed on, "" for none */

/* One frame, masked as it must be, or not. */
void websocket_client_frame(struct websocket_client *client, enum websocket_opcode opcode, bool is_last, bool is_masked,
                            const void *data, size_t size);

/* A message on a channel, binary or, if the protocol is a base64 one, text. */
void websocket_client_send(struct websocket_client *client, uint8_t channel, const void *data, size_t size);
void websocket_client_end(struct websocket_client *client, uint8_t channel); /* v5's CLOSE */

/* Reads one message of data; what comes with it on a channel is collected. Pongs and the close are noted. false: the
 * end. */
bool websocket_client_read(struct websocket_client *client);

/* Reads to the end of the connection: what came on that channel, NUL-terminated, the client's memory. */
const char *websocket_client_all(struct websocket_client *client, uint8_t channel, size_t *ret_size);
const char *websocket_client_wait(struct websocket_client *client, uint8_t channel, size_t size);
size_t websocket_client_received(const struct websocket_client *client, uint8_t channel);

/* The close code that has come, 0: none; how many pongs. */
int websocket_client_close_code(const struct websocket_client *client);
unsigned websocket_client_pongs(const struct websocket_client *client);

/* Plain bytes in binary messages, for SPDY inside (spdy_carrier). */
size_t websocket_client_raw_read(void *client, void *data, size_t room);
void websocket_client_raw_write(void *client, const void *data, size_t size);

int websocket_client_fd(const struct websocket_client *client);
