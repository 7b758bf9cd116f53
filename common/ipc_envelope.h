/* The envelope of proto/bulkhead.proto in nng's messages. Only for ipc*.c. */
#pragma once

#include <nng/nng.h>

#include "common/error.h"
#include "common/ipc.h"
#include "proto/bulkhead.pb-c.h"

enum {
    IPC_VERSION = 1,
    IPC_ENVELOPE_SIZE = 4096, /* around a payload, at most: what nng accepts beyond it */
    IPC_REQUEST_HEX_SIZE = 2 * IPC_REQUEST_ID_SIZE + 1,
};

/* A request as bytes. RESOURCE_EXHAUSTED beyond IPC_MESSAGE_MAX. The caller frees the message. */
struct error *ipc_request_pack(const char *method, const uint8_t *id, int64_t deadline_ns, const void *payload,
                               size_t size, nng_msg **ret) __attribute__((warn_unused_result));

/* INVALID_ARGUMENT for what is no request. The caller frees it with bulkhead__request__free_unpacked(). */
struct error *ipc_request_unpack(nng_msg *message, Bulkhead__Request **ret) __attribute__((warn_unused_result));

/* The answer: the error if there is one, else the payload. What is too large becomes RESOURCE_EXHAUSTED. */
nng_msg *ipc_reply_pack(const struct error *error, const void *payload, size_t size);

/* Takes an answer apart: the daemon's error, or a copy of the payload that the caller frees. */
struct error *ipc_reply_unpack(nng_msg *message, uint8_t **ret_payload, size_t *ret_size)
    __attribute__((warn_unused_result));

/* An error from nng's number. */
struct error *ipc_error(int number, const char *what) __attribute__((warn_unused_result));

void ipc_request_id_format(const uint8_t *id, char hex[IPC_REQUEST_HEX_SIZE]);
