/* How objects look to clients: lists and statuses, answered from memory alone. */
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "common/memory.h"
#include "services/sandboxd/filter.h"
#include "services/sandboxd/handlers.h"
#include "services/sandboxd/pod_update.h"

/* The messages below borrow from the objects, so they are packed while d->lock is held. Entries of labels and annotations have the same
 * shape in every message. */

static void pod_show(const struct pod *pod, Runtime__V1__PodSandbox *ret)
{
    runtime__v1__pod_sandbox__init(ret);
    ret->id = pod->record->id;
    ret->metadata = pod->config->metadata;
    ret->state = (Runtime__V1__PodSandboxState)pod_state_to_cri(pod->record->state);
    ret->created_at = pod->record->created_at_ns;
    ret->n_labels = pod->config->n_labels;
    ret->labels = (void *)pod->config->labels;
    ret->n_annotations = pod->config->n_annotations;
    ret->annotations = (void *)pod->config->annotations;
    ret->runtime_handler = pod->record->runtime_handler;
}

static bool pod_passes(const struct pod *pod, const Runtime__V1__PodSandboxFilter *filter)
{
    if (!pod_state_is_listed(pod->record->state))
        return false;
    if (!filter)
        return true;
    if (filter->state && (int)filter->state->state != pod_state_to_cri(pod->record->state))
        return false;
    return filter_id(pod->record->id, filter->id) &&
           filter_labels(pod->config->labels, pod->config->n_labels, filter->label_selector, filter->n_label_selector);
}

static size_t pods_count(struct sandboxd *d)
{
    size_t count = 0;

    for (const struct pod *pod = d->pods; pod; pod = pod->next)
        count++;
    return count;
}

struct error *handle_list_pod_sandbox(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    struct sandboxd *d = state;
    Runtime__V1__ListPodSandboxResponse response = RUNTIME__V1__LIST_POD_SANDBOX_RESPONSE__INIT;
    auto_request request = NULL;

    TRY(message_parse(call, &runtime__v1__list_pod_sandbox_request__descriptor, &request));
    const Runtime__V1__PodSandboxFilter *filter = ((Runtime__V1__ListPodSandboxRequest *)request)->filter;
    pthread_mutex_lock(&d->lock);
    size_t room = pods_count(d) + 1;
    autofree Runtime__V1__PodSandbox *items = xcalloc(room, sizeof(*items));
    autofree Runtime__V1__PodSandbox **pointers = xcalloc(room, sizeof(*pointers));
    response.items = pointers;
    for (const struct pod *pod = d->pods; pod; pod = pod->next) {
        if (!pod_passes(pod, filter))
            continue;
        pod_show(pod, &items[response.n_items]);
        pointers[response.n_items] = &items[response.n_items];
        response.n_items++;
    }
    message_reply(&response.base, reply);
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

/* What `crictl inspectp` shows beside the status. The caller frees it. */
static char *pod_info(const struct pod *pod)
{
    const Bulkhead__AttachmentRecord *attachment = pod->record->attachment;
    json_t *info = json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:o, s:o, s:o}", "state", pod_state_name(pod->record->state), "runtime",
                             pod->record->runtime, "cgroup", pod_containers_cgroup(pod), "netns", pod->record->netns, "failure",
                             pod->failure ? pod->failure : "", "teardownFailures", (int)pod->record->teardown_failures,
                             "network", attachment ? json_pack("{s:s, s:s, s:b}", "name", attachment->network, "interface",
                                                               attachment->interface, "deleted", attachment->deleted)
                                                   : json_null(),
                             "overhead", pod_overhead_show(pod), "resources", pod_resources_show(pod));
    char *text = info ? json_dumps(info, JSON_COMPACT) : NULL;

    json_decref(info);
    return text ? text : xstrdup("{}");
}

/* The rest of a status, with the addresses; all on the caller's stack. */
struct pod_status_parts {
    Runtime__V1__PodSandboxNetworkStatus network;
    Runtime__V1__LinuxPodSandboxStatus linux;
    Runtime__V1__Namespace namespaces;
    Runtime__V1__NamespaceOption options;
    Runtime__V1__PodIP *ips;
    Runtime__V1__PodIP **ip_pointers;
};

