/* How a typed call becomes bytes, and when it is made again. */
#include "tests/support/workload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/memory.h"
#include "proto/cri.pb-c.h"
#include "cli/clients/cri_client.h"

enum { CALL_TIMEOUT_MS = 60000, EXIT_TIMEOUT_S = 30, PAUSE_US = 10000 };

static struct error *call(struct workload *work, const char *service, const char *method, const void *request,
                          uint8_t **ret_reply, size_t *ret_size)
{
    const ProtobufCMessage *message = request;
    size_t size = protobuf_c_message_get_packed_size(message);
    autofree uint8_t *bytes = xmalloc(size);
    int64_t end = clock_boottime_ns() + CALL_TIMEOUT_MS * INT64_C(1000000);

    protobuf_c_message_pack(message, bytes);
    for (;;) {
        struct error *error =
            cri_client_call(work->client, service, method, bytes, size, CALL_TIMEOUT_MS, ret_reply, ret_size);
        if (!error || error->code != ERROR_UNAVAILABLE || clock_boottime_ns() > end)
            return error ? error_wrap(error, "%s", method) : NULL;
        fprintf(stderr, "%s: UNAVAILABLE: %s\n", method, error->text);
        error_free(error);
        work->unavailable++;
        usleep(PAUSE_US);
    }
}

#define CALL(work, service, method, request, lower, ret)                                                               \
    do {                                                                                                               \
        uint8_t *reply_ = NULL;                                                                                        \
        size_t size_ = 0;                                                                                              \
        TRY(call(work, service, method, request, &reply_, &size_));                                                    \
        *(ret) = runtime__v1__##lower##__unpack(NULL, size_, reply_);                                                  \
        free(reply_);                                                                                                  \
        if (!*(ret))                                                                                                   \
            return error_new(ERROR_INTERNAL, "the reply to %s does not parse", method);                                \
    } while (0)

struct error *workload_pull(struct workload *work, const char *reference, char **ret_image)
{
    Runtime__V1__PullImageRequest request = RUNTIME__V1__PULL_IMAGE_REQUEST__INIT;
    Runtime__V1__ImageSpec image = RUNTIME__V1__IMAGE_SPEC__INIT;
    Runtime__V1__PullImageResponse *reply;

    image.image = (char *)reference;
    request.image = &image;
    CALL(work, "ImageService", "PullImage", &request, pull_image_response, &reply);
    *ret_image = xstrdup(reply->image_ref);
    runtime__v1__pull_image_response__free_unpacked(reply, NULL);
    return NULL;
}

struct error *workload_image_remove(struct workload *work, const char *reference)
{
    Runtime__V1__ImageSpec spec = RUNTIME__V1__IMAGE_SPEC__INIT;
    Runtime__V1__RemoveImageRequest request = RUNTIME__V1__REMOVE_IMAGE_REQUEST__INIT;
    Runtime__V1__RemoveImageResponse *reply;

    spec.image = (char *)reference;
    request.image = &spec;
    CALL(work, "ImageService", "RemoveImage", &request, remove_image_response, &reply);
    runtime__v1__remove_image_response__free_unpacked(reply, NULL);
    return NULL;
}

