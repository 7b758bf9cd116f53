/* Frames to imaged. */
#pragma once

#include <stddef.h>

#include "common/error.h"
#include "services/imaged/fetch/protocol.h"

/* CANCELLED: imaged has gone. */
struct error *frame_send(int reply, enum fetch_frame_type type, const void *data, size_t size) __attribute__((warn_unused_result));

/* Sends the error, which stays the caller's. */
struct error *frame_send_error(int reply, const struct error *failure) __attribute__((warn_unused_result));
