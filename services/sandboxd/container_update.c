/* The order in which a container's resources change, and how a change that fails is undone. */
#include "services/sandboxd/container_update.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/failpoint.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/memory.h"
#include "services/sandboxd/directory.h"
#include "services/sandboxd/pod_run.h"
#include "services/sandboxd/pod_shim.h"
#include "services/sandboxd/spec/message.h"
#include "services/sandboxd/spec/resources.h"
#include "services/sandboxd/spec/validate.h"

enum { WAIT_SLICE_MS = 100, STEP_LIMIT_S = 90, CONFIG_JSON_MAX = 16 << 20, CGROUP_FILE_MAX = 64 << 10 };

#define CGROUP_TOP "/sys/fs/cgroup"

typedef Runtime__V1__LinuxContainerResources resources_message;

static bool lives(uint32_t state)
{
    return state == CONTAINER_CREATED || state == CONTAINER_RUNNING;
}

static struct error *not_running(const struct container *container)
{
    return error_new(ERROR_FAILED_PRECONDITION, "container \"%s\" is not created or running", container->record->id);
}

/* --- what is to be done -------------------------------------------------------------------------------------------- */

static void bytes_set(ProtobufCBinaryData *field, const ProtobufCMessage *message)
{
    field->len = protobuf_c_message_get_packed_size(message);
    field->data = xmalloc(field->len + 1);
    protobuf_c_message_pack(message, field->data);
}

static char *cgroup_file(const struct container *container, const char *controller, const char *file)
{
    bool is_v1 = container->d->host.cgroup_version == 1;

    return xasprintf(CGROUP_TOP "%s%s%s%s%s", is_v1 ? "/" : "", is_v1 ? controller : "", container->record->cgroup,
                     *file ? "/" : "", file);
}

static bool cgroup_is_there(const struct container *container, const char *controller)
{
    autofree char *path = cgroup_file(container, controller, "");

    return access(path, F_OK) == 0;
}

/* What the file says before; *ret NULL: there is none, and none is needed. */
static struct error *setting_read(const struct container *container, const struct resource_setting *setting, char **ret)
{
    autofree char *path = cgroup_file(container, setting->controller, setting->file);
    size_t size = 0;
    struct error *error = file_read_all(path, CGROUP_FILE_MAX, ret, &size);

    if (!error) {
        (*ret)[strcspn(*ret, "\n")] = '\0'; /* undone by its first line: of a list by device the others stay as they are */
        return NULL;
    }
    if (error->code != ERROR_NOT_FOUND)
        return error_wrap(error, "%s", setting->field);
    error_free(error);
    if (setting->is_optional)
        return NULL;
    if (!cgroup_is_there(container, setting->controller) && cgroup_is_there(container, "pids"))
        return error_new(ERROR_FAILED_PRECONDITION, "%s: the cgroups of this host have no controller %s", setting->field,
                         setting->controller);
    if (!cgroup_is_there(container, setting->controller))
        return not_running(container);
    return error_new(strcmp(setting->field, "unified") ? ERROR_FAILED_PRECONDITION : ERROR_INVALID_ARGUMENT,
                     "%s: the cgroups of this host have no %s", setting->field, setting->file);
}

static struct error *settings_read(const struct container *container, struct resource_settings *settings)
{
    size_t kept = 0;

    for (size_t i = 0; i < settings->count; i++)
        TRY(setting_read(container, &settings->items[i], &settings->items[i].before));
    for (size_t i = 0; i < settings->count; i++) {
        struct resource_setting *setting = &settings->items[i];
        if (setting->before) {
            settings->items[kept++] = *setting;
            continue;
        }
        free(setting->file);
        free(setting->value);
    }
    settings->count = kept;
    resource_settings_order(settings);
    return NULL;
}

/* Version 1 refuses a limit that it cannot reach by reclaiming; version 2 takes it, and kills until it is reached. */
static struct error *memory_check(const struct container *container, const resources_message *asked)
{
    autofree char *path = cgroup_file(container, "-", "memory.current");
    autofree char *text = NULL;
    size_t size = 0;

