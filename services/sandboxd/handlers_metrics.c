/* The metrics of pods and containers: where the numbers and labels come from that their statistics do not have. */
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/memory.h"
#include "common/process_id.h"
#include "services/sandboxd/handlers.h"
#include "services/sandboxd/metrics.h"
#include "services/sandboxd/sampler.h"
#include "services/sandboxd/stats_take.h"

enum { SMALL_FILE_MAX = 16 << 10 };

/* "/dev/sda", as udev names it too; "8:0" where the kernel has no name for it (a file system without a device). */
static char *device_name(unsigned major, unsigned minor)
{
    autofree char *path = xasprintf("/sys/dev/block/%u:%u/uevent", major, minor);
    autofree char *text = NULL;
    size_t size = 0;
    struct error *error = file_read_all(path, SMALL_FILE_MAX, &text, &size);
    const char *at = error ? NULL : strstr(text, "DEVNAME=");

    error_free(error);
    if (!at)
        return xasprintf("%u:%u", major, minor);
    at += strlen("DEVNAME=");
    return xasprintf("/dev/%.*s", (int)strcspn(at, "\n"), at);
}

/* Of the first process, if it is the one that was started. */
static bool open_files_limit_read(const struct container *container, uint64_t *ret)
{
    autofree char *path = xasprintf("/proc/%d/limits", container->record->pid);
    autofree char *text = NULL;
    struct process_id process;
    size_t size = 0;
    autoptr(error) error = file_read_all(path, SMALL_FILE_MAX, &text, &size);

    if (error)
        return false;
    struct error *gone = process_id_read(container->record->pid, &process);
    bool is_it = !gone && process.start_ticks == container->record->start_ticks;
    error_free(gone);
    return is_it && open_files_limit_parse(text, ret);
}

/* Names of all devices that were read from or written to. */
struct device_names {
    char *names[DEVICES_SHOWN_MAX];
    size_t count;
};

static void device_names_find(const struct device_list_io *io, struct device_names *ret)
{
    for (ret->count = 0; ret->count < io->count; ret->count++)
        ret->names[ret->count] = device_name(io->items[ret->count].major, io->items[ret->count].minor);
}

static void device_names_fini(struct device_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->names[i]);
}

/* --- one container's -------------------------------------------------------------------------------------------------- */

static struct metric_owner owner_of_container(const struct container *container)
{
    const Runtime__V1__PodSandboxMetadata *pod = container->pod->config->metadata;
    const Runtime__V1__ImageSpec *image = container->config->image;

    return (struct metric_owner){
        .id = container->record->cgroup,
        .name = container->record->id,
        .image = *image->user_specified_image ? image->user_specified_image : image->image,
        .pod_namespace = pod->namespace_,
        .pod = pod->name,
        .container = container->config->metadata->name,
    };
}

static void container_metrics(struct container *container, struct metric_list *ret)
{
    struct stats_numbers stats;
    struct cgroup_details details;
    struct cgroup_place place = container_cgroup(container);
    struct error *error = container_numbers_take(container, &stats);

    *ret = (struct metric_list){.owner = owner_of_container(container), .at_ns = clock_realtime_ns()};
    error_free(error); /* it has ended meanwhile */
    if (error)
        return;
    cgroup_details_read(&place, &details);
    struct device_names devices;
    device_names_find(&details.io, &devices);
    autofree char *layer_device = device_name(stats.measurement.fs_major, stats.measurement.fs_minor);
    struct metric_numbers numbers = {.stats = &stats,
                                     .details = &details,
                                     .started_at_ns = container->record->started_at_ns,
                                     .device_names = (const char *const *)devices.names,
                                     .layer_device = layer_device};
    numbers.has_open_files_limit = open_files_limit_read(container, &numbers.open_files_limit);
    metrics_of_cgroup(ret, &numbers);
    metrics_of_container(ret, &numbers);
    device_names_fini(&devices);
}

/* --- one pod's -------------------------------------------------------------------------------------------------------- */

static struct metric_owner owner_of_pod(const struct pod *pod)
{
    return (struct metric_owner){
        .id = pod_containers_cgroup(pod),
        .name = "",
        .image = "",
        .pod_namespace = pod->config->metadata->namespace_,
        .pod = pod->config->metadata->name,
        .container = "",
    };
}

static void pod_interfaces_add(struct pod *pod, struct metric_list *list)
{
    struct interface_counters counters[INTERFACES_SHOWN_MAX];
    size_t count = pod_interfaces_read(pod, counters);

    for (size_t i = 0; i < count; i++)
        metrics_of_interface(list, &counters[i]);
}