static void pod_show_network(const struct pod *pod, struct pod_status_parts *parts)
{
    const Bulkhead__AttachmentRecord *attachment = pod->record->attachment;

    runtime__v1__pod_sandbox_network_status__init(&parts->network);
    if (!attachment || attachment->n_ips == 0 || pod->record->state != POD_READY)
        return;
    parts->network.ip = attachment->ips[0];
    parts->ips = xcalloc(attachment->n_ips, sizeof(*parts->ips));
    parts->ip_pointers = xcalloc(attachment->n_ips, sizeof(*parts->ip_pointers));
    for (size_t i = 1; i < attachment->n_ips; i++) {
        runtime__v1__pod_ip__init(&parts->ips[i - 1]);
        parts->ips[i - 1].ip = attachment->ips[i];
        parts->ip_pointers[i - 1] = &parts->ips[i - 1];
    }
    parts->network.n_additional_ips = attachment->n_ips - 1;
    parts->network.additional_ips = parts->ip_pointers;
}

static Runtime__V1__UserNamespace *pod_user_namespace(const struct pod *pod)
{
    const Runtime__V1__LinuxPodSandboxConfig *linux = pod->config->linux;
    const Runtime__V1__LinuxSandboxSecurityContext *context = linux ? linux->security_context : NULL;

    return context && context->namespace_options ? context->namespace_options->userns_options : NULL;
}

static void pod_show_linux(const struct pod *pod, struct pod_status_parts *parts)
{
    struct spec_namespaces modes = spec_pod_namespaces(pod->config);

    runtime__v1__linux_pod_sandbox_status__init(&parts->linux);
    runtime__v1__namespace__init(&parts->namespaces);
    runtime__v1__namespace_option__init(&parts->options);
    parts->options.network = modes.network;
    parts->options.pid = modes.pid;
    parts->options.ipc = modes.ipc;
    parts->options.userns_options = pod_user_namespace(pod);
    parts->namespaces.options = &parts->options;
    parts->linux.namespaces = &parts->namespaces;
}

static void pod_show_status(const struct pod *pod, struct pod_status_parts *parts, Runtime__V1__PodSandboxStatus *ret)
{
    runtime__v1__pod_sandbox_status__init(ret);
    pod_show_network(pod, parts);
    pod_show_linux(pod, parts);
    ret->id = pod->record->id;
    ret->metadata = pod->config->metadata;
    ret->state = (Runtime__V1__PodSandboxState)pod_state_to_cri(pod->record->state);
    ret->created_at = pod->record->created_at_ns;
    ret->network = &parts->network;
    ret->linux = &parts->linux;
    ret->n_labels = pod->config->n_labels;
    ret->labels = (void *)pod->config->labels;
    ret->n_annotations = pod->config->n_annotations;
    ret->annotations = (void *)pod->config->annotations;
    ret->runtime_handler = pod->record->runtime_handler;
}

uint8_t *pod_status_pack(const struct pod *pod, size_t *ret_size)
{
    Runtime__V1__PodSandboxStatus status;
    struct pod_status_parts parts = {0};

    pod_show_status(pod, &parts, &status);
    *ret_size = runtime__v1__pod_sandbox_status__get_packed_size(&status);
    uint8_t *bytes = xmalloc(*ret_size + 1);
    runtime__v1__pod_sandbox_status__pack(&status, bytes);
    free(parts.ips);
    free(parts.ip_pointers);
    return bytes;
}

struct error *handle_pod_sandbox_status(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    struct sandboxd *d = state;
    Runtime__V1__PodSandboxStatusResponse response = RUNTIME__V1__POD_SANDBOX_STATUS_RESPONSE__INIT;
    Runtime__V1__PodSandboxStatusResponse__InfoEntry info = RUNTIME__V1__POD_SANDBOX_STATUS_RESPONSE__INFO_ENTRY__INIT;
    Runtime__V1__PodSandboxStatusResponse__InfoEntry *infos[] = {&info};
    Runtime__V1__PodSandboxStatus status;
    struct pod_status_parts parts = {0};
    auto_request request = NULL;
    auto_pod pod = NULL;

    TRY(message_parse(call, &runtime__v1__pod_sandbox_status_request__descriptor, &request));
    const Runtime__V1__PodSandboxStatusRequest *asked = (Runtime__V1__PodSandboxStatusRequest *)request;
    TRY(table_find_pod(d, asked->pod_sandbox_id, &pod));
    pthread_mutex_lock(&d->lock);
    pod_show_status(pod, &parts, &status);
    autofree char *text = pod_info(pod);
    info.key = "info";
    info.value = text;
    response.status = &status;
    response.info = infos;
    response.n_info = asked->verbose;
    message_reply(&response.base, reply);
    pthread_mutex_unlock(&d->lock);
    free(parts.ips);
    free(parts.ip_pointers);
    return NULL;
}

