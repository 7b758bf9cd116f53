/* The beginning of a streaming client: a connection, a request, the head of the answer. */
#pragma once

#include <stdint.h>

enum { CLIENT_LIMIT_MS = 60000 }; /* a client that waits longer fails its test */

int tcp_dial(uint16_t port); /* to 127.0.0.1 */

/* Sends the request, and reads exactly the head of the answer, with its empty line; "" where the connection ends
 * before. The caller frees it. Of a refusal, the body follows. */
char *http_ask(int fd, const char *request);

/* What comes until the connection ends, NUL-terminated; the caller frees it. */
char *http_rest(int fd);

int http_status(const char *head); /* 0: none */
