/* Who gets which container: a retry joins; a CREATED one whose reply was lost makes way for a later attempt. */
#include "services/sandboxd/container_create.h"

#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/process_id.h"
#include "services/sandboxd/canonical.h"
#include "services/sandboxd/container_steps.h"
#include "services/sandboxd/pod_run.h"
#include "services/sandboxd/reconcile.h"
#include "services/sandboxd/spec/cgroup_name.h"
#include "services/sandboxd/table.h"

enum { WAIT_SLICE_MS = 100 };

struct wanted_container {
    Runtime__V1__ContainerConfig *parsed;
    uint8_t *config;
    size_t config_size;
};

static Bulkhead__ContainerRecord *record_new(const struct pod *pod, const struct wanted_container *wanted)
{
    Bulkhead__ContainerRecord *record = xmalloc(sizeof(*record));
    const char *directory = pod->config->log_directory, *log = wanted->parsed->log_path;

    bulkhead__container_record__init(record);
    record->id = id_new();
    record->sandbox_id = xstrdup(pod->record->id);
    record->config.data = xmemdup(wanted->config, wanted->config_size ? wanted->config_size : 1);
    record->config.len = wanted->config_size;
    text_set(&record->runtime, pod->record->runtime);
    record->state = CONTAINER_CREATING;
    text_set(&record->boot_id, boot_id());
    record->created_at_ns = clock_realtime_ns();
    record->cgroup = cgroup_container_path(pod->record->cgroup, pod->record->slice, record->id);
    if (*directory && *log)
        record->log_path = xasprintf("%s/%s", directory, log);
    return record;
}

static struct error *container_claim(struct pod *pod, const struct wanted_container *wanted, struct container **ret,
                                     bool *ret_is_new)
{
    struct sandboxd *d = pod->d;
    struct container *fresh = NULL;

    TRY(container_new(pod, record_new(pod, wanted), &fresh));
    pthread_mutex_lock(&d->lock);
    bool is_ready = pod->record->state == POD_READY;
    *ret = is_ready ? table_container_of_key(pod, wanted->parsed->metadata) : NULL;
    *ret_is_new = is_ready && *ret == NULL;
    if (*ret_is_new) {
        table_add_container(d, fresh);
        *ret = container_hold(fresh);
    }
    if (*ret)
        (*ret)->joiners++;
    pthread_mutex_unlock(&d->lock);
    if (!*ret_is_new)
        container_release(fresh);
    return is_ready ? NULL : error_new(ERROR_FAILED_PRECONDITION, "sandbox container \"%s\" is not running", pod->record->id);
}

static void container_leave(struct container *container)
{
    pthread_mutex_lock(&container->d->lock);
    container->joiners--;
    container->alone_since_ns = clock_boottime_ns();
    pthread_mutex_unlock(&container->d->lock);
}

/* Takes the error. */
static void container_fail(struct container *container, struct error *error)
{
    pthread_mutex_lock(&container->d->lock);
    free(container->failure);
    container->failure = xstrdup(error->text);
    container->failure_code = error->code;
    pthread_mutex_unlock(&container->d->lock);
    log_warn("a container could not be made and is undone", "container=%s error=%s", container->record->id,
             log_quote(error->text));
    error_free(error);
    error_free(container_move(container, CONTAINER_UNDOING, true));
}

static void container_begin(struct container *container)
{
    struct error *error = container_directory_make(container);

    if (!error)
        error = container_save(container);
    if (error)
        container_fail(container, error);
    pthread_mutex_lock(&container->d->lock);
    container->is_begun = true;
    pthread_mutex_unlock(&container->d->lock);
    pod_kick(container->pod);
}

static struct error *container_judge(struct container *container, const struct wanted_container *wanted, bool *ret_again)
{
    struct error *error = NULL;

    pthread_mutex_lock(&container->d->lock);
    const Bulkhead__ContainerRecord *record = container->record;
    bool is_same = record->config.len == wanted->config_size &&
                   !memcmp(record->config.data, wanted->config, wanted->config_size);
    *ret_again = record->state == CONTAINER_UNDOING || record->state == CONTAINER_REMOVING ||
                 record->state == CONTAINER_GONE;
    if (!*ret_again && !is_same)
        error = error_new(ERROR_ALREADY_EXISTS, "container %s has this name and attempt with another configuration",
                          record->id);
    pthread_mutex_unlock(&container->d->lock);
    return error;
}

static struct error *container_await_key(struct container *container, const struct ipc_call *call)
{
    struct sandboxd *d = container->d;

