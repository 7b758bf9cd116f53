/* How bytes become messages. Fields that the schema lacks are ignored, and logged once. */
#include "services/sandboxd/message.h"

#include <stdatomic.h>

#include "common/log.h"
#include "common/memory.h"

void message_reply(const ProtobufCMessage *message, struct ipc_reply *reply)
{
    reply->size = protobuf_c_message_get_packed_size(message);
    reply->data = xmalloc(reply->size + 1);
    protobuf_c_message_pack(message, reply->data);
}

static void note_unknown(const ProtobufCMessage *message)
{
    static atomic_flag is_noted = ATOMIC_FLAG_INIT;

    if (message->n_unknown_fields && !atomic_flag_test_and_set(&is_noted))
        log_warn("a request has fields that this version does not know; they are ignored", "type=%s field=%u",
                 message->descriptor->name, message->unknown_fields[0].tag);
}

struct error *message_parse(const struct ipc_call *call, const ProtobufCMessageDescriptor *type, ProtobufCMessage **ret)
{
    *ret = protobuf_c_message_unpack(type, NULL, call->payload_size, call->payload);
    if (!*ret)
        return error_new(ERROR_INVALID_ARGUMENT, "the request is no %s", type->short_name);
    note_unknown(*ret);
    return NULL;
}