/* The image as the client named it, and what it was then. */
static void image_show(const struct container *container, Runtime__V1__ImageSpec *ret)
{
    *ret = *container->config->image;
    if (*container->record->user_specified_image)
        ret->user_specified_image = container->record->user_specified_image;
}

static void container_show(const struct container *container, Runtime__V1__ImageSpec *image, Runtime__V1__Container *ret)
{
    runtime__v1__container__init(ret);
    image_show(container, image);
    ret->id = container->record->id;
    ret->pod_sandbox_id = container->record->sandbox_id;
    ret->metadata = container->config->metadata;
    ret->image = image;
    ret->image_ref = container->record->image_ref;
    ret->image_id = container->record->image_id;
    ret->state = (Runtime__V1__ContainerState)container_state_to_cri(container->record->state);
    ret->created_at = container->record->created_at_ns;
    ret->n_labels = container->config->n_labels;
    ret->labels = (void *)container->config->labels;
    ret->n_annotations = container->config->n_annotations;
    ret->annotations = (void *)container->config->annotations;
}

static bool container_passes(const struct container *container, const Runtime__V1__ContainerFilter *filter)
{
    if (!container_state_is_listed(container->record->state))
        return false;
    if (!filter)
        return true;
    if (filter->state && (int)filter->state->state != container_state_to_cri(container->record->state))
        return false;
    return filter_id(container->record->id, filter->id) &&
           filter_id(container->record->sandbox_id, filter->pod_sandbox_id) &&
           filter_labels(container->config->labels, container->config->n_labels, filter->label_selector,
                         filter->n_label_selector);
}

static size_t containers_count(struct sandboxd *d)
{
    size_t count = 0;

    for (const struct container *container = d->containers; container; container = container->next)
        count++;
    return count;
}

