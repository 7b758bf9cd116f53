/* Exec, Attach and PortForward: each gives out a URL, of a session that the pod's shim knows from then on. */
#pragma once

#include "services/sandboxd/container.h"

/* Each: the caller frees *ret_url. INVALID_ARGUMENT and FAILED_PRECONDITION as the field has them, RESOURCE_EXHAUSTED
 * where STREAM_TOKENS_MAX URLs of the pod are out, UNAVAILABLE without a streaming server. */
struct error *stream_url_exec(struct container *container, const struct ipc_call *call,
                              const Runtime__V1__ExecRequest *request, char **ret_url)
    __attribute__((warn_unused_result));
struct error *stream_url_attach(struct container *container, const struct ipc_call *call,
                                const Runtime__V1__AttachRequest *request, char **ret_url)
    __attribute__((warn_unused_result));
struct error *stream_url_port_forward(struct pod *pod, const struct ipc_call *call, char **ret_url)
    __attribute__((warn_unused_result));
