/* A SPDY/3.1 client, as kubectl's is: one request, streams, and what comes on each. Blocking; a call that waits for more
 * than a minute, or meets what it does not expect, fails a test by abort(), and ends a lenient client's connection. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct spdy_client;

/* Asks on 127.0.0.1 for the upgrade: POST PATH with X-Stream-Protocol-Version: versions. *ret_status is HTTP's; NULL where
 * it is not 101. */
struct spdy_client *spdy_client_open(uint16_t port, const char *path, const char *versions, int *ret_status);

/* The same on a connection that is there; the client closes it, also where it returns NULL. */
struct spdy_client *spdy_client_open_on(int fd, const char *path, const char *versions, int *ret_status);

/* From here on the unexpected is the end of the connection; spdy_client_failure() says what it was (NULL: nothing). */
void spdy_client_be_lenient(struct spdy_client *client);
const char *spdy_client_failure(const struct spdy_client *client);

/* The same over bytes that somebody else carries, as a WebSocket does: no HTTP. read returns 0 at the end. */
struct spdy_carrier {
    size_t (*read)(void *argument, void *data, size_t room);
    void (*write)(void *argument, const void *data, size_t size);
    void *argument;
};
struct spdy_client *spdy_client_over(const struct spdy_carrier *carrier);
void spdy_client_free(struct spdy_client *client); /* closes */

/* SYN_STREAM with names and values, NULL-terminated: "streamtype", "stdin", NULL. Waits for the answer; 0: refused by
 * RST_STREAM. */
uint32_t spdy_client_stream(struct spdy_client *client, const char *const *headers);

/* A stream by its type, or for a port-forward with port and request id. */
uint32_t spdy_client_stream_of(struct spdy_client *client, const char *type);
uint32_t spdy_client_stream_to(struct spdy_client *client, const char *type, uint16_t port, const char *request_id);

void spdy_client_send(struct spdy_client *client, uint32_t stream, const void *data, size_t size, bool is_last);
void spdy_client_reset(struct spdy_client *client, uint32_t stream);
void spdy_client_ping(struct spdy_client *client, uint32_t id); /* and waits for it to come back */

/* A control frame as it is. */
void spdy_client_control(struct spdy_client *client, uint16_t type, uint8_t flags, const void *payload, size_t size);
void spdy_client_bytes(struct spdy_client *client, const void *data, size_t size);

/* Reads one frame; false at the end of the connection. */
bool spdy_client_read(struct spdy_client *client);

/* Reads until the stream has ended (FIN or RST), or the connection: what came on it, NUL-terminated, the client's
 * memory. */
const char *spdy_client_all(struct spdy_client *client, uint32_t stream, size_t *ret_size);

/* Reads until so many bytes have come on the stream. */
const char *spdy_client_wait(struct spdy_client *client, uint32_t stream, size_t size);

size_t spdy_client_received(const struct spdy_client *client, uint32_t stream); /* bytes so far */
bool spdy_client_is_ended(const struct spdy_client *client, uint32_t stream);
uint32_t spdy_client_reset_status(const struct spdy_client *client, uint32_t stream); /* 0: not reset */
int spdy_client_goaway(const struct spdy_client *client); /* its status, -1: none has come */
uint64_t spdy_client_window_updates(const struct spdy_client *client, uint32_t stream); /* their sum */
int spdy_client_fd(const struct spdy_client *client);
