/* One call of any kind, and how a typed one is written: for calls*.c. */
#pragma once

#include "cli/chaos/calls.h"
#include "common/memory.h"

/* Makes the call until it succeeds, cannot, or a minute is over. A failure of the expected code is recorded as an answer,
 * and returned. */
struct error *call_make(struct caller *caller, enum rpc rpc, const ProtobufCMessage *request, enum error_code expected,
                        uint8_t **ret_reply, size_t *ret_size) __attribute__((warn_unused_result));

/* CALL(caller, RPC_VERSION, &request, version_response, &reply) returns a failure, or sets reply, for ..._free_unpacked. */
#define CALL_EXPECTING(caller, rpc, request, expected, reply_type, ret)                                                \
    do {                                                                                                               \
        autofree uint8_t *bytes_ = NULL;                                                                               \
        size_t size_ = 0;                                                                                              \
        TRY(call_make(caller, rpc, &(request)->base, expected, &bytes_, &size_));                                      \
        *(ret) = runtime__v1__##reply_type##__unpack(NULL, size_, bytes_);                                             \
        if (!*(ret))                                                                                                   \
            return error_new(ERROR_INTERNAL, "the reply to %s does not parse", rpc_name(rpc));                         \
    } while (0)
#define CALL(caller, rpc, request, reply_type, ret) CALL_EXPECTING(caller, rpc, request, ERROR_OK, reply_type, ret)
