/* How each call of a pod's life becomes a message, and its reply an answer. */
#include "cli/chaos/calls.h"

#include <stdio.h>
#include <string.h>

#include "cli/chaos/call.h"

enum { EXEC_TIMEOUT_S = 60 };

static char label_key[] = "bulkhead.chaos";

/* ---- pods ---- */

static struct error *run_pod_send(struct caller *caller, const Runtime__V1__RunPodSandboxRequest *request, char **ret_pod)
{
    Runtime__V1__RunPodSandboxResponse *reply;

    CALL(caller, RPC_RUN_POD, request, run_pod_sandbox_response, &reply);
    *ret_pod = xstrdup(reply->pod_sandbox_id);
    runtime__v1__run_pod_sandbox_response__free_unpacked(reply, NULL);
    return NULL;
}

static Runtime__V1__NamespaceMode pids_of(bool is_shared)
{
    return is_shared ? RUNTIME__V1__NAMESPACE_MODE__POD : RUNTIME__V1__NAMESPACE_MODE__CONTAINER;
}

struct error *call_run_pod(struct caller *caller, const struct pod_plan *plan, char **ret_pod)
{
    Runtime__V1__RunPodSandboxRequest request = RUNTIME__V1__RUN_POD_SANDBOX_REQUEST__INIT;
    Runtime__V1__PodSandboxConfig config = RUNTIME__V1__POD_SANDBOX_CONFIG__INIT;
    Runtime__V1__PodSandboxMetadata metadata = RUNTIME__V1__POD_SANDBOX_METADATA__INIT;
    Runtime__V1__LinuxPodSandboxConfig linux_config = RUNTIME__V1__LINUX_POD_SANDBOX_CONFIG__INIT;
    Runtime__V1__LinuxSandboxSecurityContext security = RUNTIME__V1__LINUX_SANDBOX_SECURITY_CONTEXT__INIT;
    Runtime__V1__NamespaceOption namespaces = RUNTIME__V1__NAMESPACE_OPTION__INIT;
    Runtime__V1__PodSandboxConfig__LabelsEntry label = RUNTIME__V1__POD_SANDBOX_CONFIG__LABELS_ENTRY__INIT;
    Runtime__V1__PodSandboxConfig__LabelsEntry uid = RUNTIME__V1__POD_SANDBOX_CONFIG__LABELS_ENTRY__INIT;
    Runtime__V1__PodSandboxConfig__LabelsEntry *labels[] = {&label, &uid};

    label.key = label_key;
    label.value = caller->chaos->name;
    uid.key = (char *)"bulkhead.chaos.pod";
    uid.value = (char *)plan->name;
    metadata.name = metadata.uid = (char *)plan->name;
    metadata.namespace_ = (char *)"chaos";
    namespaces.pid = pids_of(plan->has_shared_pids);
    security.namespace_options = &namespaces;
    linux_config.security_context = &security;
    linux_config.cgroup_parent = caller->chaos->cgroup_parent;
    config.metadata = &metadata;
    config.hostname = (char *)plan->name;
    config.log_directory = (char *)plan->logs;
    config.labels = labels;
    config.n_labels = 2;
    config.linux = &linux_config;
    request.config = &config;
    request.runtime_handler = (char *)caller->chaos->options->handler;
    return run_pod_send(caller, &request, ret_pod);
}

struct error *call_pod_status(struct caller *caller, const char *pod, bool *ret_ready, char **ret_address)
{
    Runtime__V1__PodSandboxStatusRequest request = RUNTIME__V1__POD_SANDBOX_STATUS_REQUEST__INIT;
    Runtime__V1__PodSandboxStatusResponse *reply;

    request.pod_sandbox_id = (char *)pod;
    CALL(caller, RPC_POD_STATUS, &request, pod_sandbox_status_response, &reply);
    const Runtime__V1__PodSandboxStatus *status = reply->status;
    *ret_ready = status && status->state == RUNTIME__V1__POD_SANDBOX_STATE__SANDBOX_READY;
    *ret_address = xstrdup(status && status->network ? status->network->ip : "");
    runtime__v1__pod_sandbox_status_response__free_unpacked(reply, NULL);
    return NULL;
}

/* ---- containers ---- */