    pthread_mutex_lock(&d->lock);
    while (container->record->state != CONTAINER_GONE && !container->is_key_free && !ipc_call_is_over(call))
        condition_wait(d, &container->pod->changed, WAIT_SLICE_MS);
    bool is_free = container->record->state == CONTAINER_GONE || container->is_key_free;
    pthread_mutex_unlock(&d->lock);
    return is_free ? NULL : call_over(call, "an earlier container of this name to go");
}

static struct error *container_await(struct container *container, const struct ipc_call *call)
{
    struct sandboxd *d = container->d;
    struct error *error = NULL;

    pthread_mutex_lock(&d->lock);
    while ((container->record->state == CONTAINER_CREATING ||
            (container->record->state == CONTAINER_UNDOING && !container->attempts)) &&
           !ipc_call_is_over(call))
        condition_wait(d, &container->pod->changed, WAIT_SLICE_MS);
    uint32_t state = container->record->state;
    if (state == CONTAINER_UNDOING || (state == CONTAINER_GONE && container->failure))
        error = error_new(container->failure ? container->failure_code : ERROR_ABORTED, "%s",
                          container->failure ? container->failure : "the sandbox is being stopped");
    pthread_mutex_unlock(&d->lock);
    return state == CONTAINER_CREATING ? call_over(call, "the container to be made") : error;
}

/* Its creation's reply was lost, and kubelet has gone on: nobody will ever start it. */
static void superseded_remove(struct pod *pod, const Runtime__V1__ContainerMetadata *metadata)
{
    size_t count = 0;
    struct container **containers = table_containers_of(pod, &count);

    for (size_t i = 0; i < count; i++) {
        const Runtime__V1__ContainerMetadata *own = containers[i]->config->metadata;
        if (!strcmp(own->name, metadata->name) && own->attempt < metadata->attempt &&
            container_state_get(containers[i]) == CONTAINER_CREATED)
            error_free(container_move(containers[i], CONTAINER_REMOVING, true));
    }
    containers_release(containers, count);
}

static struct error *container_run_once(struct pod *pod, const struct ipc_call *call,
                                        const struct wanted_container *wanted, char **ret_id, bool *ret_again)
{
    auto_container container = NULL;
    bool is_new = false;

    *ret_again = false;
    TRY(container_claim(pod, wanted, &container, &is_new));
    if (is_new) {
        superseded_remove(pod, wanted->parsed->metadata);
        container_begin(container);
    }
    struct error *error = is_new ? NULL : container_judge(container, wanted, ret_again);
    if (!error)
        error = *ret_again ? container_await_key(container, call) : container_await(container, call);
    container_leave(container);
    if (!error && !*ret_again)
        *ret_id = xstrdup(container->record->id);
    return error;
}

static struct error *request_check(const Runtime__V1__CreateContainerRequest *request)
{
    if (!request->config)
        return error_new(ERROR_INVALID_ARGUMENT, "the container configuration is missing");
    if (!request->config->metadata)
        return error_new(ERROR_INVALID_ARGUMENT, "the container configuration has no metadata");
    if (!request->config->image || !*request->config->image->image)
        return error_new(ERROR_INVALID_ARGUMENT, "the container configuration names no image");
    return NULL;
}

struct error *container_run(struct sandboxd *d, const struct ipc_call *call,
                            Runtime__V1__CreateContainerRequest *request, char **ret_id)
{
    auto_pod pod = NULL;
    bool again = true;

    TRY(request_check(request));
    TRY(table_find_pod(d, request->pod_sandbox_id, &pod));
    TRY(spec_validate_container(request->config, pod->config, &d->host));
    struct wanted_container wanted = {.parsed = request->config};
    wanted.config = canonical_container_config(request->config, &wanted.config_size);
    struct error *error = NULL;
    while (again && !error)
        error = container_run_once(pod, call, &wanted, ret_id, &again);
    free(wanted.config);
    if (!error)
        return NULL;
    return error_wrap(error, "create container %s", request->config->metadata->name);
}

static struct error *container_await_joiner(struct container *container)
{
    struct sandboxd *d = container->d;

    pthread_mutex_lock(&d->lock);
    while (container->joiners == 0 && !is_abandoned(container->joiners, container->alone_since_ns) &&
           container->pod->record->state == POD_READY)
        condition_wait(d, &container->pod->changed, WAIT_SLICE_MS);
    bool is_joined = container->joiners > 0;
    pthread_mutex_unlock(&d->lock);
    return is_joined ? NULL : error_new(ERROR_CANCELLED, "nobody has waited for the container for %d s", JOIN_GRACE_S);
}

struct error *container_create(struct container *container)
{
    struct error *error = container_create_steps(container);

    if (!error)
        error = container_await_joiner(container);
    if (!error)
        error = container_move(container, CONTAINER_CREATED, false);
    if (error)
        container_fail(container, error);
    else
        container_created(container);
    return NULL;
}
