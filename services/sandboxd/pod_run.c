/* Who gets which pod: a retry joins, and nobody hears that a name is reserved. */
#include "services/sandboxd/pod_run.h"

#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/process_id.h"
#include "common/shim_protocol.h"
#include "services/sandboxd/canonical.h"
#include "services/sandboxd/cgroup_driver.h"
#include "services/sandboxd/pod_steps.h"
#include "services/sandboxd/reconcile.h"
#include "services/sandboxd/runtime.h"
#include "services/sandboxd/spec/cgroup_name.h"
#include "services/sandboxd/table.h"

enum { WAIT_SLICE_MS = 100 };

/* What is asked for, checked. */
struct wanted_pod {
    Runtime__V1__PodSandboxMetadata *metadata;
    const char *handler;
    const char *runtime;
    const char *cgroup_parent;
    char *slice; /* NULL: the driver is cgroupfs */
    uint8_t *config;
    size_t config_size;
};

struct error *call_over(const struct ipc_call *call, const char *what)
{
    bool is_late = call->deadline_ns && clock_boottime_ns() >= call->deadline_ns;

    return error_new(is_late ? ERROR_DEADLINE_EXCEEDED : ERROR_CANCELLED, "%s while waiting for %s",
                     is_late ? "the deadline passed" : "the client went away", what);
}

/* Below slices only systemd makes groups: what the shim runs for the pod has its group elsewhere, as it has before the set-up. */
static void cgroup_choose(const struct wanted_pod *wanted, Bulkhead__PodRecord *record)
{
    const char *parent = strcmp(wanted->cgroup_parent, "/") ? wanted->cgroup_parent : "";

    if (wanted->slice) {
        text_set(&record->slice, wanted->slice);
        record->cgroup = xasprintf(SHIM_CGROUP_PARENT "/%s", record->id);
    } else {
        record->cgroup = xasprintf("%s/%s%s", parent, *wanted->cgroup_parent ? "" : "bulkhead-", record->id);
    }
}

static Bulkhead__PodRecord *record_new(const struct wanted_pod *wanted)
{
    Bulkhead__PodRecord *record = xmalloc(sizeof(*record));

    bulkhead__pod_record__init(record);
    record->id = id_new();
    record->config.data = xmemdup(wanted->config, wanted->config_size ? wanted->config_size : 1);
    record->config.len = wanted->config_size;
    text_set(&record->runtime_handler, wanted->handler);
    text_set(&record->runtime, wanted->runtime);
    record->created_at_ns = clock_realtime_ns();
    record->state = POD_CREATING;
    text_set(&record->boot_id, boot_id());
    cgroup_choose(wanted, record);
    return record;
}

/* The claim: the pod with this key, made if there is none; counts the caller among those who wait. */
static struct error *pod_claim(struct sandboxd *d, const struct wanted_pod *wanted, struct pod **ret, bool *ret_is_new)
{
    struct pod *fresh = NULL;

    TRY(pod_new(d, record_new(wanted), &fresh));
    pthread_mutex_lock(&d->lock);
    *ret = table_pod_of_key(d, wanted->metadata);
    *ret_is_new = *ret == NULL;
    if (*ret_is_new) {
        table_add_pod(d, fresh);
        *ret = pod_hold(fresh);
    }
    (*ret)->joiners++;
    pthread_mutex_unlock(&d->lock);
    if (!*ret_is_new)
        pod_release(fresh);
    return NULL;
}

static void pod_leave(struct pod *pod)
{
    pthread_mutex_lock(&pod->d->lock);
    pod->joiners--;
    pod->alone_since_ns = clock_boottime_ns();
    pthread_mutex_unlock(&pod->d->lock);
}

/* Why the creation failed, for all who waited. Takes the error. */
static void pod_fail(struct pod *pod, struct error *error)
{
    pthread_mutex_lock(&pod->d->lock);
    free(pod->failure);
    pod->failure = xstrdup(error->text);
    pod->failure_code = error->code;
    pthread_mutex_unlock(&pod->d->lock);
    log_warn("a pod could not be made and is undone", "pod=%s error=%s", pod->record->id, log_quote(error->text));
    error_free(error);
    error_free(pod_move(pod, POD_UNDOING, true));
}

/* The first thing on disk. After this the worker goes on, in this process or in the next. */
static void pod_begin(struct pod *pod)
{
    struct error *error = pod_directory_make(pod);

    if (!error)
        error = pod_save(pod);
    if (error)
        pod_fail(pod, error);
    pthread_mutex_lock(&pod->d->lock);
    pod->is_begun = true;
    pthread_mutex_unlock(&pod->d->lock);
    pod_kick(pod);
}

/* How this pod answers to the request; NULL and *ret_again: it is going, and the key will be free. */
static struct error *pod_judge(struct pod *pod, const struct wanted_pod *wanted, bool *ret_again)
{
    struct error *error = NULL;

