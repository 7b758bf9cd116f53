/* Keeps a client's socket connected to the newest generation of a daemon. Only for ipc*.c. */
#pragma once

#include <nng/nng.h>

#include "common/error.h"

struct ipc_watch;

/* Starts a thread that dials DIR/sock whenever another socket has been renamed to it, and then calls redialled. */
struct error *ipc_watch_open(nng_socket socket, const char *directory, void (*redialled)(void *argument), void *argument,
                             struct ipc_watch **ret) __attribute__((warn_unused_result));
void ipc_watch_close(struct ipc_watch *watch);
