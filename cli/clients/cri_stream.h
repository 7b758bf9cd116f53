/* A server-streaming gRPC call of a test's: its messages are read one by one, so that a test may also not read. */
#pragma once

#include "cli/clients/cri_client.h"

struct cri_stream;

/* Calls; the client must outlive the stream. timeout_ms below 0: no deadline. service as in cri_client_call(). */
struct error *cri_stream_open(struct cri_client *client, const char *service, const char *method, const void *request,
                              size_t size, int64_t timeout_ms, struct cri_stream **ret)
    __attribute__((warn_unused_result));

/* Cancels the call if it has not ended. NULL is fine. */
void cri_stream_close(struct cri_stream *stream);

/* Waits for the server's headers: DEADLINE_EXCEEDED after so long, and may be called again. When the call has ended without,
 * that is no error here, but the next message's. */
struct error *cri_stream_headers(struct cri_stream *stream, int64_t patience_ms) __attribute__((warn_unused_result));

/* The next message, freed by the caller; NULL at the end with OK, an error at one with another status. DEADLINE_EXCEEDED with
 * the text "no message" when none has come for so long: then it may be called again. */
struct error *cri_stream_next(struct cri_stream *stream, int64_t patience_ms, uint8_t **ret, size_t *ret_size)
    __attribute__((warn_unused_result));
