/* How a daemon's socket is published. Only for ipc*.c. */
#pragma once

#include <nng/nng.h>

#include "common/error.h"

/* Listens at DIR/NAME.GENERATION, for all users, and renames it to DIR/NAME. */
struct error *ipc_listen(nng_socket socket, const char *directory, const char *name, uint64_t generation)
    __attribute__((warn_unused_result));

/* May the peer of this user come in? Root and our own user always; allowed ends by 0, and may be NULL. */
bool ipc_is_allowed(uint32_t uid, uint32_t own_uid, const uint32_t *allowed);

/* The user of a connection's peer; UINT32_MAX, nobody, once it has gone. */
uint32_t ipc_peer_uid(nng_pipe pipe);
