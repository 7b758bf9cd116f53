/* The methods that sandboxd answers; handlers.c has the table. */
#pragma once

#include "services/sandboxd/message.h"
#include "services/sandboxd/table.h"

/* Frees a parsed request at the end of its handler. */
static inline void request_free(ProtobufCMessage **message)
{
    protobuf_c_message_free_unpacked(*message, NULL);
}
#define auto_request __attribute__((cleanup(request_free))) ProtobufCMessage *

/* handlers_list.c: from memory. */
ipc_handler handle_list_pod_sandbox, handle_pod_sandbox_status, handle_list_containers, handle_container_status;

/* The packed status that the handlers answer with; the caller frees it. d->lock held. */
uint8_t *pod_status_pack(const struct pod *pod, size_t *ret_size);
uint8_t *container_status_pack(const struct container *container, size_t *ret_size);

/* handlers_node.c: of the node. */
ipc_handler handle_status, handle_runtime_config, handle_update_runtime_config;

/* handlers_stats.c */
ipc_handler handle_container_stats, handle_list_container_stats;

/* handlers_pod_stats.c */
ipc_handler handle_pod_sandbox_stats, handle_list_pod_sandbox_stats;

/* handlers_metrics.c */
ipc_handler handle_list_metric_descriptors, handle_list_pod_sandbox_metrics;