    if (container->d->host.cgroup_version != 2 || asked->memory_limit_in_bytes <= 0)
        return NULL;
    struct error *error = file_read_all(path, CGROUP_FILE_MAX, &text, &size);
    int64_t used = error ? 0 : strtoll(text, NULL, 10);
    error_free(error); /* no controller: the setting will say so */
    if (used <= asked->memory_limit_in_bytes)
        return NULL;
    return error_new(ERROR_INVALID_ARGUMENT,
                     "memory_limit_in_bytes: %" PRId64 " is below the %" PRId64 " that the container uses: it would be killed",
                     asked->memory_limit_in_bytes, used);
}

static Bulkhead__ResourceSetting *setting_record(const struct resource_setting *setting)
{
    Bulkhead__ResourceSetting *record = xmalloc(sizeof(*record));

    bulkhead__resource_setting__init(record);
    record->field = xstrdup(setting->field);
    record->controller = xstrdup(setting->controller);
    record->file = xstrdup(setting->file);
    record->value = xstrdup(setting->value);
    record->before = xstrdup(setting->before);
    return record;
}

static Bulkhead__ResourcesUpdate *update_record(const struct container *container, const struct resource_settings *settings,
                                                const resources_message *merged, int oom_score_adj_before)
{
    Bulkhead__ResourcesUpdate *update = xmalloc(sizeof(*update));

    bulkhead__resources_update__init(update);
    update->number = shim_step_new();
    bytes_set(&update->resources, &merged->base);
    update->settings = xcalloc(settings->count + 1, sizeof(*update->settings));
    for (size_t i = 0; i < settings->count; i++)
        update->settings[update->n_settings++] = setting_record(&settings->items[i]);
    update->oom_score_adj_before = oom_score_adj_before;
    update->oom_score_adj = resources_oom_score_adj(merged, &container->d->host);
    return update;
}

/* --- doing it ------------------------------------------------------------------------------------------------------ */

static void settings_put(struct wire_writer *fields, const Bulkhead__ResourcesUpdate *update, bool is_undo)
{
    for (size_t n = 0; n < update->n_settings; n++) {
        const Bulkhead__ResourceSetting *setting = update->settings[is_undo ? update->n_settings - 1 - n : n];
        autofree char *text = xasprintf("%s %s %s %s", setting->field, setting->controller, setting->file,
                                        is_undo ? setting->before : setting->value);
        wire_put_string(fields, SHIM_TAG_SETTING, text);
    }
    if (update->oom_score_adj == update->oom_score_adj_before)
        return;
    autofree char *text = xasprintf("%d %d", is_undo ? update->oom_score_adj : update->oom_score_adj_before,
                                    is_undo ? update->oom_score_adj_before : update->oom_score_adj);
    wire_put_string(fields, SHIM_TAG_OOM_SCORE_ADJ, text);
}

/* The process that writes may be killed, as any may: it is begun again. */
enum { TRIES = 3 };

static uint64_t step_of(const struct container *container, const Bulkhead__ResourcesUpdate *update, bool is_undo, unsigned try)
{
    return shim_step_derive(container->record->id, is_undo ? "update-undo" : "update", update->number + try);
}

static struct error *settings_write_once(struct container *container, const Bulkhead__ResourcesUpdate *update, bool is_undo,
                                         unsigned try)
{
    struct shim_patience patience = {.deadline_ns = clock_boottime_ns() + STEP_LIMIT_S * 1000000000ll};
    struct wire_writer fields = {0};
    auto_shim_reply reply = {0};

    wire_put_string(&fields, SHIM_TAG_CONTAINER, container->record->id);
    wire_put_u64(&fields, SHIM_TAG_FLAGS, is_undo ? SHIM_SET_ALL : 0);
    settings_put(&fields, update, is_undo);
    struct error *error = shim_client_call(pod_shim(container->pod), step_of(container, update, is_undo, try),
                                           SHIM_SET_RESOURCES, &fields, &patience, &reply);
    wire_writer_fini(&fields);
    return error;
}

static struct error *settings_write(struct container *container, const Bulkhead__ResourcesUpdate *update, bool is_undo)
{
    struct error *error = settings_write_once(container, update, is_undo, 0);

