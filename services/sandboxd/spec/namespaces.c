/* Which namespaces are the pod's, the container's own or the host's. */
#include "services/sandboxd/spec/parts.h"

static struct spec_namespaces modes_of(const Runtime__V1__NamespaceOption *option)
{
    if (!option)
        return (struct spec_namespaces){0};
    return (struct spec_namespaces){.network = option->network, .pid = option->pid, .ipc = option->ipc};
}

struct spec_namespaces spec_pod_namespaces(const Runtime__V1__PodSandboxConfig *config)
{
    const Runtime__V1__LinuxSandboxSecurityContext *context = config->linux ? config->linux->security_context : NULL;

    return modes_of(context ? context->namespace_options : NULL);
}

static Runtime__V1__NamespaceMode within(Runtime__V1__NamespaceMode mode, Runtime__V1__NamespaceMode pod)
{
    return mode == RUNTIME__V1__NAMESPACE_MODE__POD ? pod : mode;
}

struct spec_namespaces spec_container_namespaces(const Runtime__V1__ContainerConfig *config,
                                                 const Runtime__V1__PodSandboxConfig *pod_config)
{
    const Runtime__V1__LinuxContainerSecurityContext *context = spec_context(config);
    struct spec_namespaces own = modes_of(context ? context->namespace_options : NULL);
    struct spec_namespaces pod = spec_pod_namespaces(pod_config);

    return (struct spec_namespaces){
        .network = within(own.network, pod.network),
        .pid = within(own.pid, pod.pid),
        .ipc = within(own.ipc, pod.ipc),
    };
}

static void add(json_t *list, const char *type, const char *path)
{
    json_t *entry = json_pack("{ss}", "type", type);

    if (path)
        json_object_set_new(entry, "path", json_string(path));
    json_array_append_new(list, entry);
}

/* A missing namespace that is to be joined must never become the host's. path: the pod's, or the target's. */
static struct error *add_mode(json_t *list, const char *type, Runtime__V1__NamespaceMode mode, const char *path)
{
    bool is_own = mode == RUNTIME__V1__NAMESPACE_MODE__CONTAINER;

    if (mode == RUNTIME__V1__NAMESPACE_MODE__NODE)
        return NULL;
    if (!is_own && !path)
        return error_new(ERROR_INTERNAL, "the %s namespace to be joined is not known", type);
    add(list, type, is_own ? NULL : path);
    return NULL;
}

static char *fd_path(pid_t pid, int fd)
{
    return fd < 0 ? NULL : xasprintf("/proc/%d/fd/%d", (int)pid, fd);
}

struct error *spec_namespaces_add(const struct spec_input *input, json_t *list)
{
    struct spec_namespaces modes = spec_container_namespaces(input->config, input->pod_config);
    Runtime__V1__NamespaceMode pod_network = spec_pod_namespaces(input->pod_config).network;
    const struct spec_pod *pod = input->pod;
    bool has_target = modes.pid == RUNTIME__V1__NAMESPACE_MODE__TARGET;
    autofree char *pid = fd_path(pod->shim_pid, has_target ? pod->target_fd : pod->pid_fd), *ipc = fd_path(pod->shim_pid, pod->ipc_fd),
                  *uts = fd_path(pod->shim_pid, pod->uts_fd), *user = fd_path(pod->shim_pid, pod->user_fd);
    struct spec_user_map map;

    if (spec_user_map(input->pod_config, &map))
        TRY(add_mode(list, "user", RUNTIME__V1__NAMESPACE_MODE__POD, user));

    TRY(add_mode(list, "pid", modes.pid, pid));
    TRY(add_mode(list, "ipc", modes.ipc, ipc));
    TRY(add_mode(list, "uts", uts ? RUNTIME__V1__NAMESPACE_MODE__POD : pod_network, uts));
    TRY(add_mode(list, "network", modes.network, pod->netns_path));
    add(list, "mount", NULL);
    if (input->host->cgroup_version == 2 && !spec_is_privileged(input->config))
        add(list, "cgroup", NULL);
    return NULL;
}
