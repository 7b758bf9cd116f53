/* One short function per request that changes something: parse, do, answer. */
#include "services/sandboxd/handlers.h"

#include "services/sandboxd/container_create.h"
#include "services/sandboxd/container_exec.h"
#include "services/sandboxd/container_remove.h"
#include "services/sandboxd/container_start.h"
#include "services/sandboxd/container_stop.h"
#include "services/sandboxd/container_update.h"
#include "services/sandboxd/events.h"
#include "services/sandboxd/pod_run.h"
#include "services/sandboxd/pod_shim.h"
#include "services/sandboxd/pod_stop.h"
#include "services/sandboxd/pod_update.h"
#include "services/sandboxd/stream_url.h"

static struct error *handle_run_pod_sandbox(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    Runtime__V1__RunPodSandboxResponse response = RUNTIME__V1__RUN_POD_SANDBOX_RESPONSE__INIT;
    auto_request request = NULL;
    autofree char *id = NULL;

    TRY(message_parse(call, &runtime__v1__run_pod_sandbox_request__descriptor, &request));
    TRY(pod_run(state, call, (Runtime__V1__RunPodSandboxRequest *)request, &id));
    response.pod_sandbox_id = id;
    message_reply(&response.base, reply);
    return NULL;
}

static struct error *handle_stop_pod_sandbox(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    Runtime__V1__StopPodSandboxResponse response = RUNTIME__V1__STOP_POD_SANDBOX_RESPONSE__INIT;
    auto_request request = NULL;

    TRY(message_parse(call, &runtime__v1__stop_pod_sandbox_request__descriptor, &request));
    TRY(pod_stop(state, call, ((Runtime__V1__StopPodSandboxRequest *)request)->pod_sandbox_id));
    message_reply(&response.base, reply);
    return NULL;
}

static struct error *handle_remove_pod_sandbox(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    Runtime__V1__RemovePodSandboxResponse response = RUNTIME__V1__REMOVE_POD_SANDBOX_RESPONSE__INIT;
    auto_request request = NULL;

    TRY(message_parse(call, &runtime__v1__remove_pod_sandbox_request__descriptor, &request));
    TRY(pod_remove(state, call, ((Runtime__V1__RemovePodSandboxRequest *)request)->pod_sandbox_id));
    message_reply(&response.base, reply);
    return NULL;
}

static struct error *handle_create_container(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    Runtime__V1__CreateContainerResponse response = RUNTIME__V1__CREATE_CONTAINER_RESPONSE__INIT;
    auto_request request = NULL;
    autofree char *id = NULL;

    TRY(message_parse(call, &runtime__v1__create_container_request__descriptor, &request));
    TRY(container_run(state, call, (Runtime__V1__CreateContainerRequest *)request, &id));
    response.container_id = id;
    message_reply(&response.base, reply);
    return NULL;
}

static struct error *handle_start_container(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    Runtime__V1__StartContainerResponse response = RUNTIME__V1__START_CONTAINER_RESPONSE__INIT;
    auto_request request = NULL;
    auto_container container = NULL;

    TRY(message_parse(call, &runtime__v1__start_container_request__descriptor, &request));
    TRY(table_find_container(state, ((Runtime__V1__StartContainerRequest *)request)->container_id, &container));
    TRY(container_start(container, call));
    message_reply(&response.base, reply);
    return NULL;
}

/* A container that is not there is stopped. */
static struct error *stop_if_any(struct sandboxd *d, const struct ipc_call *call,
                                 const Runtime__V1__StopContainerRequest *request)
{
    auto_container container = NULL;
    struct error *error = table_find_container(d, request->container_id, &container);

    if (error && error->code == ERROR_NOT_FOUND) {
        error_free(error);
        return NULL;
    }
    TRY(error);
    return container_stop(container, call, request->timeout);
}

static struct error *handle_stop_container(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    Runtime__V1__StopContainerResponse response = RUNTIME__V1__STOP_CONTAINER_RESPONSE__INIT;
    auto_request request = NULL;

    TRY(message_parse(call, &runtime__v1__stop_container_request__descriptor, &request));
    TRY(stop_if_any(state, call, (Runtime__V1__StopContainerRequest *)request));
    message_reply(&response.base, reply);
    return NULL;
}

static struct error *handle_remove_container(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    Runtime__V1__RemoveContainerResponse response = RUNTIME__V1__REMOVE_CONTAINER_RESPONSE__INIT;
    auto_request request = NULL;

    TRY(message_parse(call, &runtime__v1__remove_container_request__descriptor, &request));
    TRY(container_remove(state, call, ((Runtime__V1__RemoveContainerRequest *)request)->container_id));
    message_reply(&response.base, reply);
    return NULL;
}

static struct error *handle_update_container_resources(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    Runtime__V1__UpdateContainerResourcesResponse response = RUNTIME__V1__UPDATE_CONTAINER_RESOURCES_RESPONSE__INIT;
    auto_request request = NULL;
    auto_container container = NULL;

    TRY(message_parse(call, &runtime__v1__update_container_resources_request__descriptor, &request));
    TRY(table_find_container(state, ((Runtime__V1__UpdateContainerResourcesRequest *)request)->container_id, &container));
    TRY(container_update(container, call, (Runtime__V1__UpdateContainerResourcesRequest *)request));
    message_reply(&response.base, reply);
    return NULL;
}

