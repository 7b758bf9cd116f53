/* The beginning of a streaming client: a connection, a request, the head of the answer. */
#pragma once

#include <stdint.h>

enum { CLIENT_LIMIT_MS = 60000 }; /* a client that waits longer gives up */

/* Connects to a numeric IPv4 or IPv6 address; -1 where nobody listens. */
int tcp_dial(const char *host, uint16_t port);

/* Sends the request, and reads exactly the head of the answer, with its empty line; "" where the connection ends
 * before, or nothing comes. The caller frees it. Of a refusal, the body follows. */
char *http_ask(int fd, const char *request);

/* What comes until the connection ends, NUL-terminated; the caller frees it. */
char *http_rest(int fd);

int http_status(const char *head); /* 0: none */
