/* What containers use: read when asked for, the rate from the sample before. */
#include "common/clock.h"
#include "common/memory.h"
#include "services/sandboxd/filter.h"
#include "services/sandboxd/handlers.h"
#include "services/sandboxd/stats.h"

enum { RATE_MIN_MS = 100 };

/* One container's numbers; the message points into it. */
struct container_sample {
    Runtime__V1__ContainerStats stats;
    Runtime__V1__ContainerAttributes attributes;
    Runtime__V1__CpuUsage cpu;
    Runtime__V1__MemoryUsage memory;
    Runtime__V1__UInt64Value values[8];
};

static Runtime__V1__UInt64Value *value(struct container_sample *sample, unsigned index, uint64_t number)
{
    runtime__v1__uint64_value__init(&sample->values[index]);
    sample->values[index].value = number;
    return &sample->values[index];
}

/* Nanoseconds of CPU per second since the sample before; 0 for the first. */
static uint64_t cpu_rate(struct container *container, uint64_t usage_ns)
{
    int64_t now_ns = clock_boottime_ns();

    pthread_mutex_lock(&container->d->lock);
    int64_t elapsed_ns = now_ns - container->cpu_sampled_ns;
    if (container->cpu_sampled_ns && elapsed_ns >= RATE_MIN_MS * 1000000ll && usage_ns >= container->cpu_usage_ns)
        container->cpu_nano_cores =
            (uint64_t)((double)(usage_ns - container->cpu_usage_ns) * 1e9 / (double)elapsed_ns);
    if (!container->cpu_sampled_ns || elapsed_ns >= RATE_MIN_MS * 1000000ll) {
        container->cpu_usage_ns = usage_ns;
        container->cpu_sampled_ns = now_ns;
    }
    uint64_t rate = container->cpu_nano_cores;
    pthread_mutex_unlock(&container->d->lock);
    return rate;
}

static void sample_attributes(struct container *container, struct container_sample *sample)
{
    runtime__v1__container_stats__init(&sample->stats);
    runtime__v1__container_attributes__init(&sample->attributes);
    sample->attributes.id = container->record->id;
    sample->attributes.metadata = container->config->metadata;
    sample->attributes.n_labels = container->config->n_labels;
    sample->attributes.labels = (void *)container->config->labels;
    sample->attributes.n_annotations = container->config->n_annotations;
    sample->attributes.annotations = (void *)container->config->annotations;
    sample->stats.attributes = &sample->attributes;
}

static void sample_usage(struct container *container, const struct cgroup_usage *usage, struct container_sample *sample)
{
    int64_t now_ns = clock_realtime_ns();

    runtime__v1__cpu_usage__init(&sample->cpu);
    sample->cpu.timestamp = now_ns;
    sample->cpu.usage_core_nano_seconds = value(sample, 0, usage->cpu_ns);
    sample->cpu.usage_nano_cores = value(sample, 1, cpu_rate(container, usage->cpu_ns));
    runtime__v1__memory_usage__init(&sample->memory);
    sample->memory.timestamp = now_ns;
    sample->memory.usage_bytes = value(sample, 2, usage->memory_bytes);
    sample->memory.working_set_bytes = value(sample, 3, usage->working_set_bytes);
    sample->memory.rss_bytes = value(sample, 4, usage->rss_bytes);
    sample->memory.page_faults = value(sample, 5, usage->page_faults);
    sample->memory.major_page_faults = value(sample, 6, usage->major_page_faults);
    if (usage->limit_bytes)
        sample->memory.available_bytes = value(sample, 7, usage->limit_bytes > usage->working_set_bytes
                                                              ? usage->limit_bytes - usage->working_set_bytes
                                                              : 0);
    sample->stats.cpu = &sample->cpu;
    sample->stats.memory = &sample->memory;
}

/* Fills a sample; of a container that does not run only the attributes. */
static void container_sample_take(struct container *container, struct container_sample *sample)
{
    struct cgroup_usage usage;

    sample_attributes(container, sample);
    if (container_state_get(container) != CONTAINER_RUNNING)
        return;
    struct error *error =
        cgroup_usage_read("/sys/fs/cgroup", container->d->host.cgroup_version, container->record->cgroup, &usage);
    if (!error)
        sample_usage(container, &usage, sample);
    error_free(error); /* it ended meanwhile, or a controller is not there: only true numbers are said */
}

struct error *handle_container_stats(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    Runtime__V1__ContainerStatsResponse response = RUNTIME__V1__CONTAINER_STATS_RESPONSE__INIT;
    struct container_sample sample;
    auto_request request = NULL;
    auto_container container = NULL;

    TRY(message_parse(call, &runtime__v1__container_stats_request__descriptor, &request));
    TRY(table_find_container(state, ((Runtime__V1__ContainerStatsRequest *)request)->container_id, &container));
    container_sample_take(container, &sample);
    response.stats = &sample.stats;
    message_reply(&response.base, reply);
    return NULL;
}

static bool passes(const struct container *container, const Runtime__V1__ContainerStatsFilter *filter)
{
    if (container->record->state != CONTAINER_RUNNING) /* as containerd: what does not run has no statistics in a list */
        return false;
    if (!filter)
        return true;
    return filter_id(container->record->id, filter->id) &&
           filter_id(container->record->sandbox_id, filter->pod_sandbox_id) &&
           filter_labels(container->config->labels, container->config->n_labels, filter->label_selector,
                         filter->n_label_selector);
}

/* Those that pass, held; the caller gives them to containers_release(). */
static struct container **containers_passing(struct sandboxd *d, const Runtime__V1__ContainerStatsFilter *filter,
                                             size_t *ret_count)
{
    size_t count = 0;

    pthread_mutex_lock(&d->lock);
    for (struct container *container = d->containers; container; container = container->next)
        count += passes(container, filter);
    struct container **containers = xcalloc(count + 1, sizeof(*containers));
    count = 0;
    for (struct container *container = d->containers; container; container = container->next)
        if (passes(container, filter))
            containers[count++] = container_hold(container);
    pthread_mutex_unlock(&d->lock);
    *ret_count = count;
    return containers;
}

struct error *handle_list_container_stats(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    Runtime__V1__ListContainerStatsResponse response = RUNTIME__V1__LIST_CONTAINER_STATS_RESPONSE__INIT;
    auto_request request = NULL;
    size_t count = 0;

    TRY(message_parse(call, &runtime__v1__list_container_stats_request__descriptor, &request));
    struct container **containers =
        containers_passing(state, ((Runtime__V1__ListContainerStatsRequest *)request)->filter, &count);
    autofree struct container_sample *samples = xcalloc(count + 1, sizeof(*samples));
    autofree Runtime__V1__ContainerStats **pointers = xcalloc(count + 1, sizeof(*pointers));
    for (size_t i = 0; i < count; i++) {
        container_sample_take(containers[i], &samples[i]);
        pointers[i] = &samples[i].stats;
    }
    response.n_stats = count;
    response.stats = pointers;
    message_reply(&response.base, reply);
    containers_release(containers, count);
    return NULL;
}
