/* Which container configurations are taken. */
#include <string.h>

#include "services/sandboxd/cdi/cdi.h"
#include "services/sandboxd/spec/message.h"
#include "services/sandboxd/spec/path.h"
#include "services/sandboxd/spec/validate.h"

static struct error *propagation_check(const Runtime__V1__Mount *mount, const struct spec_host *host)
{
    Runtime__V1__MountPropagation propagation = mount->propagation;

    if (!protobuf_c_enum_descriptor_get_value(&runtime__v1__mount_propagation__descriptor, (int)propagation))
        return error_new(ERROR_INVALID_ARGUMENT, "propagation: %d is no propagation", (int)propagation);
    if (!mount->recursive_read_only)
        return NULL;
    if (!mount->readonly)
        return error_new(ERROR_INVALID_ARGUMENT, "recursive_read_only is set without readonly");
    if (propagation != RUNTIME__V1__MOUNT_PROPAGATION__PROPAGATION_PRIVATE)
        return error_new(ERROR_INVALID_ARGUMENT, "recursive_read_only is set with a propagation other than PROPAGATION_PRIVATE");
    if (!spec_has_recursive_read_only(host))
        return error_new(ERROR_FAILED_PRECONDITION, "recursive_read_only: this kernel is older than 5.12");
    return NULL;
}

/* The three that CRI names. */
static struct error *options_check(const Runtime__V1__Mount *mount)
{
    static const char *const known[] = {"noexec", "nodev", "nosuid"};

    for (size_t i = 0; i < mount->n_mount_options; i++) {
        bool is_known = false;
        for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++)
            is_known = is_known || strcmp(mount->mount_options[i], known[k]) == 0;
        if (!is_known)
            return error_new(ERROR_INVALID_ARGUMENT, "mount_options: \"%.100s\" is none of noexec, nodev, nosuid",
                             mount->mount_options[i]);
    }
    return NULL;
}

static struct error *mount_fields_check(const Runtime__V1__Mount *mount, const struct spec_host *host)
{
    TRY(propagation_check(mount, host));
    TRY(options_check(mount));
    /* Without SELinux there are no labels to set; the kubelet asks for them everywhere. */
    if (mount->selinux_relabel && host->has_selinux)
        return validate_unsupported("selinux_relabel");
    return NULL;
}

/* An image's files never change: kubelet asks for them read-only, and gets that whatever it asks. */
static struct error *image_check(const Runtime__V1__Mount *mount)
{
    if (spec_text_is_set(mount->host_path))
        return error_new(ERROR_INVALID_ARGUMENT, "image and host_path are both set");
    if (mount->propagation != RUNTIME__V1__MOUNT_PROPAGATION__PROPAGATION_PRIVATE)
        return error_new(ERROR_INVALID_ARGUMENT, "propagation: an image's is PROPAGATION_PRIVATE");
    if (path_is_absolute(mount->image_sub_path) || path_has_dotdot(mount->image_sub_path))
        return error_new(ERROR_INVALID_ARGUMENT, "image_sub_path \"%s\" is no path below the image's root", mount->image_sub_path);
    return NULL;
}

static struct error *source_check(const Runtime__V1__Mount *mount)
{
    if (spec_mount_is_image(mount))
        return image_check(mount);
    if (spec_text_is_set(mount->image_sub_path))
        return error_new(ERROR_INVALID_ARGUMENT, "image_sub_path is set without image");
    if (!spec_text_is_set(mount->host_path))
        return error_new(ERROR_INVALID_ARGUMENT, "host_path is missing");
    return validate_path("host_path", mount->host_path);
}

static struct error *mount_check(const Runtime__V1__Mount *mount, const Runtime__V1__PodSandboxConfig *pod_config,
                                 const struct spec_host *host)
{
    TRY(mount_fields_check(mount, host));
    TRY(validate_mount_mappings(mount, pod_config));
    if (!spec_text_is_set(mount->container_path))
        return error_new(ERROR_INVALID_ARGUMENT, "container_path is missing");
    TRY(validate_path("container_path", mount->container_path));
    TRY(source_check(mount));
    autofree char *clean = path_clean(mount->container_path);
    if (strcmp(clean, "/") == 0)
        return error_new(ERROR_INVALID_ARGUMENT, "container_path is the root directory");
    return NULL;
}

