/* How a pod comes to be in memory and on disk, and moves from state to state. */
#include "services/sandboxd/pod.h"

#include <unistd.h>

#include "common/clock.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/record.h"
#include "services/sandboxd/directory.h"
#include "services/sandboxd/events.h"
#include "services/sandboxd/sampler.h"

struct error *pod_new(struct sandboxd *d, Bulkhead__PodRecord *record, struct pod **ret)
{
    Runtime__V1__PodSandboxConfig *config =
        runtime__v1__pod_sandbox_config__unpack(NULL, record->config.len, record->config.data);

    if (!config || !config->metadata) {
        if (config)
            runtime__v1__pod_sandbox_config__free_unpacked(config, NULL);
        return error_new(ERROR_DATA_LOSS, "the configuration in the record of pod %s does not parse", record->id);
    }
    struct pod *pod = xcalloc(1, sizeof(*pod));
    pod->d = d;
    pod->references = 1;
    pod->record = record;
    pod->config = config;
    pod->net_fd = -1;
    pod->alone_since_ns = clock_boottime_ns();
    pthread_mutex_init(&pod->save_lock, NULL);
    condition_init(&pod->changed);
    *ret = pod;
    return NULL;
}

struct pod *pod_hold(struct pod *pod)
{
    pod->references++;
    return pod;
}

static void pod_free(struct pod *pod)
{
    shim_client_free(pod->shim);
    bulkhead__pod_record__free_unpacked(pod->record, NULL);
    runtime__v1__pod_sandbox_config__free_unpacked(pod->config, NULL);
    pthread_cond_destroy(&pod->changed);
    pthread_mutex_destroy(&pod->save_lock);
    if (pod->net_fd >= 0)
        close(pod->net_fd);
    free(pod->failure);
    free(pod);
}

void pod_release(struct pod *pod)
{
    struct sandboxd *d = pod->d;

    pthread_mutex_lock(&d->lock);
    bool is_last = --pod->references == 0;
    pthread_mutex_unlock(&d->lock);
    if (is_last)
        pod_free(pod);
}

/* Packs the record as it would be in `state`. d->lock held. */
static uint8_t *pod_pack(struct pod *pod, uint32_t state, size_t *ret_size)
{
    uint32_t present = pod->record->state;

    pod->record->state = state;
    *ret_size = bulkhead__pod_record__get_packed_size(pod->record);
    uint8_t *data = xmalloc(*ret_size + 1);
    bulkhead__pod_record__pack(pod->record, data);
    pod->record->state = present;
    return data;
}

static struct error *pod_write(struct pod *pod, const uint8_t *data, size_t size)
{
    autoclose int fd = -1;

    TRY(directory_open(pod->d->pods_fd, pod->record->id, &fd));
    TRY_TO(record_save(fd, "record", "pod", POD_RECORD_VERSION, data, size), "save the record of pod %s",
           pod->record->id);
    return NULL;
}

struct error *pod_save(struct pod *pod)
{
    size_t size;

    pthread_mutex_lock(&pod->save_lock);
    pthread_mutex_lock(&pod->d->lock);
    autofree uint8_t *data = pod_pack(pod, pod->record->state, &size);
    pthread_mutex_unlock(&pod->d->lock);
    struct error *error = pod_write(pod, data, size);
    pthread_mutex_unlock(&pod->save_lock);
    return error;
}

void pod_notify(struct pod *pod)
{
    pthread_cond_broadcast(&pod->changed);
}

static void pod_set_state(struct pod *pod, uint32_t state)
{
    pthread_mutex_lock(&pod->d->lock);
    log_info("pod moved", "pod=%s from=%s to=%s", pod->record->id, pod_state_name(pod->record->state),
             pod_state_name(state));
    enum event_phase before = events_phase_of_pod(pod);
    pod->record->state = state;
    pod->attempts = 0;
    events_pod_moved(pod, before);
    pod_notify(pod);
    sampler_kick(pod->d);
    pthread_mutex_unlock(&pod->d->lock);
}

/* save_lock held. */
static struct error *pod_move_saved(struct pod *pod, enum pod_state state, bool is_forced)
{
    size_t size = 0;

    pthread_mutex_lock(&pod->d->lock);
    bool may_move = pod_state_may_move(pod->record->state, state);
    autofree uint8_t *data = may_move ? pod_pack(pod, state, &size) : NULL;
    uint32_t from = pod->record->state;
    pthread_mutex_unlock(&pod->d->lock);
    if (!may_move)
        return error_new(ERROR_FAILED_PRECONDITION, "pod %s is %s, and cannot become %s", pod->record->id,
                         pod_state_name(from), pod_state_name(state));
    if (state != POD_GONE) {
        autoptr(error) error = pod_write(pod, data, size);
        if (error && !is_forced)
            return TAKE(error);
        if (error)
            log_warn("a pod's move could not be saved", "pod=%s error=%s", pod->record->id, log_quote(error->text));
    }
    FAILPOINT("sandboxd.pod.move_saved");
    pod_set_state(pod, state);
    return NULL;
}

struct error *pod_move(struct pod *pod, enum pod_state state, bool is_forced)
{
    pthread_mutex_lock(&pod->save_lock);
    struct error *error = pod_move_saved(pod, state, is_forced);
    pthread_mutex_unlock(&pod->save_lock);
    return error;
}

struct error *pod_directory_make(struct pod *pod)
{
    return directory_make(pod->d->pods_fd, pod->record->id);
}

void pod_directory_remove(struct pod *pod)
{
    directory_remove(pod->d->pods_fd, pod->record->id);
}

char *pod_path(const struct pod *pod, const char *file)
{
    return xasprintf("%s/pods/%s%s%s", pod->d->root, pod->record->id, *file ? "/" : "", file);
}

const char *pod_containers_cgroup(const struct pod *pod)
{
    return *pod->record->slice ? pod->record->slice : pod->record->cgroup;
}

bool pod_has_network(const struct pod *pod)
{
    const Runtime__V1__LinuxPodSandboxConfig *linux = pod->config->linux;

    return !linux || !linux->security_context || !linux->security_context->namespace_options ||
           linux->security_context->namespace_options->network != RUNTIME__V1__NAMESPACE_MODE__NODE;
}

uint32_t pod_state_get(struct pod *pod)
{
    pthread_mutex_lock(&pod->d->lock);
    uint32_t state = pod->record->state;
    pthread_mutex_unlock(&pod->d->lock);
    return state;
}
