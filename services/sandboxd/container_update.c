/* Whose update of a container is done now, by which thread, and what its callers hear. */
#include "services/sandboxd/container_update.h"

#include <stdlib.h>
#include <string.h>

#include "common/failpoint.h"
#include "common/log.h"
#include "common/memory.h"
#include "services/sandboxd/pod_run.h"
#include "services/sandboxd/resources_update.h"
#include "services/sandboxd/spec/message.h"
#include "services/sandboxd/spec/resources.h"
#include "services/sandboxd/spec/validate.h"

enum { WAIT_SLICE_MS = 100 };

typedef Runtime__V1__LinuxContainerResources resources_message;

/* d->lock held. */
static bool lives(const struct container *container)
{
    return container->record->state == CONTAINER_CREATED || container->record->state == CONTAINER_RUNNING;
}

static void bytes_set(ProtobufCBinaryData *field, const ProtobufCMessage *message)
{
    field->len = protobuf_c_message_get_packed_size(message);
    field->data = xmalloc(field->len + 1);
    protobuf_c_message_pack(message, field->data);
}

/* d->lock held. Takes resources. */
static void resources_take(struct container *container, resources_message *resources)
{
    Bulkhead__ContainerRecord *record = container->record;

    free(record->resources.data);
    bytes_set(&record->resources, &resources->base);
    if (container->resources)
        runtime__v1__linux_container_resources__free_unpacked(container->resources, NULL);
    container->resources = resources;
}

/* Takes the error, and resources. */
static void update_finish(struct container *container, struct error *error, resources_message *resources)
{
    pthread_mutex_lock(&container->d->lock);
    Bulkhead__ResourcesUpdate *update = container->record->update;
    if (!error)
        resources_take(container, TAKE(resources));
    container->record->update = NULL;
    pthread_mutex_unlock(&container->d->lock);
    struct error *unsaved = container_save(container);
    if (unsaved) /* a successor does it once more, with the same end */
        log_warn("the end of an update could not be saved", "container=%s error=%s", container->record->id, log_quote(unsaved->text));
    error_free(unsaved);
    log_info("an update of a container's resources is over", "container=%s error=%s", container->record->id,
             error ? log_quote(error->text) : "");
    if (pod_state_get(container->pod) == POD_READY)
        resources_update_forget_steps(container, update);
    pthread_mutex_lock(&container->d->lock);
    free(container->update_failure);
    container->update_failure = error ? xstrdup(error->text) : NULL;
    container->update_failure_code = error ? (int)error->code : 0;
    container->updates++;
    container->is_updating = false;
    pod_notify(container->pod);
    pthread_mutex_unlock(&container->d->lock);
    bulkhead__resources_update__free_unpacked(update, NULL);
    if (resources)
        runtime__v1__linux_container_resources__free_unpacked(resources, NULL);
    error_free(error);
}

static void *update_run(void *argument)
{
    struct container *container = argument;
    const Bulkhead__ResourcesUpdate *update = container->record->update; /* ours until the end */
    resources_message *resources =
        runtime__v1__linux_container_resources__unpack(NULL, update->resources.len, update->resources.data);
    struct error *error = resources ? NULL : error_new(ERROR_DATA_LOSS, "the resources in the record do not parse");

    bool is_begun = !error && container_lives(container); /* else no shim is begun for it */
    if (is_begun)
        error = resources_update_do(container, update, resources);
    if ((error || !is_begun) && !container_lives(container)) {
        error_free(error);
        error = container_not_running(container);
    }
    update_finish(container, error, resources);
    container_release(container);
    return NULL;
}

/* The thread's; it holds the container. */
static void update_start(struct container *container)
{
    pthread_mutex_lock(&container->d->lock);
    container_hold(container);
    pthread_mutex_unlock(&container->d->lock);
    sandboxd_thread(update_run, container);
}

void container_update_resume(struct container *container)
{
    pthread_mutex_lock(&container->d->lock);
    bool is_left = container->has_update_left;
    container->has_update_left = false;
    pthread_mutex_unlock(&container->d->lock);
    if (is_left)
        update_start(container);
}

/* --- the call ------------------------------------------------------------------------------------------------------ */

/* The text of a failure that is not an update's own. */
static struct error *update_result(const struct container *container)
{
    if (!container->update_failure)
        return NULL;
    return error_new(container->update_failure_code, "%s", container->update_failure);
}