static struct error *mounts_check(const Runtime__V1__ContainerConfig *config, const Runtime__V1__PodSandboxConfig *pod_config,
                                  const struct spec_host *host)
{
    for (size_t i = 0; i < config->n_mounts; i++)
        TRY_TO(mount_check(config->mounts[i], pod_config, host), "mounts of %s", config->mounts[i]->container_path);
    return NULL;
}

static struct error *env_check(const Runtime__V1__KeyValue *env)
{
    if (!env->key[0] || strchr(env->key, '='))
        return error_new(ERROR_INVALID_ARGUMENT, "envs: \"%s\" is no variable's name", env->key);
    if (env->value.len > 0 && memchr(env->value.data, '\0', env->value.len))
        return error_new(ERROR_INVALID_ARGUMENT, "envs: the value of %s has a NUL in it", env->key);
    json_t *text = json_stringn((const char *)env->value.data, env->value.len);
    bool is_utf8 = text || env->value.len == 0;
    json_decref(text);
    return is_utf8 ? NULL : error_new(ERROR_INVALID_ARGUMENT, "envs: the value of %s is not UTF-8", env->key);
}

static struct error *log_path_check(const char *log_path, const Runtime__V1__PodSandboxConfig *pod_config)
{
    if (!log_path[0])
        return NULL;
    if (!spec_text_is_set(pod_config->log_directory))
        return error_new(ERROR_INVALID_ARGUMENT, "log_path is set, but the pod has no log_directory");
    if (path_is_absolute(log_path) || path_has_dotdot(log_path) || strlen(log_path) >= 4096)
        return error_new(ERROR_INVALID_ARGUMENT, "log_path \"%s\" leads out of the pod's log_directory", log_path);
    return NULL;
}

static struct error *paths_check(const char *field, char *const *paths, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!paths[i][0])
            return error_new(ERROR_INVALID_ARGUMENT, "%s has an empty path", field);
        TRY(validate_path(field, paths[i]));
    }
    return NULL;
}

static struct error *user_check(const Runtime__V1__LinuxContainerSecurityContext *context)
{
    bool has_name = spec_text_is_set(context->run_as_username);

    TRY(validate_id("run_as_user", context->run_as_user));
    TRY(validate_id("run_as_group", context->run_as_group));
    TRY(validate_ids("supplemental_groups", context->supplemental_groups, context->n_supplemental_groups));
    if (context->run_as_user && has_name)
        return error_new(ERROR_INVALID_ARGUMENT, "run_as_username and run_as_user are both set");
    if (context->run_as_group && !context->run_as_user && !has_name)
        return error_new(ERROR_INVALID_ARGUMENT, "run_as_group is set without run_as_user or run_as_username");
    if (has_name && strpbrk(context->run_as_username, ":\n"))
        return error_new(ERROR_INVALID_ARGUMENT, "run_as_username \"%s\" is no user's name", context->run_as_username);
    return validate_groups_policy(context->supplemental_groups_policy);
}

static struct error *privileged_check(const Runtime__V1__LinuxContainerSecurityContext *context,
                                      const Runtime__V1__PodSandboxConfig *pod_config)
{
    const Runtime__V1__LinuxSandboxSecurityContext *pod =
        pod_config->linux ? pod_config->linux->security_context : NULL;

    if (context->privileged && !(pod && pod->privileged))
        return error_new(ERROR_INVALID_ARGUMENT, "privileged: the pod is not privileged");
    return NULL;
}

static struct error *context_check(const Runtime__V1__LinuxContainerSecurityContext *context,
                                   const Runtime__V1__PodSandboxConfig *pod_config, const struct spec_host *host)
{
    struct capability_sets sets;

    TRY(capability_decide(context, host->bounding_capabilities, &sets));
    if (!context)
        return NULL;
    TRY(privileged_check(context, pod_config));
    TRY(validate_namespaces(context->namespace_options));
    TRY(validate_container_user_namespace(context->namespace_options, pod_config));
    TRY(validate_selinux(context->selinux_options, host));
    TRY(validate_apparmor(context->apparmor, context->apparmor_profile, host));
    TRY(validate_seccomp(context->seccomp, context->seccomp_profile_path));
    TRY(user_check(context));
    TRY(paths_check("masked_paths", context->masked_paths, context->n_masked_paths));
    return paths_check("readonly_paths", context->readonly_paths, context->n_readonly_paths);
}