static void pod_metrics(struct pod *pod, struct metric_list *ret)
{
    struct stats_numbers stats;
    struct cgroup_details details;
    struct cgroup_place place = pod_cgroup(pod);
    struct error *error = pod_numbers_take(pod, &stats);

    *ret = (struct metric_list){.owner = owner_of_pod(pod), .at_ns = clock_realtime_ns()};
    error_free(error);
    if (error)
        return;
    cgroup_details_read(&place, &details);
    struct device_names devices;
    device_names_find(&details.io, &devices);
    struct metric_numbers numbers = {.stats = &stats,
                                     .details = &details,
                                     .started_at_ns = pod->record->created_at_ns,
                                     .device_names = (const char *const *)devices.names};
    metrics_of_cgroup(ret, &numbers);
    pod_interfaces_add(pod, ret);
    device_names_fini(&devices);
}

/* --- the answer --------------------------------------------------------------------------------------------------------- */

/* A pod's metrics with those of its containers; the messages point into it. */
struct pod_answer {
    Runtime__V1__PodSandboxMetrics message;
    struct metric_list own;
    struct container **containers; /* held */
    size_t count;
    struct metric_list *lists;
    Runtime__V1__ContainerMetrics *messages;
    Runtime__V1__ContainerMetrics **pointers;
};

static void pod_answer_take(struct pod *pod, struct pod_answer *answer)
{
    runtime__v1__pod_sandbox_metrics__init(&answer->message);
    answer->message.pod_sandbox_id = pod->record->id;
    pod_metrics(pod, &answer->own);
    answer->message.n_metrics = answer->own.count;
    answer->message.metrics = answer->own.items;
    answer->containers = pod_running_containers(pod, &answer->count);
    answer->lists = xcalloc(answer->count + 1, sizeof(*answer->lists));
    answer->messages = xcalloc(answer->count + 1, sizeof(*answer->messages));
    answer->pointers = xcalloc(answer->count + 1, sizeof(*answer->pointers));
    for (size_t i = 0; i < answer->count; i++) {
        container_metrics(answer->containers[i], &answer->lists[i]);
        runtime__v1__container_metrics__init(&answer->messages[i]);
        answer->messages[i].container_id = answer->containers[i]->record->id;
        answer->messages[i].n_metrics = answer->lists[i].count;
        answer->messages[i].metrics = answer->lists[i].items;
        answer->pointers[i] = &answer->messages[i];
    }
    answer->message.n_container_metrics = answer->count;
    answer->message.container_metrics = answer->pointers;
}

static void pod_answer_fini(struct pod_answer *answer)
{
    for (size_t i = 0; i < answer->count; i++)
        metric_list_fini(&answer->lists[i]);
    metric_list_fini(&answer->own);
    containers_release(answer->containers, answer->count);
    free(answer->lists);
    free(answer->messages);
    free(answer->pointers);
}

static bool is_ready(const struct pod *pod, const void *argument)
{
    (void)argument;
    return pod->record->state == POD_READY;
}

struct error *handle_list_pod_sandbox_metrics(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    Runtime__V1__ListPodSandboxMetricsResponse response = RUNTIME__V1__LIST_POD_SANDBOX_METRICS_RESPONSE__INIT;
    auto_request request = NULL;
    size_t count = 0;

    TRY(message_parse(call, &runtime__v1__list_pod_sandbox_metrics_request__descriptor, &request));
    sampler_await_first(state);
    struct pod **pods = table_pods(state, is_ready, NULL, &count);
    autofree struct pod_answer *answers = xcalloc(count + 1, sizeof(*answers));
    autofree Runtime__V1__PodSandboxMetrics **pointers = xcalloc(count + 1, sizeof(*pointers));
    for (size_t i = 0; i < count; i++) {
        pod_answer_take(pods[i], &answers[i]);
        pointers[i] = &answers[i].message;
    }
    response.n_pod_metrics = count;
    response.pod_metrics = pointers;
    message_reply(&response.base, reply);
    for (size_t i = 0; i < count; i++)
        pod_answer_fini(&answers[i]);
    pods_release(pods, count);
    return NULL;
}

struct error *handle_list_metric_descriptors(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    Runtime__V1__ListMetricDescriptorsResponse response = RUNTIME__V1__LIST_METRIC_DESCRIPTORS_RESPONSE__INIT;
    struct metric_descriptors descriptors = {0};
    auto_request request = NULL;

    (void)state;
    TRY(message_parse(call, &runtime__v1__list_metric_descriptors_request__descriptor, &request));
    metric_descriptors_fill(&descriptors);
    response.n_descriptors = METRIC_COUNT;
    response.descriptors = descriptors.pointers;
    message_reply(&response.base, reply);
    return NULL;
}