/* Saves the update before anything is done; the container is the caller's to update. */
static struct error *update_record_save(struct container *container, Bulkhead__ResourcesUpdate *update)
{
    pthread_mutex_lock(&container->d->lock);
    container->record->update = update;
    pthread_mutex_unlock(&container->d->lock);
    FAILPOINT("sandboxd.container_update.before_save");
    struct error *error = container_save(container);
    FAILPOINT("sandboxd.container_update.after_save");
    if (!error)
        return NULL;
    pthread_mutex_lock(&container->d->lock);
    container->record->update = NULL;
    pthread_mutex_unlock(&container->d->lock);
    bulkhead__resources_update__free_unpacked(update, NULL);
    return error;
}

static void update_give_up(struct container *container)
{
    pthread_mutex_lock(&container->d->lock);
    container->is_updating = false;
    pod_notify(container->pod);
    pthread_mutex_unlock(&container->d->lock);
}

/* The update under way sets what this call asks for. d->lock held. */
static bool is_same_update(const struct container *container, const resources_message *asked)
{
    const Bulkhead__ResourcesUpdate *update = container->record->update;
    resources_message *merged = update ? resources_merge(container_resources(container), asked) : NULL;
    ProtobufCBinaryData bytes = {0};

    if (!merged)
        return false;
    bytes_set(&bytes, &merged->base);
    bool is_same = bytes.len == update->resources.len && memcmp(bytes.data, update->resources.data, bytes.len) == 0;
    free(bytes.data);
    runtime__v1__linux_container_resources__free_unpacked(merged, NULL);
    return is_same;
}

/* Waits until no other update is under way and claims the container; or joins one (*ret_joined), and waits for its end. */
static struct error *update_claim(struct container *container, const struct ipc_call *call, const resources_message *asked,
                                  bool *ret_joined, resources_message **ret_merged)
{
    struct sandboxd *d = container->d;
    struct error *error = NULL;

    pthread_mutex_lock(&d->lock);
    unsigned updates = container->updates;
    bool is_joined = is_same_update(container, asked), is_over = false;
    while (container->is_updating && !(is_joined && container->updates != updates) && !(is_over = ipc_call_is_over(call)))
        condition_wait(d, &container->pod->changed, WAIT_SLICE_MS);
    *ret_joined = is_joined && container->updates != updates;
    if (*ret_joined) {
        error = update_result(container);
    } else if (!is_over && !lives(container)) {
        error = container_not_running(container);
    } else if (!is_over) {
        container->is_updating = true;
        *ret_merged = resources_merge(container_resources(container), asked);
    }
    pthread_mutex_unlock(&d->lock);
    return is_over ? call_over(call, "another update of the container") : error;
}

static struct error *update_await(struct container *container, const struct ipc_call *call, unsigned updates)
{
    struct sandboxd *d = container->d;

    pthread_mutex_lock(&d->lock);
    bool is_over = false;
    while (container->updates == updates && !(is_over = ipc_call_is_over(call)))
        condition_wait(d, &container->pod->changed, WAIT_SLICE_MS);
    struct error *error = is_over ? NULL : update_result(container);
    pthread_mutex_unlock(&d->lock);
    return is_over ? call_over(call, "the update of the container") : error;
}

static struct error *update_to(struct container *container, const struct ipc_call *call, const resources_message *asked)
{
    resources_message *merged = NULL;
    bool is_joined = false;

    TRY(update_claim(container, call, asked, &is_joined, &merged));
    if (is_joined)
        return NULL;
    unsigned updates = container->updates; /* whoever claims is the only one to count on */
    Bulkhead__ResourcesUpdate *update = NULL;
    struct error *error = resources_update_compose(container, asked, merged, &update);
    if (!error)
        error = update_record_save(container, update);
    runtime__v1__linux_container_resources__free_unpacked(merged, NULL);
    if (error) {
        update_give_up(container);
        return error;
    }
    update_start(container);
    return update_await(container, call, updates);
}

struct error *container_update(struct container *container, const struct ipc_call *call,
                               const Runtime__V1__UpdateContainerResourcesRequest *request)
{
    if (request->windows)
        return validate_unsupported("windows");
    TRY(message_check_utf8(&request->base));
    if (!container_lives(container))
        return container_not_running(container);
    if (!request->linux) /* annotations alone: nothing here reads any, as with the peers */
        return NULL;
    TRY(validate_resources(request->linux, &container->d->host));
    TRY_TO(update_to(container, call, request->linux), "update the resources of container %s", container->record->id);
    return NULL;
}