static struct error *node_check(const char *field, Runtime__V1__NamespaceMode mode, Runtime__V1__NamespaceMode pod)
{
    if (mode == RUNTIME__V1__NAMESPACE_MODE__NODE && pod != RUNTIME__V1__NAMESPACE_MODE__NODE)
        return error_new(ERROR_INVALID_ARGUMENT, "namespace_options.%s is NODE, the pod's is not", field);
    return NULL;
}

static struct error *namespaces_check(const Runtime__V1__ContainerConfig *config,
                                      const Runtime__V1__PodSandboxConfig *pod_config)
{
    struct spec_namespaces own = spec_container_namespaces(config, pod_config);
    struct spec_namespaces pod = spec_pod_namespaces(pod_config);

    TRY(node_check("network", own.network, pod.network));
    TRY(node_check("pid", own.pid, pod.pid));
    return node_check("ipc", own.ipc, pod.ipc);
}

static struct error *device_check(const Runtime__V1__Device *device)
{
    if (!device->host_path[0])
        return error_new(ERROR_INVALID_ARGUMENT, "devices: host_path is missing");
    if (!device->container_path[0])
        return error_new(ERROR_INVALID_ARGUMENT, "devices: container_path is missing");
    TRY(validate_path("devices: host_path", device->host_path));
    TRY(validate_path("devices: container_path", device->container_path));
    if (device->permissions[strspn(device->permissions, "rwm")])
        return error_new(ERROR_INVALID_ARGUMENT, "devices: permissions \"%.20s\" are not of r, w and m", device->permissions);
    return NULL;
}

static struct error *devices_check(const Runtime__V1__ContainerConfig *config)
{
    for (size_t i = 0; i < config->n_devices; i++)
        TRY(device_check(config->devices[i]));
    for (size_t i = 0; i < config->n_cdi_devices; i++)
        if (!cdi_name_is_valid(config->cdi_devices[i]->name))
            return error_new(ERROR_INVALID_ARGUMENT, "CDI_devices: \"%.200s\" is not vendor/class=name",
                             config->cdi_devices[i]->name);
    return NULL;
}

static struct error *others_check(const Runtime__V1__ContainerConfig *config)
{
    if (!protobuf_c_enum_descriptor_get_value(&runtime__v1__signal__descriptor, config->stop_signal))
        return error_new(ERROR_INVALID_ARGUMENT, "stop_signal: %d is no signal", (int)config->stop_signal);
    if (config->windows)
        return validate_unsupported("windows");
    return NULL;
}

static struct error *metadata_check(const Runtime__V1__ContainerConfig *config)
{
    if (!config->metadata)
        return error_new(ERROR_INVALID_ARGUMENT, "metadata is missing");
    TRY(validate_name("metadata.name", config->metadata->name));
    if (!config->image || !spec_text_is_set(config->image->image))
        return error_new(ERROR_INVALID_ARGUMENT, "image is missing");
    return NULL;
}

struct error *spec_validate_container(const Runtime__V1__ContainerConfig *config,
                                      const Runtime__V1__PodSandboxConfig *pod_config, const struct spec_host *host)
{
    if (!config)
        return error_new(ERROR_INVALID_ARGUMENT, "config is missing");
    TRY(message_check_utf8(&config->base));
    TRY(metadata_check(config));
    TRY(others_check(config));
    TRY(devices_check(config));
    TRY(mounts_check(config, pod_config, host));
    for (size_t i = 0; i < config->n_envs; i++)
        TRY(env_check(config->envs[i]));
    TRY(validate_path("working_dir", config->working_dir));
    TRY(log_path_check(config->log_path, pod_config));
    TRY(validate_resources(config->linux ? config->linux->resources : NULL, host));
    TRY(context_check(spec_context(config), pod_config, host));
    return namespaces_check(config, pod_config);
}