    for (unsigned try = 1; try < TRIES && error && error->code == ERROR_INTERNAL; try++) {
        error_free(error);
        error = settings_write_once(container, update, is_undo, try);
    }
    return error;
}

static void steps_forget(struct container *container, const Bulkhead__ResourcesUpdate *update)
{
    for (unsigned try = 0; try < TRIES; try++) {
        shim_client_ack(pod_shim(container->pod), step_of(container, update, false, try));
        shim_client_ack(pod_shim(container->pod), step_of(container, update, true, try));
    }
}

/* What an exec in the container, and whoever reads the bundle, finds. */
static struct error *config_write(struct container *container, const resources_message *resources)
{
    static const resources_message nothing = RUNTIME__V1__LINUX_CONTAINER_RESOURCES__INIT;
    autofree char *path = container_path(container, "config.json");
    autofree char *before = NULL, *after = NULL;
    size_t size = 0;

    TRY(file_read_all(path, CONFIG_JSON_MAX, &before, &size));
    TRY(resources_config(before, size, resources ? resources : &nothing, &container->d->host, &after));
    return directory_write(container->d->containers_fd, container->record->id, "config.json", after);
}

/* Only the thread of the update changes them: read without the lock. */
static void update_undo(struct container *container, const Bulkhead__ResourcesUpdate *update)
{
    struct error *error = settings_write(container, update, true);

    if (!error)
        error = config_write(container, container_resources(container));
    if (error && lives(container_state_get(container)))
        log_error("a refused update of a container's resources could not be undone", "container=%s error=%s",
                  container->record->id, log_quote(error->text));
    error_free(error);
}

static struct error *update_do(struct container *container, const Bulkhead__ResourcesUpdate *update, resources_message *resources)
{
    FAILPOINT("sandboxd.container_update.before_settings");
    struct error *error = settings_write(container, update, false);
    FAILPOINT("sandboxd.container_update.after_settings");
    if (!error)
        error = config_write(container, resources);
    FAILPOINT("sandboxd.container_update.after_config");
    if (error && lives(container_state_get(container)))
        update_undo(container, update);
    FAILPOINT("sandboxd.container_update.after_undo");
    return error;
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
    steps_forget(container, update);
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

    if (!error)
        error = update_do(container, update, resources);
    if (error && !lives(container_state_get(container))) {
        error_free(error);
        error = not_running(container);
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
    bool is_new = container->record->update && !container->is_updating;
    container->is_updating = container->is_updating || is_new;
    pthread_mutex_unlock(&container->d->lock);
    if (is_new)
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

/* Composes the update and saves it; the container is the caller's to update. */
static struct error *update_prepare(struct container *container, const resources_message *asked, const resources_message *merged)
{
    auto_resource_settings settings = {0};
    struct sandboxd *d = container->d;

    TRY(validate_resources(merged, &d->host));
    TRY(memory_check(container, asked));
    TRY(resources_settings(asked, merged, &d->host, &settings));
    TRY(settings_read(container, &settings));
    pthread_mutex_lock(&d->lock);
    int before = resources_oom_score_adj(container_resources(container), &d->host);
    container->record->update = update_record(container, &settings, merged, before);
    pthread_mutex_unlock(&d->lock);
    FAILPOINT("sandboxd.container_update.before_save");
    struct error *error = container_save(container);
    FAILPOINT("sandboxd.container_update.after_save");
    if (!error)
        return NULL;
    pthread_mutex_lock(&d->lock);
    bulkhead__resources_update__free_unpacked(TAKE(container->record->update), NULL);
    pthread_mutex_unlock(&d->lock);
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
    } else if (!is_over && !lives(container->record->state)) {
        error = not_running(container);
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
    struct error *error = update_prepare(container, asked, merged);
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
    if (!lives(container_state_get(container)))
        return not_running(container);
    if (!request->linux) /* annotations alone: nothing here reads any, as with the peers */
        return NULL;
    TRY(validate_resources(request->linux, &container->d->host));
    TRY_TO(update_to(container, call, request->linux), "update the resources of container %s", container->record->id);
    return NULL;
}