static struct error *handle_update_pod_sandbox_resources(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    Runtime__V1__UpdatePodSandboxResourcesResponse response = RUNTIME__V1__UPDATE_POD_SANDBOX_RESOURCES_RESPONSE__INIT;
    auto_request request = NULL;
    auto_pod pod = NULL;

    TRY(message_parse(call, &runtime__v1__update_pod_sandbox_resources_request__descriptor, &request));
    TRY(table_find_pod(state, ((Runtime__V1__UpdatePodSandboxResourcesRequest *)request)->pod_sandbox_id, &pod));
    TRY(pod_update(pod, (Runtime__V1__UpdatePodSandboxResourcesRequest *)request));
    message_reply(&response.base, reply);
    return NULL;
}

static struct error *handle_exec_sync(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    auto_request request = NULL;
    auto_container container = NULL;

    TRY(message_parse(call, &runtime__v1__exec_sync_request__descriptor, &request));
    TRY(table_find_container(state, ((Runtime__V1__ExecSyncRequest *)request)->container_id, &container));
    return container_exec_sync(container, call, (Runtime__V1__ExecSyncRequest *)request, reply);
}

static struct error *handle_exec(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    Runtime__V1__ExecResponse response = RUNTIME__V1__EXEC_RESPONSE__INIT;
    auto_request request = NULL;
    auto_container container = NULL;
    autofree char *url = NULL;

    TRY(message_parse(call, &runtime__v1__exec_request__descriptor, &request));
    TRY(table_find_container(state, ((Runtime__V1__ExecRequest *)request)->container_id, &container));
    TRY(stream_url_exec(container, call, (Runtime__V1__ExecRequest *)request, &url));
    response.url = url;
    message_reply(&response.base, reply);
    return NULL;
}

static struct error *handle_attach(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    Runtime__V1__AttachResponse response = RUNTIME__V1__ATTACH_RESPONSE__INIT;
    auto_request request = NULL;
    auto_container container = NULL;
    autofree char *url = NULL;

    TRY(message_parse(call, &runtime__v1__attach_request__descriptor, &request));
    TRY(table_find_container(state, ((Runtime__V1__AttachRequest *)request)->container_id, &container));
    TRY(stream_url_attach(container, call, (Runtime__V1__AttachRequest *)request, &url));
    response.url = url;
    message_reply(&response.base, reply);
    return NULL;
}

static struct error *handle_port_forward(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    Runtime__V1__PortForwardResponse response = RUNTIME__V1__PORT_FORWARD_RESPONSE__INIT;
    auto_request request = NULL;
    auto_pod pod = NULL;
    autofree char *url = NULL;

    TRY(message_parse(call, &runtime__v1__port_forward_request__descriptor, &request));
    TRY(table_find_pod(state, ((Runtime__V1__PortForwardRequest *)request)->pod_sandbox_id, &pod));
    TRY(stream_url_port_forward(pod, call, &url));
    response.url = url;
    message_reply(&response.base, reply);
    return NULL;
}

static struct error *handle_reopen_container_log(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    Runtime__V1__ReopenContainerLogResponse response = RUNTIME__V1__REOPEN_CONTAINER_LOG_RESPONSE__INIT;
    struct shim_patience patience = call_patience(call);
    auto_request request = NULL;
    auto_container container = NULL;

    TRY(message_parse(call, &runtime__v1__reopen_container_log_request__descriptor, &request));
    TRY(table_find_container(state, ((Runtime__V1__ReopenContainerLogRequest *)request)->container_id, &container));
    if (container_state_get(container) != CONTAINER_RUNNING)
        return error_new(ERROR_FAILED_PRECONDITION, "container \"%s\" is not running", container->record->id);
    TRY(container_reopen_log(container, &patience));
    message_reply(&response.base, reply);
    return NULL;
}

const struct ipc_method sandboxd_methods[] = {
    {"Status", handle_status},
    {"RuntimeConfig", handle_runtime_config},
    {"UpdateRuntimeConfig", handle_update_runtime_config},
    {"RunPodSandbox", handle_run_pod_sandbox},
    {"StopPodSandbox", handle_stop_pod_sandbox},
    {"RemovePodSandbox", handle_remove_pod_sandbox},
    {"PodSandboxStatus", handle_pod_sandbox_status},
    {"ListPodSandbox", handle_list_pod_sandbox},
    {"CreateContainer", handle_create_container},
    {"StartContainer", handle_start_container},
    {"StopContainer", handle_stop_container},
    {"RemoveContainer", handle_remove_container},
    {"ListContainers", handle_list_containers},
    {"ContainerStatus", handle_container_status},
    {"UpdateContainerResources", handle_update_container_resources},
    {"UpdatePodSandboxResources", handle_update_pod_sandbox_resources},
    {"ExecSync", handle_exec_sync},
    {"Exec", handle_exec},
    {"Attach", handle_attach},
    {"PortForward", handle_port_forward},
    {"ReopenContainerLog", handle_reopen_container_log},
    {"ContainerStats", handle_container_stats},
    {"ListContainerStats", handle_list_container_stats},
    {"PodSandboxStats", handle_pod_sandbox_stats},
    {"ListPodSandboxStats", handle_list_pod_sandbox_stats},
    {"ListMetricDescriptors", handle_list_metric_descriptors},
    {"ListPodSandboxMetrics", handle_list_pod_sandbox_metrics},
    {"EventSnapshot", handle_event_snapshot},
    {0},
};
