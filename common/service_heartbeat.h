/* The heartbeat of a daemon. Only for service*.c. */
#pragma once

#include "common/service.h"

/* Starts a thread that says READY=1 and WATCHDOG=1 each second, after a Ping of this generation went through the socket in
 * directory; where directory is NULL, after ping(state). It runs as long as the process. */
struct error *service_heartbeat_start(const char *directory, uint64_t generation, struct error *(*ping)(void *state),
                                      void *state) __attribute__((warn_unused_result));
