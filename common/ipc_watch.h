/* Keeps a client's socket connected to the newest generation of a daemon. Only for ipc*.c. */
#pragma once

#include <nng/nng.h>

#include "common/error.h"

struct ipc_watch;

/* Dials DIR/NAME ("sock", "events"), and starts a thread that ends the connection whenever another socket has been renamed to
 * it, so that nng connects to that one, and then calls renewed (may be NULL).
 * *ret is set in any case, and freed after the socket is closed. */
struct error *ipc_watch_open(nng_socket socket, const char *directory, const char *name,
                             void (*renewed)(void *argument), void *argument, struct ipc_watch **ret)
    __attribute__((warn_unused_result));

/* Ends the thread. The socket is closed next, and then the watch is freed: nng tells it of connections until then. */
void ipc_watch_stop(struct ipc_watch *watch);
void ipc_watch_free(struct ipc_watch *watch);
