/* Checks that hold for any message, whatever its fields. */
#pragma once

#include <protobuf-c/protobuf-c.h>

#include "common/error.h"

/* INVALID_ARGUMENT names the first string field that is not UTF-8: JSON could not carry it. */
struct error *message_check_utf8(const ProtobufCMessage *message) __attribute__((warn_unused_result));
