/* What kubelet writes into a pod's and a container's configuration. */
#include "tests/support/request.h"

#include "common/memory.h"
#include "cli/clients/cri_client.h"

enum { CALL_TIMEOUT_MS = 60000 };

void pod_request_init(struct pod_request *pod, const struct node *node, const char *name, bool host_network)
{
    *pod = (struct pod_request){.request = RUNTIME__V1__RUN_POD_SANDBOX_REQUEST__INIT,
                                .config = RUNTIME__V1__POD_SANDBOX_CONFIG__INIT,
                                .metadata = RUNTIME__V1__POD_SANDBOX_METADATA__INIT,
                                .dns = RUNTIME__V1__DNSCONFIG__INIT,
                                .system = RUNTIME__V1__LINUX_POD_SANDBOX_CONFIG__INIT,
                                .context = RUNTIME__V1__LINUX_SANDBOX_SECURITY_CONTEXT__INIT,
                                .namespaces = RUNTIME__V1__NAMESPACE_OPTION__INIT};
    pod->logs = xasprintf("%s/logs/%s", node->directory, name);
    pod->cgroup = node_cgroup_parent(node, name);
    pod->metadata.name = pod->metadata.uid = (char *)name;
    pod->metadata.namespace_ = (char *)"test";
    pod->namespaces.network = host_network ? RUNTIME__V1__NAMESPACE_MODE__NODE : RUNTIME__V1__NAMESPACE_MODE__POD;
    pod->namespaces.pid = RUNTIME__V1__NAMESPACE_MODE__CONTAINER;
    pod->context.namespace_options = &pod->namespaces;
    pod->system.security_context = &pod->context;
    pod->system.cgroup_parent = pod->cgroup;
    pod->config.metadata = &pod->metadata;
    pod->config.hostname = (char *)(host_network ? "" : name);
    pod->config.log_directory = pod->logs;
    pod->config.linux = &pod->system;
    pod->request.config = &pod->config;
}

void pod_request_fini(struct pod_request *pod)
{
    free(pod->logs);
    free(pod->cgroup);
}

static size_t command_length(const char *const *command)
{
    size_t length = 0;

    while (command && command[length])
        length++;
    return length;
}

void container_request_init(struct container_request *container, struct pod_request *pod, const char *pod_id,
                            const char *name, const char *image, const char *const *command)
{
    *container = (struct container_request){.request = RUNTIME__V1__CREATE_CONTAINER_REQUEST__INIT,
                                            .config = RUNTIME__V1__CONTAINER_CONFIG__INIT,
                                            .metadata = RUNTIME__V1__CONTAINER_METADATA__INIT,
                                            .image = RUNTIME__V1__IMAGE_SPEC__INIT,
                                            .system = RUNTIME__V1__LINUX_CONTAINER_CONFIG__INIT,
                                            .resources = RUNTIME__V1__LINUX_CONTAINER_RESOURCES__INIT,
                                            .context = RUNTIME__V1__LINUX_CONTAINER_SECURITY_CONTEXT__INIT,
                                            .namespaces = pod->namespaces,
                                            .capabilities = RUNTIME__V1__CAPABILITY__INIT};
    container->log_path = xasprintf("%s.log", name);
    container->metadata.name = (char *)name;
    container->image.image = (char *)image;
    container->context.namespace_options = &container->namespaces;
    container->context.capabilities = &container->capabilities;
    container->system.resources = &container->resources;
    container->system.security_context = &container->context;
    container->config.metadata = &container->metadata;
    container->config.image = &container->image;
    container->config.linux = &container->system;
    container->config.log_path = container->log_path;
    container->config.command = (char **)command;
    container->config.n_command = command_length(command);
    container->request.pod_sandbox_id = (char *)pod_id;
    container->request.config = &container->config;
    container->request.sandbox_config = &pod->config;
}

void container_request_fini(struct container_request *container)
{
    free(container->log_path);
}

struct error *pod_request_send(struct pod_request *pod, struct cri_client *client, char **ret_id)
{
    Runtime__V1__RunPodSandboxResponse *reply = NULL;

    TRY(CRI_CALL(client, "RuntimeService", "RunPodSandbox", &pod->request.base, CALL_TIMEOUT_MS,
                 run_pod_sandbox_response, &reply));
    *ret_id = xstrdup(reply->pod_sandbox_id);
    runtime__v1__run_pod_sandbox_response__free_unpacked(reply, NULL);
    return NULL;
}

struct error *container_request_send(struct container_request *container, struct cri_client *client, char **ret_id)
{
    Runtime__V1__CreateContainerResponse *reply = NULL;

    TRY(CRI_CALL(client, "RuntimeService", "CreateContainer", &container->request.base, CALL_TIMEOUT_MS,
                 create_container_response, &reply));
    *ret_id = xstrdup(reply->container_id);
    runtime__v1__create_container_response__free_unpacked(reply, NULL);
    return NULL;
}