struct error *workload_pod_run(struct workload *work, const char *name, uint32_t attempt, bool host_network, const char *handler,
                               char **ret_pod)
{
    Runtime__V1__RunPodSandboxRequest request = RUNTIME__V1__RUN_POD_SANDBOX_REQUEST__INIT;
    Runtime__V1__PodSandboxConfig config = RUNTIME__V1__POD_SANDBOX_CONFIG__INIT;
    Runtime__V1__PodSandboxMetadata metadata = RUNTIME__V1__POD_SANDBOX_METADATA__INIT;
    Runtime__V1__LinuxPodSandboxConfig linux_config = RUNTIME__V1__LINUX_POD_SANDBOX_CONFIG__INIT;
    Runtime__V1__LinuxSandboxSecurityContext security = RUNTIME__V1__LINUX_SANDBOX_SECURITY_CONTEXT__INIT;
    Runtime__V1__NamespaceOption namespaces = RUNTIME__V1__NAMESPACE_OPTION__INIT;
    Runtime__V1__RunPodSandboxResponse *reply;
    autofree char *logs = xasprintf("%s/logs/%s", work->node->directory, name);
    autofree char *cgroup = node_cgroup_parent(work->node, name);

    metadata.name = metadata.uid = (char *)name;
    metadata.namespace_ = (char *)"test";
    metadata.attempt = attempt;
    namespaces.pid = RUNTIME__V1__NAMESPACE_MODE__CONTAINER;
    namespaces.network = host_network ? RUNTIME__V1__NAMESPACE_MODE__NODE : RUNTIME__V1__NAMESPACE_MODE__POD;
    security.namespace_options = &namespaces;
    linux_config.security_context = &security;
    linux_config.cgroup_parent = cgroup;
    config.metadata = &metadata;
    config.hostname = (char *)(host_network ? "" : name);
    config.log_directory = logs;
    config.linux = &linux_config;
    request.config = &config;
    request.runtime_handler = (char *)(handler ? handler : "");
    CALL(work, "RuntimeService", "RunPodSandbox", &request, run_pod_sandbox_response, &reply);
    *ret_pod = xstrdup(reply->pod_sandbox_id);
    runtime__v1__run_pod_sandbox_response__free_unpacked(reply, NULL);
    return NULL;
}

struct error *workload_pod_ip(struct workload *work, const char *pod, char **ret_ip)
{
    Runtime__V1__PodSandboxStatusRequest request = RUNTIME__V1__POD_SANDBOX_STATUS_REQUEST__INIT;
    Runtime__V1__PodSandboxStatusResponse *reply;

    request.pod_sandbox_id = (char *)pod;
    CALL(work, "RuntimeService", "PodSandboxStatus", &request, pod_sandbox_status_response, &reply);
    *ret_ip = xstrdup(reply->status && reply->status->network ? reply->status->network->ip : "");
    runtime__v1__pod_sandbox_status_response__free_unpacked(reply, NULL);
    return NULL;
}

static size_t command_length(const char *const *command)
{
    size_t length = 0;

    while (command && command[length])
        length++;
    return length;
}

struct error *workload_create(struct workload *work, const char *pod, bool host_network,
                              const struct workload_container *container, char **ret_id)
{
    Runtime__V1__CreateContainerRequest request = RUNTIME__V1__CREATE_CONTAINER_REQUEST__INIT;
    Runtime__V1__ContainerConfig config = RUNTIME__V1__CONTAINER_CONFIG__INIT;
    Runtime__V1__ContainerMetadata metadata = RUNTIME__V1__CONTAINER_METADATA__INIT;
    Runtime__V1__ImageSpec image = RUNTIME__V1__IMAGE_SPEC__INIT;
    Runtime__V1__PodSandboxConfig sandbox = RUNTIME__V1__POD_SANDBOX_CONFIG__INIT;
    Runtime__V1__LinuxContainerConfig linux_config = RUNTIME__V1__LINUX_CONTAINER_CONFIG__INIT;
    Runtime__V1__LinuxContainerSecurityContext security = RUNTIME__V1__LINUX_CONTAINER_SECURITY_CONTEXT__INIT;
    Runtime__V1__NamespaceOption namespaces = RUNTIME__V1__NAMESPACE_OPTION__INIT;
    Runtime__V1__CreateContainerResponse *reply;
    autofree char *log_path = xasprintf("%s.log", container->name);

    metadata.name = (char *)container->name;
    metadata.attempt = container->attempt;
    image.image = (char *)container->image;
    namespaces.pid = RUNTIME__V1__NAMESPACE_MODE__CONTAINER;
    namespaces.network = host_network ? RUNTIME__V1__NAMESPACE_MODE__NODE : RUNTIME__V1__NAMESPACE_MODE__POD;
    security.namespace_options = &namespaces;
    linux_config.security_context = &security;
    config.linux = &linux_config;
    config.metadata = &metadata;
    config.image = &image;
    config.command = (char **)container->command;
    config.n_command = command_length(container->command);
    config.log_path = log_path;
    config.tty = container->terminal;
    request.pod_sandbox_id = (char *)pod;
    request.config = &config;
    request.sandbox_config = &sandbox;
    CALL(work, "RuntimeService", "CreateContainer", &request, create_container_response, &reply);
    *ret_id = xstrdup(reply->container_id);
    runtime__v1__create_container_response__free_unpacked(reply, NULL);
    return NULL;
}

