/* A CRI client, for chaos and tests: unary gRPC calls of raw bytes to a unix socket, and macros for typed ones. */
#pragma once

#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "common/error.h"
#include "common/memory.h"

struct cri_client;

/* A connection of its own to the socket at address (a path, or unix://path), made with the first call and made again
 * when it breaks. One client serves any number of threads. */
struct error *cri_client_open(const char *address, struct cri_client **ret) __attribute__((warn_unused_result));
/* The same, with another :authority than "localhost" in its calls. */
struct error *cri_client_open_as(const char *address, const char *authority, struct cri_client **ret)
    __attribute__((warn_unused_result));
void cri_client_close(struct cri_client *client);

/* One call. service: "RuntimeService" or "ImageService" of runtime.v1, or, if it has a dot, a full name. A status other
 * than OK is the error, with its code and text; no retries. The caller frees *ret_reply (never NULL after success). */
struct error *cri_client_call(struct cri_client *client, const char *service, const char *method, const void *request,
                              size_t size, int64_t timeout_ms, uint8_t **ret_reply, size_t *ret_size)
    __attribute__((warn_unused_result));

/* A call without a deadline that the client cancels after so long; returns how it ended, as above. */
struct error *cri_client_call_cancelled(struct cri_client *client, const char *service, const char *method,
                                        const void *request, size_t size, int64_t cancel_after_ms)
    __attribute__((warn_unused_result));

/* The call with a packed protobuf-c message; otherwise as cri_client_call. */
static inline struct error *cri_client_call_message(struct cri_client *client, const char *service, const char *method,
                                                    const ProtobufCMessage *request, int64_t timeout_ms,
                                                    uint8_t **ret_reply, size_t *ret_size)
{
    size_t size = protobuf_c_message_get_packed_size(request);
    autofree uint8_t *bytes = xmalloc(size + 1);

    protobuf_c_message_pack(request, bytes);
    return cri_client_call(client, service, method, bytes, size, timeout_ms, ret_reply, ret_size);
}

/* A typed call: CRI_CALL(client, "RuntimeService", "Version", &request.base, 1000, version_response, &reply) sets reply
 * to a Runtime__V1__VersionResponse *, freed by the caller with ...__free_unpacked. Its value is the error. */
#define CRI_CALL(client, service, method, request, timeout_ms, reply_type, ret)                                        \
    ({                                                                                                                 \
        uint8_t *bytes_ = NULL;                                                                                        \
        size_t size_ = 0;                                                                                              \
        struct error *failure_ =                                                                                       \
            cri_client_call_message(client, service, method, request, timeout_ms, &bytes_, &size_);                    \
        if (!failure_ && !(*(ret) = runtime__v1__##reply_type##__unpack(NULL, size_, bytes_)))                         \
            failure_ = error_new(ERROR_INTERNAL, "the reply to %s does not parse", method);                            \
        free(bytes_);                                                                                                  \
        failure_;                                                                                                      \
    })
