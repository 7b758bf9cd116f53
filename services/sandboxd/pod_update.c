/* Where a pod's own resources are kept, and how they are shown. */
#include "services/sandboxd/pod_update.h"

#include <stdlib.h>

#include "common/failpoint.h"
#include "common/memory.h"
#include "services/sandboxd/spec/message.h"
#include "services/sandboxd/spec/validate.h"

typedef Runtime__V1__LinuxContainerResources resources_message;

static ProtobufCBinaryData bytes_of(const resources_message *resources)
{
    ProtobufCBinaryData bytes = {0};

    if (!resources)
        return bytes;
    bytes.len = protobuf_c_message_get_packed_size(&resources->base);
    bytes.data = xmalloc(bytes.len + 1);
    protobuf_c_message_pack(&resources->base, bytes.data);
    return bytes;
}

/* Puts `fresh` in the place of what is there, if that is `expected` (NULL: whatever it is). Returns what the caller is to free. */
static Bulkhead__PodResources *resources_exchange(struct pod *pod, const Bulkhead__PodResources *expected,
                                                  Bulkhead__PodResources *fresh)
{
    pthread_mutex_lock(&pod->d->lock);
    Bulkhead__PodResources *before = pod->record->updated;
    bool is_as_expected = !expected || before == expected;
    if (is_as_expected)
        pod->record->updated = fresh;
    pthread_mutex_unlock(&pod->d->lock);
    return is_as_expected ? before : fresh; /* a later call has ours as what it takes the place of */
}

static void resources_free(Bulkhead__PodResources *resources)
{
    if (resources)
        bulkhead__pod_resources__free_unpacked(resources, NULL);
}

struct error *pod_update(struct pod *pod, const Runtime__V1__UpdatePodSandboxResourcesRequest *request)
{
    TRY(message_check_utf8(&request->base));
    TRY_TO(validate_resources(request->overhead, &pod->d->host), "overhead");
    TRY_TO(validate_resources(request->resources, &pod->d->host), "resources");
    if (pod_state_get(pod) != POD_READY)
        return error_new(ERROR_FAILED_PRECONDITION, "sandbox \"%s\" is not ready", pod->record->id);
    Bulkhead__PodResources *fresh = xmalloc(sizeof(*fresh));
    bulkhead__pod_resources__init(fresh);
    fresh->overhead = bytes_of(request->overhead);
    fresh->resources = bytes_of(request->resources);
    Bulkhead__PodResources *before = resources_exchange(pod, NULL, fresh);
    FAILPOINT("sandboxd.pod_update.before_save");
    struct error *error = pod_save(pod);
    FAILPOINT("sandboxd.pod_update.after_save");
    resources_free(error ? resources_exchange(pod, fresh, before) : before);
    return error;
}

/* --- shown ---------------------------------------------------------------------------------------------------------- */

static json_t *pages_show(const resources_message *resources)
{
    json_t *list = json_array();

    for (size_t i = 0; i < resources->n_hugepage_limits; i++)
        json_array_append_new(list, json_pack("{s:s, s:I}", "pageSize", resources->hugepage_limits[i]->page_size, "limit",
                                              (json_int_t)resources->hugepage_limits[i]->limit));
    return list;
}

static json_t *unified_show(const resources_message *resources)
{
    json_t *map = json_object();

    for (size_t i = 0; i < resources->n_unified; i++)
        json_object_set_new(map, resources->unified[i]->key, json_string(resources->unified[i]->value));
    return map;
}

/* In the names of protobuf's JSON. */
static json_t *resources_show(const resources_message *r)
{
    if (!r)
        return json_null();
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:s, s:o, s:o}", "cpuPeriod", (json_int_t)r->cpu_period, "cpuQuota",
                     (json_int_t)r->cpu_quota, "cpuShares", (json_int_t)r->cpu_shares, "memoryLimitInBytes",
                     (json_int_t)r->memory_limit_in_bytes, "memorySwapLimitInBytes", (json_int_t)r->memory_swap_limit_in_bytes,
                     "oomScoreAdj", (json_int_t)r->oom_score_adj, "cpusetCpus", r->cpuset_cpus, "cpusetMems", r->cpuset_mems,
                     "hugepageLimits", pages_show(r), "unified", unified_show(r));
}

/* Absent, or the last update's, or the configuration's. */
static json_t *bytes_show(const ProtobufCBinaryData *bytes)
{
    resources_message *resources =
        bytes->len ? runtime__v1__linux_container_resources__unpack(NULL, bytes->len, bytes->data) : NULL;
    json_t *shown = resources_show(resources);

    if (resources)
        runtime__v1__linux_container_resources__free_unpacked(resources, NULL);
    return shown;
}

json_t *pod_overhead_show(const struct pod *pod)
{
    if (pod->record->updated)
        return bytes_show(&pod->record->updated->overhead);
    return resources_show(pod->config->linux ? pod->config->linux->overhead : NULL);
}

json_t *pod_resources_show(const struct pod *pod)
{
    if (pod->record->updated)
        return bytes_show(&pod->record->updated->resources);
    return resources_show(pod->config->linux ? pod->config->linux->resources : NULL);
}
