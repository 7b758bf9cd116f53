/* What containers use: read when asked for, but for what is sampled in the background. */
#include "common/clock.h"
#include "common/memory.h"
#include "services/sandboxd/filter.h"
#include "services/sandboxd/handlers.h"
#include "services/sandboxd/handlers_stats.h"

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

static void container_sample_take(struct container *container, struct container_sample *sample)
{
    struct stats_numbers numbers;

    sample->parts = (struct stats_parts){0};
    sample_attributes(container, sample);
    if (container_state_get(container) != CONTAINER_RUNNING)
        return;
    struct error *error = container_numbers_take(container, &numbers);
    if (!error) {
        sample->stats.cpu = stats_cpu(&sample->parts, &numbers);
        sample->stats.memory = stats_memory(&sample->parts, &numbers);
        sample->stats.swap = stats_swap(&sample->parts, &numbers);
        sample->stats.io = stats_io(&sample->parts, &numbers);
        sample->stats.writable_layer = stats_writable_layer(&sample->parts, &numbers);
    }
    error_free(error); /* it ended meanwhile: only true numbers are said */
}

struct container_sample *container_samples_take(struct container **containers, size_t count,
                                                Runtime__V1__ContainerStats ***ret_pointers)
{
    struct container_sample *samples = xcalloc(count + 1, sizeof(*samples));

    *ret_pointers = xcalloc(count + 1, sizeof(**ret_pointers));
    for (size_t i = 0; i < count; i++) {
        container_sample_take(containers[i], &samples[i]);
        (*ret_pointers)[i] = &samples[i].stats;
    }
    return samples;
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

static bool passes(const struct container *container, const void *argument)
{
    const Runtime__V1__ContainerStatsFilter *filter = argument;

    if (container->record->state != CONTAINER_RUNNING) /* as containerd: what does not run has no statistics in a list */
        return false;
    if (!filter)
        return true;
    return filter_id(container->record->id, filter->id) &&
           filter_id(container->record->sandbox_id, filter->pod_sandbox_id) &&
           filter_labels(container->config->labels, container->config->n_labels, filter->label_selector,
                         filter->n_label_selector);
}

struct error *handle_list_container_stats(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    Runtime__V1__ListContainerStatsResponse response = RUNTIME__V1__LIST_CONTAINER_STATS_RESPONSE__INIT;
    autofree Runtime__V1__ContainerStats **pointers = NULL;
    auto_request request = NULL;
    size_t count = 0;

    TRY(message_parse(call, &runtime__v1__list_container_stats_request__descriptor, &request));
    struct container **containers =
        table_containers(state, passes, ((Runtime__V1__ListContainerStatsRequest *)request)->filter, &count);
    autofree struct container_sample *samples = container_samples_take(containers, count, &pointers);
    response.n_stats = count;
    response.stats = pointers;
    message_reply(&response.base, reply);
    containers_release(containers, count);
    return NULL;
}