    pthread_mutex_lock(&pod->d->lock);
    const Bulkhead__PodRecord *record = pod->record;
    bool is_same = record->config.len == wanted->config_size &&
                   !memcmp(record->config.data, wanted->config, wanted->config_size) &&
                   !strcmp(record->runtime_handler, wanted->handler);
    *ret_again = record->state == POD_UNDOING || record->state == POD_REMOVING || record->state == POD_GONE;
    if (*ret_again)
        ;
    else if (!is_same)
        error = error_new(ERROR_ALREADY_EXISTS, "sandbox %s has this name, uid and attempt with another configuration",
                          record->id);
    else if (record->state != POD_CREATING && record->state != POD_READY)
        error = error_new(ERROR_FAILED_PRECONDITION, "sandbox %s with this name, uid and attempt is stopped", record->id);
    pthread_mutex_unlock(&pod->d->lock);
    return error;
}

/* Waits while an older holder of the key goes. */
static struct error *pod_await_key(struct pod *pod, const struct ipc_call *call)
{
    struct sandboxd *d = pod->d;

    pthread_mutex_lock(&d->lock);
    while (pod->record->state != POD_GONE && !pod->is_key_free && !ipc_call_is_over(call))
        condition_wait(d, &pod->changed, WAIT_SLICE_MS);
    bool is_free = pod->record->state == POD_GONE || pod->is_key_free;
    pthread_mutex_unlock(&d->lock);
    return is_free ? NULL : call_over(call, "an earlier sandbox of this name to go");
}

/* Waits for the creation's end, and after a failure for the undo's first attempt: a whole effect, or none. */
static struct error *pod_await(struct pod *pod, const struct ipc_call *call)
{
    struct sandboxd *d = pod->d;
    struct error *error = NULL;

    pthread_mutex_lock(&d->lock);
    while ((pod->record->state == POD_CREATING || (pod->record->state == POD_UNDOING && !pod->attempts)) &&
           !ipc_call_is_over(call))
        condition_wait(d, &pod->changed, WAIT_SLICE_MS);
    uint32_t state = pod->record->state;
    if (state == POD_UNDOING || (state == POD_GONE && pod->failure))
        error = error_new(pod->failure_code, "%s", pod->failure ? pod->failure : "the sandbox is being undone");
    pthread_mutex_unlock(&d->lock);
    return state == POD_CREATING ? call_over(call, "the sandbox to be made") : error;
}

static struct error *pod_run_once(struct sandboxd *d, const struct ipc_call *call, const struct wanted_pod *wanted,
                                  char **ret_id, bool *ret_again)
{
    auto_pod pod = NULL;
    bool is_new = false;

    *ret_again = false;
    TRY(pod_claim(d, wanted, &pod, &is_new));
    if (is_new)
        pod_begin(pod);
    struct error *error = is_new ? NULL : pod_judge(pod, wanted, ret_again);
    if (!error)
        error = *ret_again ? pod_await_key(pod, call) : pod_await(pod, call);
    pod_leave(pod);
    if (!error && !*ret_again)
        *ret_id = xstrdup(pod->record->id);
    return error;
}

static struct error *wanted_check(struct sandboxd *d, Runtime__V1__RunPodSandboxRequest *request, struct wanted_pod *ret)
{
    const struct config_runtime *runtime = NULL;

    if (!request->config)
        return error_new(ERROR_INVALID_ARGUMENT, "the sandbox configuration is missing");
    if (!request->config->metadata)
        return error_new(ERROR_INVALID_ARGUMENT, "the sandbox configuration has no metadata");
    TRY(spec_validate_pod(request->config, &d->host));
    TRY(runtime_find(d, request->runtime_handler, &runtime));
    TRY(cgroup_driver_check(d->config));
    ret->metadata = request->config->metadata;
    ret->handler = request->runtime_handler;
    ret->runtime = runtime->name;
    ret->cgroup_parent = request->config->linux ? request->config->linux->cgroup_parent : "";
    if (cgroup_driver_is_systemd(d->config))
        TRY(cgroup_slice_parse(ret->cgroup_parent, &ret->slice));
    ret->config = canonical_pod_config(request->config, &ret->config_size);
    return NULL;
}

struct error *pod_run(struct sandboxd *d, const struct ipc_call *call, Runtime__V1__RunPodSandboxRequest *request,
                      char **ret_id)
{
    struct wanted_pod wanted = {0};
    bool again = true;

    TRY(wanted_check(d, request, &wanted));
    struct error *error = NULL;
    while (again && !error)
        error = pod_run_once(d, call, &wanted, ret_id, &again);
    free(wanted.config);
    free(wanted.slice);
    if (!error)
        return NULL;
    return error_wrap(error, "run pod %s/%s", wanted.metadata->namespace_, wanted.metadata->name);
}

/* A pod that is made, but that nobody waits for, is shown to nobody: it waits for a retry, and then goes. */
static struct error *pod_await_joiner(struct pod *pod)
{
    struct sandboxd *d = pod->d;

    pthread_mutex_lock(&d->lock);
    while (pod->joiners == 0 && !is_abandoned(pod->joiners, pod->alone_since_ns))
        condition_wait(d, &pod->changed, WAIT_SLICE_MS);
    bool is_joined = pod->joiners > 0;
    pthread_mutex_unlock(&d->lock);
    return is_joined ? NULL : error_new(ERROR_CANCELLED, "nobody has waited for the sandbox for %d s", JOIN_GRACE_S);
}

struct error *pod_create(struct pod *pod)
{
    struct error *error = pod_create_steps(pod);

    if (!error)
        error = pod_await_joiner(pod);
    if (!error)
        error = pod_move(pod, POD_READY, false);
    if (error)
        pod_fail(pod, error);
    return NULL;
}
