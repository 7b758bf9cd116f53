/* How a call and its answer are put into messages and taken out again. */
#include "common/ipc_envelope.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "common/clock.h"
#include "common/memory.h"

void ipc_request_id_new(uint8_t id[IPC_REQUEST_ID_SIZE])
{
    if (getrandom(id, IPC_REQUEST_ID_SIZE, 0) != IPC_REQUEST_ID_SIZE)
        abort(); /* cannot fail for so few bytes once the kernel has started */
}

void ipc_request_id_format(const uint8_t *id, char hex[IPC_REQUEST_HEX_SIZE])
{
    for (size_t i = 0; i < IPC_REQUEST_ID_SIZE; i++)
        snprintf(hex + 2 * i, 3, "%02x", id[i]);
}

bool ipc_call_is_over(const struct ipc_call *call)
{
    if (call->cancelled && atomic_load_explicit(call->cancelled, memory_order_relaxed))
        return true;
    return call->deadline_ns && clock_boottime_ns() >= call->deadline_ns;
}

struct error *ipc_error(int number, const char *what)
{
    enum error_code code = number == NNG_ETIMEDOUT ? ERROR_DEADLINE_EXCEEDED
                           : number == NNG_ENOMEM  ? ERROR_RESOURCE_EXHAUSTED
                           : number == NNG_EPERM   ? ERROR_PERMISSION_DENIED
                                                   : ERROR_UNAVAILABLE;

    return error_new(code, "%s: %s", what, nng_strerror(number));
}

static nng_msg *message_of_size(size_t size)
{
    nng_msg *message;

    if (nng_msg_alloc(&message, size) != 0)
        abort();
    return message;
}

struct error *ipc_request_pack(const char *method, const uint8_t *id, int64_t deadline_ns, const void *payload,
                               size_t size, nng_msg **ret)
{
    Bulkhead__Request request = BULKHEAD__REQUEST__INIT;

    if (size > IPC_MESSAGE_MAX)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "%s: a request of %zu bytes is larger than %d", method, size,
                         IPC_MESSAGE_MAX);
    request.version = IPC_VERSION;
    request.method = (char *)method;
    request.request_id = (ProtobufCBinaryData){IPC_REQUEST_ID_SIZE, (uint8_t *)id};
    request.deadline_ns = deadline_ns;
    request.payload = (ProtobufCBinaryData){size, (uint8_t *)payload};
    *ret = message_of_size(bulkhead__request__get_packed_size(&request));
    bulkhead__request__pack(&request, nng_msg_body(*ret));
    return NULL;
}

struct error *ipc_request_unpack(nng_msg *message, Bulkhead__Request **ret)
{
    Bulkhead__Request *request = bulkhead__request__unpack(NULL, nng_msg_len(message), nng_msg_body(message));

    if (!request)
        return error_new(ERROR_INVALID_ARGUMENT, "a message that is no request");
    if (request->version < 1 || request->request_id.len != IPC_REQUEST_ID_SIZE) {
        bulkhead__request__free_unpacked(request, NULL);
        return error_new(ERROR_INVALID_ARGUMENT, "a request without version or id");
    }
    *ret = request;
    return NULL;
}

nng_msg *ipc_reply_pack(const struct error *error, const void *payload, size_t size)
{
    Bulkhead__Reply reply = BULKHEAD__REPLY__INIT;

    reply.version = IPC_VERSION;
    if (error) {
        reply.code = error->code;
        reply.message = error->text;
    } else if (size > IPC_REPLY_MAX) {
        reply.code = ERROR_RESOURCE_EXHAUSTED;
        reply.message = (char *)"the answer is larger than a message may be";
    } else {
        reply.payload = (ProtobufCBinaryData){size, (uint8_t *)payload};
    }
    nng_msg *message = message_of_size(bulkhead__reply__get_packed_size(&reply));
    bulkhead__reply__pack(&reply, nng_msg_body(message));
    return message;
}

struct error *ipc_reply_unpack(nng_msg *message, uint8_t **ret_payload, size_t *ret_size)
{
    Bulkhead__Reply *reply = bulkhead__reply__unpack(NULL, nng_msg_len(message), nng_msg_body(message));
    struct error *error = NULL;

    if (!reply)
        return error_new(ERROR_INTERNAL, "a message that is no answer");
    if (reply->code != ERROR_OK) {
        error = error_new((enum error_code)reply->code, "%s", reply->message);
    } else {
        *ret_payload = xmemdup(reply->payload.data, reply->payload.len);
        *ret_size = reply->payload.len;
    }
    bulkhead__reply__free_unpacked(reply, NULL);
    return error;
}
