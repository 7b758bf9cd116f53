/* How a container comes to be in memory and on disk, and moves from state to state. */
#include "services/sandboxd/container.h"

#include "common/clock.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/record.h"
#include "services/sandboxd/directory.h"
#include "services/sandboxd/events.h"
#include "services/sandboxd/sampler.h"

struct error *container_new(struct pod *pod, Bulkhead__ContainerRecord *record, struct container **ret)
{
    Runtime__V1__ContainerConfig *config =
        runtime__v1__container_config__unpack(NULL, record->config.len, record->config.data);

    if (!config || !config->metadata) {
        if (config)
            runtime__v1__container_config__free_unpacked(config, NULL);
        return error_new(ERROR_DATA_LOSS, "the configuration in the record of container %s does not parse", record->id);
    }
    struct container *container = xcalloc(1, sizeof(*container));
    if (record->resources.len)
        container->resources =
            runtime__v1__linux_container_resources__unpack(NULL, record->resources.len, record->resources.data);
    container->d = pod->d;
    pthread_mutex_lock(&pod->d->lock);
    container->pod = pod_hold(pod);
    pthread_mutex_unlock(&pod->d->lock);
    container->references = 1;
    container->record = record;
    container->config = config;
    container->pidfd = -1;
    container->alone_since_ns = clock_boottime_ns();
    *ret = container;
    return NULL;
}

struct container *container_hold(struct container *container)
{
    container->references++;
    return container;
}

static void container_free(struct container *container)
{
    if (container->pidfd >= 0)
        close(container->pidfd);
    bulkhead__container_record__free_unpacked(container->record, NULL);
    runtime__v1__container_config__free_unpacked(container->config, NULL);
    if (container->resources)
        runtime__v1__linux_container_resources__free_unpacked(container->resources, NULL);
    pod_release(container->pod);
    free(container->failure);
    free(container->update_failure);
    free(container);
}

void container_release(struct container *container)
{
    struct sandboxd *d = container->d;

    pthread_mutex_lock(&d->lock);
    bool is_last = --container->references == 0;
    pthread_mutex_unlock(&d->lock);
    if (is_last)
        container_free(container);
}

/* d->lock held. */
static uint8_t *container_pack(const Bulkhead__ContainerRecord *record, size_t *ret_size)
{
    *ret_size = bulkhead__container_record__get_packed_size(record);
    uint8_t *data = xmalloc(*ret_size + 1);
    bulkhead__container_record__pack(record, data);
    return data;
}

static struct error *container_write(struct container *container, const uint8_t *data, size_t size)
{
    autoclose int fd = -1;

    TRY(directory_open(container->d->containers_fd, container->record->id, &fd));
    TRY_TO(record_save(fd, "record", "container", CONTAINER_RECORD_VERSION, data, size),
           "save the record of container %s", container->record->id);
    return NULL;
}

struct error *container_save(struct container *container)
{
    size_t size;

    pthread_mutex_lock(&container->pod->save_lock);
    pthread_mutex_lock(&container->d->lock);
    autofree uint8_t *data = container_pack(container->record, &size);
    pthread_mutex_unlock(&container->d->lock);
    struct error *error = container_write(container, data, size);
    pthread_mutex_unlock(&container->pod->save_lock);
    return error;
}

/* A start that was only found out about after a shim's death, or a clock set back, is not later than the end. */
static int64_t start_before_end(int64_t started_at_ns, const struct container_exit *exit)
{
    return exit->finished_at_ns && started_at_ns > exit->finished_at_ns ? exit->finished_at_ns : started_at_ns;
}

/* What the record shall say once the move is saved: a copy that shares all text but the exit's. */
static void record_after(Bulkhead__ContainerRecord *after, uint32_t state, const struct container_exit *exit)
{
    after->state = state;
    if (!exit)
        return;
    after->exit_code = exit->exit_code;
    after->started_at_ns = start_before_end(after->started_at_ns, exit);
    after->finished_at_ns = exit->finished_at_ns;
    after->reason = (char *)exit->reason;
    after->message = (char *)(exit->message ? exit->message : "");
}

