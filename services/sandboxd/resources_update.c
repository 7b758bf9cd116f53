/* Which files a change of resources writes, what they say before, and the order in which all is done and undone. */
#include "services/sandboxd/resources_update.h"

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
#include "services/sandboxd/pod_shim.h"
#include "services/sandboxd/spec/resources.h"
#include "services/sandboxd/spec/validate.h"
#include "services/sandboxd/stats.h"

enum { STEP_LIMIT_S = 90, CONFIG_JSON_MAX = 16 << 20, CGROUP_FILE_MAX = 64 << 10 };

typedef Runtime__V1__LinuxContainerResources resources_message;

bool container_lives(struct container *container)
{
    uint32_t state = container_state_get(container);

    return state == CONTAINER_CREATED || state == CONTAINER_RUNNING;
}

struct error *container_not_running(const struct container *container)
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
        return container_not_running(container);
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

struct error *resources_update_compose(struct container *container, const resources_message *asked, const resources_message *merged,
                                       Bulkhead__ResourcesUpdate **ret)
{
    auto_resource_settings settings = {0};
    struct sandboxd *d = container->d;

    TRY(validate_resources(merged, &d->host));
    TRY(memory_check(container, asked));
    TRY(resources_settings(asked, merged, &d->host, &settings));
    TRY(settings_read(container, &settings));
    pthread_mutex_lock(&d->lock);
    int before = resources_oom_score_adj(container_resources(container), &d->host);
    pthread_mutex_unlock(&d->lock);
    *ret = update_record(container, &settings, merged, before);
    return NULL;
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

void resources_update_forget_steps(struct container *container, const Bulkhead__ResourcesUpdate *update)
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
    if (error && container_lives(container))
        log_error("a refused update of a container's resources could not be undone", "container=%s error=%s",
                  container->record->id, log_quote(error->text));
    error_free(error);
}

struct error *resources_update_do(struct container *container, const Bulkhead__ResourcesUpdate *update, const resources_message *resources)
{
    FAILPOINT("sandboxd.container_update.before_settings");
    struct error *error = settings_write(container, update, false);
    FAILPOINT("sandboxd.container_update.after_settings");
    if (!error)
        error = config_write(container, resources);
    FAILPOINT("sandboxd.container_update.after_config");
    if (error && container_lives(container))
        update_undo(container, update);
    FAILPOINT("sandboxd.container_update.after_undo");
    return error;
}
