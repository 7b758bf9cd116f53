/* The thread that accepts connections and hands over those that speak HTTP/2. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

enum {
    ACCEPTOR_IDLE_MS = 10000,        /* how long a connection may keep silent before its first 24 bytes */
    ACCEPTOR_CONNECTIONS_MAX = 1024, /* accepted and open; more are closed at once */
    ACCEPTOR_UNPROVEN_MAX = 256,     /* of them, those that have said nothing yet; the oldest gives way */
};

struct acceptor_options {
    int listen_fd;                             /* stays the caller's; non-blocking, stream */
    int idle_ms;                               /* ACCEPTOR_IDLE_MS */
    void (*connected)(void *argument, int fd); /* owns fd; its first bytes are HTTP/2's preface. On the thread */
    void *argument;
};

struct acceptor;

/* Starts the thread. options are copied. */
struct error *acceptor_open(const struct acceptor_options *options, struct acceptor **ret)
    __attribute__((warn_unused_result));

/* Treats fd as if it had been accepted (the heartbeat's own connection). Owns fd. */
struct error *acceptor_add(struct acceptor *acceptor, int fd) __attribute__((warn_unused_result));

/* Ends the thread and closes what has not been handed over. NULL is fine. */
void acceptor_close(struct acceptor *acceptor);
