/* What the kernel holds a container to: namespaces, cgroup, limits, devices, hidden paths, system calls. */
#include <string.h>

#include "services/sandboxd/spec/parts.h"
#include "services/sandboxd/spec/seccomp.h"

static void set_number(json_t *object, const char *key, int64_t value)
{
    if (value != 0)
        json_object_set_new(object, key, json_integer(value));
}

static void set_text(json_t *object, const char *key, const char *text)
{
    if (spec_text_is_set(text))
        json_object_set_new(object, key, json_string(text));
}

static void set_filled(json_t *object, const char *key, json_t *value)
{
    if (json_object_size(value) + json_array_size(value) > 0)
        json_object_set(object, key, value);
    else
        json_object_del(object, key);
    json_decref(value);
}

static json_t *cpu_object(const Runtime__V1__LinuxContainerResources *resources)
{
    json_t *cpu = json_object();

    set_number(cpu, "shares", resources->cpu_shares);
    set_number(cpu, "quota", resources->cpu_quota);
    set_number(cpu, "period", resources->cpu_period);
    set_text(cpu, "cpus", resources->cpuset_cpus);
    set_text(cpu, "mems", resources->cpuset_mems);
    return cpu;
}

/* Where no limit of memory with swap is asked for it is memory's own, so that a container does not swap. */
static json_t *memory_object(const Runtime__V1__LinuxContainerResources *resources, const struct spec_host *host)
{
    json_t *memory = json_object();
    int64_t swap = resources->memory_swap_limit_in_bytes;

    set_number(memory, "limit", resources->memory_limit_in_bytes);
    if (host->has_swap_limit)
        set_number(memory, "swap", swap ? swap : resources->memory_limit_in_bytes);
    return memory;
}

/* The kubelet names each page size; without the controller only limits of 0 come this far, and there is none to set. */
static json_t *hugepage_list(const Runtime__V1__LinuxContainerResources *resources, const struct spec_host *host)
{
    json_t *list = json_array();

    for (size_t i = 0; host->has_hugetlb && i < resources->n_hugepage_limits; i++) {
        const Runtime__V1__HugepageLimit *page = resources->hugepage_limits[i];
        json_int_t limit = page->limit > INT64_MAX ? INT64_MAX : (json_int_t)page->limit;
        json_array_append_new(list, json_pack("{ss sI}", "pageSize", page->page_size, "limit", limit));
    }
    return list;
}

static json_t *unified_object(const Runtime__V1__LinuxContainerResources *resources)
{
    json_t *unified = json_object();

    for (size_t i = 0; i < resources->n_unified; i++)
        json_object_set_new(unified, resources->unified[i]->key, json_string(resources->unified[i]->value));
    return unified;
}

/* Rules of the devices cgroup, the last that fits counts. The runtime adds the devices that every container has (null, zero,
 * tty and the like). */
static json_t *device_rules(const struct spec_input *input)
{
    json_t *list = json_pack("[{sb ss}]", "allow", spec_is_privileged(input->config), "access", "rwm");
    const struct spec_found *found = input->found;

    for (size_t i = 0; found && i < found->device_count; i++) {
        const struct spec_device *device = &found->devices[i];
        char type[2] = {device->type, '\0'};
        if (device->type == 'p')
            continue;
        json_array_append_new(list, json_pack("{sb ss sI sI ss}", "allow", 1, "type", type, "major",
                                              (json_int_t)device->major, "minor", (json_int_t)device->minor, "access",
                                              device->access ? device->access : "rwm"));
    }
    return list;
}

void spec_resources_set(json_t *object, const Runtime__V1__LinuxContainerResources *resources, const struct spec_host *host)
{
    set_filled(object, "cpu", cpu_object(resources));
    set_filled(object, "memory", memory_object(resources, host));
    set_filled(object, "hugepageLimits", hugepage_list(resources, host));
    set_filled(object, "unified", unified_object(resources));
}

static json_t *resources_object(const struct spec_input *input)
{
    const Runtime__V1__LinuxContainerResources *resources =
        input->config->linux ? input->config->linux->resources : NULL;
    json_t *object = json_object();

    json_object_set_new(object, "devices", device_rules(input));
    if (resources)
        spec_resources_set(object, resources, input->host);
    return object;
}