struct error *handle_list_containers(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    struct sandboxd *d = state;
    Runtime__V1__ListContainersResponse response = RUNTIME__V1__LIST_CONTAINERS_RESPONSE__INIT;
    auto_request request = NULL;

    TRY(message_parse(call, &runtime__v1__list_containers_request__descriptor, &request));
    const Runtime__V1__ContainerFilter *filter = ((Runtime__V1__ListContainersRequest *)request)->filter;
    pthread_mutex_lock(&d->lock);
    size_t room = containers_count(d) + 1;
    autofree Runtime__V1__Container *items = xcalloc(room, sizeof(*items));
    autofree Runtime__V1__Container **pointers = xcalloc(room, sizeof(*pointers));
    autofree Runtime__V1__ImageSpec *images = xcalloc(room, sizeof(*images));
    response.containers = pointers;
    for (const struct container *container = d->containers; container; container = container->next) {
        size_t i = response.n_containers;
        if (!container_passes(container, filter))
            continue;
        container_show(container, &images[i], &items[i]);
        pointers[i] = &items[i];
        response.n_containers++;
    }
    message_reply(&response.base, reply);
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

/* The parts of a container's status that are messages of their own. */
struct container_status_parts {
    Runtime__V1__ImageSpec image;
    Runtime__V1__ContainerResources resources;
    Runtime__V1__ContainerUser user;
    Runtime__V1__LinuxContainerUser linux_user;
};

static void container_show_parts(const struct container *container, struct container_status_parts *parts)
{
    image_show(container, &parts->image);
    runtime__v1__container_resources__init(&parts->resources);
    parts->resources.linux = (Runtime__V1__LinuxContainerResources *)container_resources(container);
    runtime__v1__container_user__init(&parts->user);
    runtime__v1__linux_container_user__init(&parts->linux_user);
    parts->linux_user.uid = container->record->uid;
    parts->linux_user.gid = container->record->gid;
    parts->linux_user.n_supplemental_groups = container->record->n_groups;
    parts->linux_user.supplemental_groups = container->record->groups;
    parts->user.linux = &parts->linux_user;
}

static void container_show_status(const struct container *container, struct container_status_parts *parts,
                                  Runtime__V1__ContainerStatus *ret)
{
    const Bulkhead__ContainerRecord *record = container->record;

    runtime__v1__container_status__init(ret);
    container_show_parts(container, parts);
    ret->id = record->id;
    ret->metadata = container->config->metadata;
    ret->state = (Runtime__V1__ContainerState)container_state_to_cri(record->state);
    ret->created_at = record->created_at_ns;
    ret->started_at = record->started_at_ns;
    ret->finished_at = record->finished_at_ns;
    ret->exit_code = record->exit_code;
    ret->image = &parts->image;
    ret->image_ref = record->image_ref;
    ret->image_id = record->image_id;
    ret->reason = record->reason;
    ret->message = record->message;
    ret->n_labels = container->config->n_labels;
    ret->labels = (void *)container->config->labels;
    ret->n_annotations = container->config->n_annotations;
    ret->annotations = (void *)container->config->annotations;
    ret->n_mounts = container->config->n_mounts;
    ret->mounts = container->config->mounts;
    ret->log_path = record->log_path;
    ret->resources = parts->resources.linux ? &parts->resources : NULL;
    ret->user = &parts->user;
    ret->stop_signal = spec_stop_signal_to_cri(record->stop_signal);
}

uint8_t *container_status_pack(const struct container *container, size_t *ret_size)
{
    Runtime__V1__ContainerStatus status;
    struct container_status_parts parts;

    container_show_status(container, &parts, &status);
    *ret_size = runtime__v1__container_status__get_packed_size(&status);
    uint8_t *bytes = xmalloc(*ret_size + 1);
    runtime__v1__container_status__pack(&status, bytes);
    return bytes;
}

/* What `crictl inspect` shows beside the status. The caller frees it. */
static char *container_info(const struct container *container)
{
    const Bulkhead__ContainerRecord *record = container->record;
    bool lives = record->state == CONTAINER_CREATED || record->state == CONTAINER_RUNNING; /* else its pid is another's */
    json_t *info = json_pack("{s:s, s:s, s:i, s:s, s:s, s:b}", "sandboxID", record->sandbox_id, "state",
                             container_state_name(record->state), "pid", lives ? (int)record->pid : 0, "runtime",
                             record->runtime, "cgroup", record->cgroup, "stopping",
                             lives && record->stop_deadline_ns != 0);
    char *text = info ? json_dumps(info, JSON_COMPACT) : NULL;

    json_decref(info);
    return text ? text : xstrdup("{}");
}

struct error *handle_container_status(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    struct sandboxd *d = state;
    Runtime__V1__ContainerStatusResponse response = RUNTIME__V1__CONTAINER_STATUS_RESPONSE__INIT;
    Runtime__V1__ContainerStatusResponse__InfoEntry info = RUNTIME__V1__CONTAINER_STATUS_RESPONSE__INFO_ENTRY__INIT;
    Runtime__V1__ContainerStatusResponse__InfoEntry *infos[] = {&info};
    Runtime__V1__ContainerStatus status;
    struct container_status_parts parts;
    auto_request request = NULL;
    auto_container container = NULL;

    TRY(message_parse(call, &runtime__v1__container_status_request__descriptor, &request));
    const Runtime__V1__ContainerStatusRequest *asked = (Runtime__V1__ContainerStatusRequest *)request;
    TRY(table_find_container(d, asked->container_id, &container));
    pthread_mutex_lock(&d->lock);
    container_show_status(container, &parts, &status);
    autofree char *text = container_info(container);
    info.key = "info";
    info.value = text;
    response.status = &status;
    response.info = infos;
    response.n_info = asked->verbose;
    message_reply(&response.base, reply);
    pthread_mutex_unlock(&d->lock);
    return NULL;
}