static void container_set(struct container *container, uint32_t state, const struct container_exit *exit)
{
    Bulkhead__ContainerRecord *record = container->record;

    pthread_mutex_lock(&container->d->lock);
    log_info("container moved", "container=%s pod=%s from=%s to=%s exit_code=%d", record->id, record->sandbox_id,
             container_state_name(record->state), container_state_name(state),
             exit ? exit->exit_code : record->exit_code);
    enum event_phase before = events_phase_of_container(container);
    record->state = state;
    if (exit) {
        record->exit_code = exit->exit_code;
        record->started_at_ns = start_before_end(record->started_at_ns, exit);
        record->finished_at_ns = exit->finished_at_ns;
        text_set(&record->reason, exit->reason);
        text_set(&record->message, exit->message);
    }
    container->attempts = 0;
    events_container_moved(container, before);
    pod_notify(container->pod);
    sampler_kick(container->d);
    pthread_mutex_unlock(&container->d->lock);
}

/* save_lock held. */
static struct error *container_move_saved(struct container *container, uint32_t state, const struct container_exit *exit,
                                          bool is_forced)
{
    size_t size = 0;

    pthread_mutex_lock(&container->d->lock);
    uint32_t from = container->record->state;
    bool may_move = container_state_may_move(from, state);
    Bulkhead__ContainerRecord after = *container->record;
    record_after(&after, state, exit);
    autofree uint8_t *data = container_pack(&after, &size);
    pthread_mutex_unlock(&container->d->lock);
    if (!may_move)
        return error_new(ERROR_FAILED_PRECONDITION, "container %s is %s, and cannot become %s", container->record->id,
                         container_state_name(from), container_state_name(state));
    if (state != CONTAINER_GONE) {
        autoptr(error) error = container_write(container, data, size);
        if (error && !is_forced)
            return TAKE(error);
        if (error)
            log_warn("a container's move could not be saved", "container=%s error=%s", container->record->id,
                     log_quote(error->text));
    }
    FAILPOINT("sandboxd.container.move_saved");
    container_set(container, state, exit);
    return NULL;
}

struct error *container_move(struct container *container, enum container_state state, bool is_forced)
{
    pthread_mutex_lock(&container->pod->save_lock);
    struct error *error = container_move_saved(container, state, NULL, is_forced);
    pthread_mutex_unlock(&container->pod->save_lock);
    return error;
}

struct error *container_move_exited(struct container *container, const struct container_exit *exit)
{
    pthread_mutex_lock(&container->pod->save_lock);
    struct error *error = container_move_saved(container, CONTAINER_EXITED, exit, false);
    if (error && error->code != ERROR_FAILED_PRECONDITION) { /* no space, say: true in memory, and asked for again */
        log_warn("an exit could not be saved", "container=%s error=%s", container->record->id, log_quote(error->text));
        container_set(container, CONTAINER_EXITED, exit);
    }
    pthread_mutex_unlock(&container->pod->save_lock);
    return error;
}

const Runtime__V1__LinuxContainerResources *container_resources(const struct container *container)
{
    if (container->resources)
        return container->resources;
    return container->config->linux ? container->config->linux->resources : NULL;
}

struct error *container_directory_make(struct container *container)
{
    return directory_make(container->d->containers_fd, container->record->id);
}

void container_directory_remove(struct container *container)
{
    directory_remove(container->d->containers_fd, container->record->id);
}

char *container_path(const struct container *container, const char *file)
{
    return xasprintf("%s/containers/%s%s%s", container->d->root, container->record->id, *file ? "/" : "", file);
}

uint32_t container_state_get(struct container *container)
{
    pthread_mutex_lock(&container->d->lock);
    uint32_t state = container->record->state;
    pthread_mutex_unlock(&container->d->lock);
    return state;
}