static struct error *create_send(struct caller *caller, const Runtime__V1__CreateContainerRequest *request, char **ret)
{
    Runtime__V1__CreateContainerResponse *reply;

    CALL(caller, RPC_CREATE, request, create_container_response, &reply);
    *ret = xstrdup(reply->container_id);
    runtime__v1__create_container_response__free_unpacked(reply, NULL);
    return NULL;
}

struct error *call_create(struct caller *caller, const char *pod, const struct pod_plan *pod_plan,
                          const struct container_plan *plan, char **ret_container)
{
    Runtime__V1__CreateContainerRequest request = RUNTIME__V1__CREATE_CONTAINER_REQUEST__INIT;
    Runtime__V1__ContainerConfig config = RUNTIME__V1__CONTAINER_CONFIG__INIT;
    Runtime__V1__ContainerMetadata metadata = RUNTIME__V1__CONTAINER_METADATA__INIT;
    Runtime__V1__ImageSpec image = RUNTIME__V1__IMAGE_SPEC__INIT;
    Runtime__V1__PodSandboxConfig sandbox = RUNTIME__V1__POD_SANDBOX_CONFIG__INIT;
    Runtime__V1__PodSandboxMetadata sandbox_metadata = RUNTIME__V1__POD_SANDBOX_METADATA__INIT;
    Runtime__V1__LinuxContainerConfig linux_config = RUNTIME__V1__LINUX_CONTAINER_CONFIG__INIT;
    Runtime__V1__LinuxContainerSecurityContext security = RUNTIME__V1__LINUX_CONTAINER_SECURITY_CONTEXT__INIT;
    Runtime__V1__NamespaceOption namespaces = RUNTIME__V1__NAMESPACE_OPTION__INIT;
    Runtime__V1__ContainerConfig__LabelsEntry label = RUNTIME__V1__CONTAINER_CONFIG__LABELS_ENTRY__INIT;
    Runtime__V1__ContainerConfig__LabelsEntry *labels[] = {&label};
    char *command[] = {(char *)"/bin/sh", (char *)"-c", (char *)plan->script};
    autofree char *log_path = xasprintf("%s.log", plan->name);

    label.key = label_key;
    label.value = caller->chaos->name;
    sandbox_metadata.name = sandbox_metadata.uid = (char *)pod_plan->name;
    sandbox_metadata.namespace_ = (char *)"chaos";
    sandbox.metadata = &sandbox_metadata;
    sandbox.log_directory = (char *)pod_plan->logs;
    metadata.name = (char *)plan->name;
    image.image = caller->chaos->image;
    namespaces.pid = pids_of(plan->has_shared_pids);
    security.namespace_options = &namespaces;
    linux_config.security_context = &security;
    config.linux = &linux_config;
    config.metadata = &metadata;
    config.image = &image;
    config.command = command;
    config.n_command = sizeof(command) / sizeof(command[0]);
    config.log_path = log_path;
    config.labels = labels;
    config.n_labels = 1;
    request.pod_sandbox_id = (char *)pod;
    request.config = &config;
    request.sandbox_config = &sandbox;
    return create_send(caller, &request, ret_container);
}

