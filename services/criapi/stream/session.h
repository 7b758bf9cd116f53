/* One session from the accepted connection to its end. */
#pragma once

#include "common/config.h"

/* Serves the connection, which it takes over, until it is over; SIGTERM, which must be blocked, comes by signal_fd and
 * ends it with a word to the client. Returns NULL or what went wrong on our side. */
struct error *session_serve(const struct config *config, int connection, int signal_fd)
    __attribute__((warn_unused_result));
