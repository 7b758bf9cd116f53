/* The order of map entries. */
#include "services/sandboxd/canonical.h"

#include <stdlib.h>
#include <string.h>

#include "common/memory.h"

/* Every map<string, string> entry of protobuf-c has this shape. */
typedef Runtime__V1__PodSandboxConfig__LabelsEntry map_entry;

static int entry_compare(const void *left, const void *right)
{
    const map_entry *const *a = left, *const *b = right;
    int order = strcmp((*a)->key, (*b)->key);

    return order ? order : strcmp((*a)->value, (*b)->value);
}

static void map_sort(void *entries, size_t count)
{
    if (count > 1)
        qsort(entries, count, sizeof(map_entry *), entry_compare);
}

static void resources_sort(Runtime__V1__LinuxContainerResources *resources)
{
    if (resources)
        map_sort(resources->unified, resources->n_unified);
}

static uint8_t *pack(const ProtobufCMessage *message, size_t *ret_size)
{
    *ret_size = protobuf_c_message_get_packed_size(message);
    uint8_t *data = xmalloc(*ret_size + 1);
    protobuf_c_message_pack(message, data);
    return data;
}

uint8_t *canonical_pod_config(Runtime__V1__PodSandboxConfig *config, size_t *ret_size)
{
    map_sort(config->labels, config->n_labels);
    map_sort(config->annotations, config->n_annotations);
    if (config->linux) {
        map_sort(config->linux->sysctls, config->linux->n_sysctls);
        resources_sort(config->linux->overhead);
        resources_sort(config->linux->resources);
    }
    return pack(&config->base, ret_size);
}

uint8_t *canonical_container_config(Runtime__V1__ContainerConfig *config, size_t *ret_size)
{
    map_sort(config->labels, config->n_labels);
    map_sort(config->annotations, config->n_annotations);
    if (config->image)
        map_sort(config->image->annotations, config->image->n_annotations);
    if (config->linux)
        resources_sort(config->linux->resources);
    return pack(&config->base, ret_size);
}
