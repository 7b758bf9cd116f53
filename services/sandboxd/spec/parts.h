/* The parts of config.json, each built by a file of this folder and put together by spec.c. */
#pragma once

#include <jansson.h>

#include "common/memory.h"
#include "services/sandboxd/spec/capability.h"
#include "services/sandboxd/spec/spec.h"

/* May be NULL. */
static inline const Runtime__V1__LinuxContainerSecurityContext *spec_context(const Runtime__V1__ContainerConfig *config)
{
    return config->linux ? config->linux->security_context : NULL;
}

static inline bool spec_is_privileged(const Runtime__V1__ContainerConfig *config)
{
    return spec_context(config) && spec_context(config)->privileged;
}

static inline bool spec_text_is_set(const char *text)
{
    return text && text[0];
}

/* A list of strings. */
json_t *spec_strings(char *const *values, size_t count);

/* "process" */
struct error *spec_process_object(const struct spec_input *input, const struct capability_sets *capabilities,
                                  json_t **ret) __attribute__((warn_unused_result));

/* "mounts" */
json_t *spec_mounts_list(const struct spec_input *input);

/* A user namespace's root can make no device nodes. The runtimes bind the host's instead, but at the container's path of it; so
 * those that the container asks for are mounts. */
bool spec_devices_are_bound(const struct spec_input *input);

/* linux.rootfsPropagation: what lets the mounts' own propagation work; NULL: nothing. */
const char *spec_rootfs_propagation(const Runtime__V1__ContainerConfig *config);

/* Entries of "linux.namespaces" */
struct error *spec_namespaces_add(const struct spec_input *input, json_t *list) __attribute__((warn_unused_result));

/* "linux" */
struct error *spec_linux_object(const struct spec_input *input, const struct capability_sets *capabilities,
                                json_t **ret) __attribute__((warn_unused_result));

/* Members of "linux.resources": cpu, memory, hugepageLimits, unified. What is not set is taken out. */
void spec_resources_set(json_t *object, const Runtime__V1__LinuxContainerResources *resources, const struct spec_host *host);