static json_t *device_object(const struct spec_device *device)
{
    char type[2] = {device->type, '\0'};

    return json_pack("{ss ss sI sI sI sI sI}", "path", device->path, "type", type, "major", (json_int_t)device->major,
                     "minor", (json_int_t)device->minor, "fileMode", (json_int_t)device->mode, "uid",
                     (json_int_t)device->uid, "gid", (json_int_t)device->gid);
}

static bool devices_have(const struct spec_found *found, const char *path)
{
    for (size_t i = 0; found && i < found->device_count; i++)
        if (strcmp(found->devices[i].path, path) == 0)
            return true;
    return false;
}

/* A privileged container has all of the host's, but where it asks for another at that path. */
static json_t *devices_list(const struct spec_input *input)
{
    const struct spec_host *host = input->host;
    json_t *list = json_array();

    for (size_t i = 0; spec_is_privileged(input->config) && i < host->device_count; i++)
        if (!devices_have(input->found, host->devices[i].path))
            json_array_append_new(list, device_object(&host->devices[i]));
    for (size_t i = 0; input->found && !spec_devices_are_bound(input) && i < input->found->device_count; i++)
        json_array_append_new(list, device_object(&input->found->devices[i]));
    return list;
}

static void confine(json_t *object, const Runtime__V1__LinuxContainerSecurityContext *context,
                    const struct capability_sets *capabilities)
{
    json_object_set_new(object, "maskedPaths", spec_strings(context->masked_paths, context->n_masked_paths));
    json_object_set_new(object, "readonlyPaths", spec_strings(context->readonly_paths, context->n_readonly_paths));
    if (seccomp_choose(context->seccomp, context->seccomp_profile_path, NULL) == SECCOMP_RUNTIME_DEFAULT)
        json_object_set_new(object, "seccomp", seccomp_runtime_default(capabilities->bounding));
}

/* The Localhost profile. A container that asks for one and gets none must not run without. */
static struct error *confine_by_profile(json_t *object, const struct spec_input *input, const struct capability_sets *capabilities)
{
    const struct spec_found *found = input->found;
    const char *path = spec_seccomp_localhost(input->config);
    json_t *profile = NULL;

    if (!path)
        return NULL;
    if (!found || !found->seccomp_text)
        return error_new(ERROR_INTERNAL, "seccomp: profile %s was not read", path);
    TRY_TO(seccomp_profile_translate(found->seccomp_text, found->seccomp_size, capabilities->bounding,
                                     input->host->kernel_version, &profile),
           "seccomp: profile %s", found->seccomp_path);
    json_object_set_new(object, "seccomp", profile);
    return NULL;
}

const char *spec_seccomp_localhost(const Runtime__V1__ContainerConfig *config)
{
    const Runtime__V1__LinuxContainerSecurityContext *context = spec_context(config);
    const char *path = NULL;

    if (context && !context->privileged)
        seccomp_choose(context->seccomp, context->seccomp_profile_path, &path);
    return path;
}

static json_t *mapping_list(uint32_t first, uint32_t count)
{
    return json_pack("[{sI sI sI}]", "containerID", (json_int_t)0, "hostID", (json_int_t)first, "size", (json_int_t)count);
}

/* Both runtimes want them beside the namespace's path. */
static void add_mappings(json_t *object, const Runtime__V1__PodSandboxConfig *pod_config)
{
    struct spec_user_map map;

    if (!spec_user_map(pod_config, &map))
        return;
    json_object_set_new(object, "uidMappings", mapping_list(map.uid_first, map.uid_count));
    json_object_set_new(object, "gidMappings", mapping_list(map.gid_first, map.gid_count));
}

struct error *spec_linux_object(const struct spec_input *input, const struct capability_sets *capabilities,
                                json_t **ret)
{
    const Runtime__V1__LinuxContainerSecurityContext *context = spec_context(input->config);
    json_t *namespaces = json_array();
    struct error *failure = spec_namespaces_add(input, namespaces);

    if (failure) {
        json_decref(namespaces);
        return failure;
    }
    json_t *object = json_pack("{so ss so}", "resources", resources_object(input), "cgroupsPath", input->cgroups_path,
                               "namespaces", namespaces);
    set_filled(object, "devices", devices_list(input));
    add_mappings(object, input->pod_config);
    if (spec_rootfs_propagation(input->config))
        json_object_set_new(object, "rootfsPropagation", json_string(spec_rootfs_propagation(input->config)));
    if (context && !context->privileged)
        confine(object, context, capabilities);
    failure = confine_by_profile(object, input, capabilities);
    if (failure)
        json_decref(object);
    else
        *ret = object;
    return failure;
}