/* The calls whose request is one id, and whose reply is empty. */
#define ID_CALL(function, rpc, method, upper, lower, field)                                                            \
    struct error *function(struct caller *caller, const char *id)                                                      \
    {                                                                                                                  \
        Runtime__V1__##method##Request request = RUNTIME__V1__##upper##_REQUEST__INIT;                                 \
        Runtime__V1__##method##Response *reply;                                                                        \
                                                                                                                       \
        request.field = (char *)id;                                                                                    \
        CALL(caller, rpc, &request, lower##_response, &reply);                                                         \
        runtime__v1__##lower##_response__free_unpacked(reply, NULL);                                                   \
        return NULL;                                                                                                   \
    }

ID_CALL(call_stop_pod, RPC_STOP_POD, StopPodSandbox, STOP_POD_SANDBOX, stop_pod_sandbox, pod_sandbox_id)
ID_CALL(call_remove_pod, RPC_REMOVE_POD, RemovePodSandbox, REMOVE_POD_SANDBOX, remove_pod_sandbox, pod_sandbox_id)
ID_CALL(call_start, RPC_START, StartContainer, START_CONTAINER, start_container, container_id)
ID_CALL(call_remove, RPC_REMOVE, RemoveContainer, REMOVE_CONTAINER, remove_container, container_id)
ID_CALL(call_reopen_log, RPC_REOPEN_LOG, ReopenContainerLog, REOPEN_CONTAINER_LOG, reopen_container_log, container_id)

struct error *call_stop(struct caller *caller, const char *container, int64_t grace_s)
{
    Runtime__V1__StopContainerRequest request = RUNTIME__V1__STOP_CONTAINER_REQUEST__INIT;
    Runtime__V1__StopContainerResponse *reply;

    request.container_id = (char *)container;
    request.timeout = grace_s;
    CALL(caller, RPC_STOP, &request, stop_container_response, &reply);
    runtime__v1__stop_container_response__free_unpacked(reply, NULL);
    return NULL;
}

static struct error *status_send(struct caller *caller, const char *container, enum error_code expected,
                                 Runtime__V1__ContainerStatusResponse **ret)
{
    Runtime__V1__ContainerStatusRequest request = RUNTIME__V1__CONTAINER_STATUS_REQUEST__INIT;

    request.container_id = (char *)container;
    CALL_EXPECTING(caller, RPC_CONTAINER_STATUS, &request, expected, container_status_response, ret);
    if (*ret && (*ret)->status)
        return NULL;
    runtime__v1__container_status_response__free_unpacked(*ret, NULL);
    return error_new(ERROR_INTERNAL, "ContainerStatus without a status");
}

struct error *call_container_status(struct caller *caller, const char *container, struct container_state *ret)
{
    Runtime__V1__ContainerStatusResponse *reply;

    TRY(status_send(caller, container, ERROR_OK, &reply));
    *ret = (struct container_state){.state = reply->status->state,
                                    .exit_code = reply->status->exit_code,
                                    .started_at_ns = reply->status->started_at,
                                    .finished_at_ns = reply->status->finished_at};
    snprintf(ret->reason, sizeof(ret->reason), "%s", reply->status->reason);
    runtime__v1__container_status_response__free_unpacked(reply, NULL);
    return NULL;
}

struct error *call_container_is_gone(struct caller *caller, const char *container, bool *ret)
{
    Runtime__V1__ContainerStatusResponse *reply;
    struct error *error = status_send(caller, container, ERROR_NOT_FOUND, &reply);

    *ret = error && error->code == ERROR_NOT_FOUND;
    if (error && !*ret)
        return error;
    if (error)
        error_free(error);
    else
        runtime__v1__container_status_response__free_unpacked(reply, NULL);
    return NULL;
}

struct error *call_exec_sync(struct caller *caller, const char *container, const char *script, int *ret_code,
                             char **ret_output)
{
    Runtime__V1__ExecSyncRequest request = RUNTIME__V1__EXEC_SYNC_REQUEST__INIT;
    Runtime__V1__ExecSyncResponse *reply;
    char *command[] = {(char *)"/bin/sh", (char *)"-c", (char *)script};

    request.container_id = (char *)container;
    request.cmd = command;
    request.n_cmd = sizeof(command) / sizeof(command[0]);
    request.timeout = EXEC_TIMEOUT_S;
    CALL(caller, RPC_EXEC_SYNC, &request, exec_sync_response, &reply);
    *ret_code = reply->exit_code;
    *ret_output = xstrndup((const char *)reply->stdout.data, reply->stdout.len);
    runtime__v1__exec_sync_response__free_unpacked(reply, NULL);
    return NULL;
}

struct error *call_exec(struct caller *caller, const char *container, const char *script, char **ret_url)
{
    Runtime__V1__ExecRequest request = RUNTIME__V1__EXEC_REQUEST__INIT;
    Runtime__V1__ExecResponse *reply;
    char *command[] = {(char *)"/bin/sh", (char *)"-c", (char *)script};

    request.container_id = (char *)container;
    request.cmd = command;
    request.n_cmd = sizeof(command) / sizeof(command[0]);
    request.stdin = request.stdout = request.stderr = true;
    CALL(caller, RPC_EXEC, &request, exec_response, &reply);
    *ret_url = xstrdup(reply->url);
    runtime__v1__exec_response__free_unpacked(reply, NULL);
    return NULL;
}
