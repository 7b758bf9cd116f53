/* The listening socket of grpc.address, bound by the backstop, or by the keeper when nobody holds it any more. */
#pragma once

#include "common/error.h"

enum { LISTENER_BACKLOG = 4096 };

/* Binds address (mode 0660, root) by rename. ABORTED: a living process holds it, *ret_fd stays -1. */
struct error *listener_open(const char *address, int *ret_fd) __attribute__((warn_unused_result));