/* The calls whose request is one id, and whose reply is empty. */
#define ID_CALL(function, method, lower, upper, field)                                                                 \
    struct error *function(struct workload *work, const char *id)                                                      \
    {                                                                                                                  \
        Runtime__V1__##method##Request request = RUNTIME__V1__##upper##_REQUEST__INIT;                                 \
        Runtime__V1__##method##Response *reply;                                                                        \
                                                                                                                       \
        request.field = (char *)id;                                                                                    \
        CALL(work, "RuntimeService", #method, &request, lower##_response, &reply);                                     \
        runtime__v1__##lower##_response__free_unpacked(reply, NULL);                                                   \
        return NULL;                                                                                                   \
    }

ID_CALL(workload_start, StartContainer, start_container, START_CONTAINER, container_id)
ID_CALL(workload_remove, RemoveContainer, remove_container, REMOVE_CONTAINER, container_id)
ID_CALL(workload_reopen_log, ReopenContainerLog, reopen_container_log, REOPEN_CONTAINER_LOG, container_id)
ID_CALL(workload_pod_stop, StopPodSandbox, stop_pod_sandbox, STOP_POD_SANDBOX, pod_sandbox_id)
ID_CALL(workload_pod_remove, RemovePodSandbox, remove_pod_sandbox, REMOVE_POD_SANDBOX, pod_sandbox_id)

struct error *workload_stop(struct workload *work, const char *id, int64_t timeout_s)
{
    Runtime__V1__StopContainerRequest request = RUNTIME__V1__STOP_CONTAINER_REQUEST__INIT;
    Runtime__V1__StopContainerResponse *reply;

    request.container_id = (char *)id;
    request.timeout = timeout_s;
    CALL(work, "RuntimeService", "StopContainer", &request, stop_container_response, &reply);
    runtime__v1__stop_container_response__free_unpacked(reply, NULL);
    return NULL;
}

struct error *workload_status(struct workload *work, const char *id, struct workload_state *ret)
{
    Runtime__V1__ContainerStatusRequest request = RUNTIME__V1__CONTAINER_STATUS_REQUEST__INIT;
    Runtime__V1__ContainerStatusResponse *reply;

    request.container_id = (char *)id;
    CALL(work, "RuntimeService", "ContainerStatus", &request, container_status_response, &reply);
    *ret = (struct workload_state){.state = (int)reply->status->state,
                                   .exit_code = reply->status->exit_code,
                                   .started_at_ns = reply->status->started_at,
                                   .finished_at_ns = reply->status->finished_at};
    snprintf(ret->reason, sizeof(ret->reason), "%s", reply->status->reason);
    runtime__v1__container_status_response__free_unpacked(reply, NULL);
    return NULL;
}

struct error *workload_exec(struct workload *work, const char *id, const char *const *command, int *ret_code,
                            char **ret_output)
{
    Runtime__V1__ExecSyncRequest request = RUNTIME__V1__EXEC_SYNC_REQUEST__INIT;
    Runtime__V1__ExecSyncResponse *reply;

    request.container_id = (char *)id;
    request.cmd = (char **)command;
    request.n_cmd = command_length(command);
    request.timeout = 30;
    CALL(work, "RuntimeService", "ExecSync", &request, exec_sync_response, &reply);
    *ret_code = reply->exit_code;
    *ret_output = xstrndup((const char *)reply->stdout.data, reply->stdout.len);
    runtime__v1__exec_sync_response__free_unpacked(reply, NULL);
    return NULL;
}

struct error *workload_wait_exit(struct workload *work, const char *id, struct workload_state *ret)
{
    int64_t end = clock_boottime_ns() + EXIT_TIMEOUT_S * INT64_C(1000000000);

    for (;;) {
        TRY(workload_status(work, id, ret));
        if (ret->state == RUNTIME__V1__CONTAINER_STATE__CONTAINER_EXITED)
            return NULL;
        if (clock_boottime_ns() > end)
            return error_new(ERROR_DEADLINE_EXCEEDED, "container %s has not exited", id);
        usleep(PAUSE_US);
    }
}
