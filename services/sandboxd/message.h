/* CRI messages in and out of calls. */
#pragma once

#include "common/ipc.h"
#include "proto/cri.pb-c.h"

/* Packs an answer. */
void message_reply(const ProtobufCMessage *message, struct ipc_reply *reply);

/* The call's payload as a message of this type, or INVALID_ARGUMENT. Freed with protobuf_c_message_free_unpacked(). */
struct error *message_parse(const struct ipc_call *call, const ProtobufCMessageDescriptor *type, ProtobufCMessage **ret)
    __attribute__((warn_unused_result));
