/* What pods use: their cgroup, their network, and their containers. */
#include <stdlib.h>

#include "common/memory.h"
#include "services/sandboxd/filter.h"
#include "services/sandboxd/handlers.h"
#include "services/sandboxd/handlers_stats.h"

struct pod_sample {
    Runtime__V1__PodSandboxStats stats;
    Runtime__V1__PodSandboxAttributes attributes;
    Runtime__V1__LinuxPodSandboxStats linux;
    Runtime__V1__ProcessUsage process;
    Runtime__V1__UInt64Value process_count;
    struct stats_parts parts;
    struct network_parts network;
    struct interface_counters counters[INTERFACES_SHOWN_MAX];
    struct container **containers; /* held */
    struct container_sample *samples;
    Runtime__V1__ContainerStats **pointers;
};

static void pod_sample_free(struct pod_sample *sample)
{
    if (!sample)
        return;
    if (sample->containers)
        containers_release(sample->containers, sample->linux.n_containers);
    free(sample->samples);
    free(sample->pointers);
    free(sample);
}

static void pod_sample_attributes(struct pod *pod, struct pod_sample *sample)
{
    runtime__v1__pod_sandbox_stats__init(&sample->stats);
    runtime__v1__pod_sandbox_attributes__init(&sample->attributes);
    runtime__v1__linux_pod_sandbox_stats__init(&sample->linux);
    sample->attributes.id = pod->record->id;
    sample->attributes.metadata = pod->config->metadata;
    sample->attributes.n_labels = pod->config->n_labels;
    sample->attributes.labels = (void *)pod->config->labels;
    sample->attributes.n_annotations = pod->config->n_annotations;
    sample->attributes.annotations = (void *)pod->config->annotations;
    sample->stats.attributes = &sample->attributes;
    sample->stats.linux = &sample->linux;
}

static void pod_sample_process(struct pod *pod, struct pod_sample *sample, int64_t at_ns)
{
    struct cgroup_place place = pod_cgroup(pod);

    runtime__v1__process_usage__init(&sample->process);
    runtime__v1__uint64_value__init(&sample->process_count);
    sample->process_count.value = cgroup_processes(&place);
    sample->process.timestamp = at_ns;
    sample->process.process_count = &sample->process_count;
    sample->linux.process = &sample->process;
}

static void pod_sample_network(struct pod *pod, struct pod_sample *sample, int64_t at_ns)
{
    size_t count = pod_interfaces_read(pod, sample->counters);

    pthread_mutex_lock(&pod->d->lock);
    autofree char *first = xstrdup(pod->record->attachment ? pod->record->attachment->interface : "");
    pthread_mutex_unlock(&pod->d->lock);
    sample->linux.network = stats_network(&sample->network, sample->counters, count, first, at_ns);
}

/* The caller frees it. Of a pod that is not READY only the attributes. */
static struct pod_sample *pod_sample_take(struct pod *pod)
{
    struct pod_sample *sample = xcalloc(1, sizeof(*sample));
    struct stats_numbers numbers;

    pod_sample_attributes(pod, sample);
    if (pod_state_get(pod) != POD_READY)
        return sample;
    struct error *error = pod_numbers_take(pod, &numbers);
    if (!error) {
        sample->linux.cpu = stats_cpu(&sample->parts, &numbers);
        sample->linux.memory = stats_memory(&sample->parts, &numbers);
        sample->linux.io = stats_io(&sample->parts, &numbers);
        pod_sample_process(pod, sample, numbers.at_ns);
        pod_sample_network(pod, sample, numbers.at_ns);
    }
    error_free(error);
    sample->containers = pod_running_containers(pod, &sample->linux.n_containers);
    sample->samples = container_samples_take(sample->containers, sample->linux.n_containers, &sample->pointers);
    sample->linux.containers = sample->pointers;
    return sample;
}

struct error *handle_pod_sandbox_stats(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    Runtime__V1__PodSandboxStatsResponse response = RUNTIME__V1__POD_SANDBOX_STATS_RESPONSE__INIT;
    auto_request request = NULL;
    auto_pod pod = NULL;

    TRY(message_parse(call, &runtime__v1__pod_sandbox_stats_request__descriptor, &request));
    TRY(table_find_pod(state, ((Runtime__V1__PodSandboxStatsRequest *)request)->pod_sandbox_id, &pod));
    struct pod_sample *sample = pod_sample_take(pod);
    response.stats = &sample->stats;
    message_reply(&response.base, reply);
    pod_sample_free(sample);
    return NULL;
}

static bool pod_passes(const struct pod *pod, const void *argument)
{
    const Runtime__V1__PodSandboxStatsFilter *filter = argument;

    if (pod->record->state != POD_READY)
        return false;
    if (!filter)
        return true;
    return filter_id(pod->record->id, filter->id) && filter_labels(pod->config->labels, pod->config->n_labels,
                                                                   filter->label_selector, filter->n_label_selector);
}

struct error *handle_list_pod_sandbox_stats(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    Runtime__V1__ListPodSandboxStatsResponse response = RUNTIME__V1__LIST_POD_SANDBOX_STATS_RESPONSE__INIT;
    auto_request request = NULL;
    size_t count = 0;

    TRY(message_parse(call, &runtime__v1__list_pod_sandbox_stats_request__descriptor, &request));
    struct pod **pods = table_pods(state, pod_passes, ((Runtime__V1__ListPodSandboxStatsRequest *)request)->filter, &count);
    autofree struct pod_sample **samples = xcalloc(count + 1, sizeof(struct pod_sample *));
    autofree Runtime__V1__PodSandboxStats **pointers = xcalloc(count + 1, sizeof(Runtime__V1__PodSandboxStats *));
    for (size_t i = 0; i < count; i++) {
        samples[i] = pod_sample_take(pods[i]);
        pointers[i] = &samples[i]->stats;
    }
    response.n_stats = count;
    response.stats = pointers;
    message_reply(&response.base, reply);
    for (size_t i = 0; i < count; i++)
        pod_sample_free(samples[i]);
    pods_release(pods, count);
    return NULL;
}
