/* What the kernel holds a container to: namespaces, cgroup, limits, devices, hidden paths, system calls. */
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
    if (json_object_size(value) > 0)
        json_object_set(object, key, value);
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

/* The same limit for memory with swap, so that a container does not swap. */
static json_t *memory_object(const Runtime__V1__LinuxContainerResources *resources, const struct spec_host *host)
{
    json_t *memory = json_object();

    set_number(memory, "limit", resources->memory_limit_in_bytes);
    if (host->has_swap_limit)
        set_number(memory, "swap", resources->memory_limit_in_bytes);
    return memory;
}

static json_t *unified_object(const Runtime__V1__LinuxContainerResources *resources)
{
    json_t *unified = json_object();

    for (size_t i = 0; i < resources->n_unified; i++)
        json_object_set_new(unified, resources->unified[i]->key, json_string(resources->unified[i]->value));
    return unified;
}

/* The runtime adds the devices that every container has (null, zero, tty and the like) to an empty list. */
static json_t *resources_object(const struct spec_input *input)
{
    const Runtime__V1__LinuxContainerResources *resources =
        input->config->linux ? input->config->linux->resources : NULL;
    json_t *object = json_object();

    json_object_set_new(object, "devices",
                        json_pack("[{sb ss}]", "allow", spec_is_privileged(input->config), "access", "rwm"));
    if (resources) {
        set_filled(object, "cpu", cpu_object(resources));
        set_filled(object, "memory", memory_object(resources, input->host));
        set_filled(object, "unified", unified_object(resources));
    }
    return object;
}

static json_t *devices_list(const struct spec_host *host)
{
    json_t *list = json_array();

    for (size_t i = 0; i < host->device_count; i++) {
        const struct spec_device *device = &host->devices[i];
        char type[2] = {device->type, '\0'};
        json_array_append_new(list, json_pack("{ss ss sI sI sI sI sI}", "path", device->path, "type", type, "major",
                                              (json_int_t)device->major, "minor", (json_int_t)device->minor, "fileMode",
                                              (json_int_t)device->mode, "uid", (json_int_t)device->uid, "gid",
                                              (json_int_t)device->gid));
    }
    return list;
}

static void confine(json_t *object, const Runtime__V1__LinuxContainerSecurityContext *context,
                    const struct capability_sets *capabilities)
{
    json_object_set_new(object, "maskedPaths", spec_strings(context->masked_paths, context->n_masked_paths));
    json_object_set_new(object, "readonlyPaths", spec_strings(context->readonly_paths, context->n_readonly_paths));
    if (seccomp_choose(context->seccomp, context->seccomp_profile_path) == SECCOMP_RUNTIME_DEFAULT)
        json_object_set_new(object, "seccomp", seccomp_runtime_default(capabilities->bounding));
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
    if (spec_is_privileged(input->config))
        json_object_set_new(object, "devices", devices_list(input->host));
    else if (context)
        confine(object, context, capabilities);
    *ret = object;
    return NULL;
}
