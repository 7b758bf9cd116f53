/* When what is sampled, and by which thread: a shim that does not answer keeps one thread of its own waiting, and nobody else. */
#include "services/sandboxd/sampler.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "services/sandboxd/container_steps.h"
#include "services/sandboxd/pod_net.h"
#include "services/sandboxd/pod_shim.h"
#include "services/sandboxd/stats.h"
#include "services/sandboxd/table.h"

/* A walk that takes long is repeated the less often: it costs a twentieth of the time at most. */
enum {
    TICK_MS = 1000,
    MEASURE_EVERY_S = 10,
    MEASURE_REST = 20,
    MEASURE_LIMIT_S = 660,
    YOUNG_MAX = 4, /* measurements under way that were begun less than YOUNG_MS ago: more wait for one of them */
    YOUNG_MS = 1000,
    AWAIT_MS = 3000
};

static bool call_is_over(void *argument)
{
    return container_state_get(argument) != CONTAINER_RUNNING;
}

void sampler_kick(struct sandboxd *d)
{
    d->has_sample_news = true;
    pthread_cond_broadcast(&d->samples_changed);
}

/* --- one container's measurement ----------------------------------------------------------------------------------- */

static struct error *measure(struct container *container, struct measurement *ret)
{
    struct shim_patience patience = {.is_over = call_is_over,
                                     .argument = container,
                                     .deadline_ns = clock_boottime_ns() + MEASURE_LIMIT_S * 1000000000ll};
    uint64_t step = container_measure_step(container);
    struct wire_writer fields = {0};
    auto_shim_reply reply = {0};

    wire_put_string(&fields, SHIM_TAG_CONTAINER, container->record->id);
    struct error *error = shim_client_call(pod_shim(container->pod), step, SHIM_MEASURE, &fields, &patience, &reply);
    wire_writer_fini(&fields);
    shim_client_ack(pod_shim(container->pod), step);
    TRY(error);
    uint64_t device = shim_reply_u64(&reply, SHIM_TAG_FS_DEVICE);
    *ret = (struct measurement){
        .at_ns = clock_realtime_ns(),
        .bytes = shim_reply_u64(&reply, SHIM_TAG_BYTES),
        .inodes = shim_reply_u64(&reply, SHIM_TAG_INODES),
        .fs_bytes = shim_reply_u64(&reply, SHIM_TAG_FS_BYTES),
        .fs_inodes = shim_reply_u64(&reply, SHIM_TAG_FS_INODES),
        .fs_inodes_free = shim_reply_u64(&reply, SHIM_TAG_FS_INODES_FREE),
        .fs_major = (unsigned)(device >> 32),
        .fs_minor = (unsigned)device,
        .fds = shim_reply_u64(&reply, SHIM_TAG_FDS),
        .sockets = shim_reply_u64(&reply, SHIM_TAG_SOCKETS),
    };
    return NULL;
}

static void *measure_run(void *argument)
{
    struct container *container = argument;
    struct measurement measurement;
    struct error *error = measure(container, &measurement);

    pthread_mutex_lock(&container->d->lock);
    int64_t now_ns = clock_boottime_ns(), rest_ns = (now_ns - container->measuring_since_ns) * MEASURE_REST;
    if (!error)
        container->measurement = measurement;
    container->measure_at_ns = now_ns + (rest_ns > MEASURE_EVERY_S * 1000000000ll ? rest_ns : MEASURE_EVERY_S * 1000000000ll);
    container->measuring_since_ns = 0;
    container->measures++;
    sampler_kick(container->d);
    pthread_mutex_unlock(&container->d->lock);
    if (error && !call_is_over(container))
        log_warn("a container could not be measured", "container=%s error=%s", container->record->id, log_quote(error->text));
    error_free(error);
    container_release(container);
    return NULL;
}

static unsigned young_count(const struct sandboxd *d, int64_t now_ns)
{
    unsigned count = 0;

    for (const struct container *container = d->containers; container; container = container->next)
        count += container->measuring_since_ns && now_ns - container->measuring_since_ns < YOUNG_MS * 1000000ll;
    return count;
}

/* The one that has waited longest, held and claimed, or NULL. */
static struct container *measure_claim(struct sandboxd *d)
{
    int64_t now_ns = clock_boottime_ns();
    struct container *first = NULL;

    pthread_mutex_lock(&d->lock);
    bool has_room = young_count(d, now_ns) < YOUNG_MAX;
    for (struct container *container = d->containers; has_room && container; container = container->next)
        if (container->record->state == CONTAINER_RUNNING && !container->measuring_since_ns && container->measure_at_ns <= now_ns &&
            (!first || container->measure_at_ns < first->measure_at_ns))
            first = container;
    if (first) {
        first->measuring_since_ns = now_ns;
        container_hold(first);
    }
    pthread_mutex_unlock(&d->lock);
    return first;
}

/* --- CPU time -------------------------------------------------------------------------------------------------------- */

static bool cpu_time_read(const struct sandboxd *d, const char *cgroup, struct cpu_sample *ret)
{
    struct cgroup_place place = {CGROUP_TOP, d->host.cgroup_version, cgroup};

    ret->at_ns = clock_boottime_ns();
    struct error *error = cgroup_cpu_read(&place, &ret->usage_ns);
    error_free(error); /* it has ended meanwhile */
    return !error;
}

static void container_sample(struct container *container)
{
    struct cpu_sample sample;
    bool is_read = cpu_time_read(container->d, container->record->cgroup, &sample);

    pthread_mutex_lock(&container->d->lock);
    if (is_read)
        cpu_rate_note(&container->cpu_rate, sample);
    pthread_mutex_unlock(&container->d->lock);
}

static void pod_sample(struct pod *pod)
{
    struct cpu_sample sample;
    bool is_read = cpu_time_read(pod->d, pod_containers_cgroup(pod), &sample);

    pthread_mutex_lock(&pod->d->lock);
    if (is_read)
        cpu_rate_note(&pod->cpu_rate, sample);
    pthread_mutex_unlock(&pod->d->lock);
}

/* now_ns: BOOTTIME. */
static bool container_is_due(const struct container *container, const void *now_ns)
{
    return container->record->state == CONTAINER_RUNNING && cpu_rate_is_due(&container->cpu_rate, *(const int64_t *)now_ns);
}

static bool pod_is_due(const struct pod *pod, const void *now_ns)
{
    return pod->record->state == POD_READY && cpu_rate_is_due(&pod->cpu_rate, *(const int64_t *)now_ns);
}

/* The kernel's files do not wait for anybody: one thread reads them all. */
static void cpu_times_sample(struct sandboxd *d)
{
    int64_t now_ns = clock_boottime_ns();
    size_t count = 0, pod_count = 0;
    struct container **containers = table_containers(d, container_is_due, &now_ns, &count);
    struct pod **pods = table_pods(d, pod_is_due, &now_ns, &pod_count);

    for (size_t i = 0; i < count; i++)
        container_sample(containers[i]);
    for (size_t i = 0; i < pod_count; i++)
        pod_sample(pods[i]);
    containers_release(containers, count);
    pods_release(pods, pod_count);
}

/* --- the thread ------------------------------------------------------------------------------------------------------ */

static void *sampler_run(void *argument)
{
    struct sandboxd *d = argument;

    for (;;) {
        struct container *container;
        cpu_times_sample(d);
        pod_net_open_all(d);
        while ((container = measure_claim(d)))
            sandboxd_thread(measure_run, container);
        pthread_mutex_lock(&d->lock);
        if (!d->has_sample_news)
            condition_wait(d, &d->samples_changed, TICK_MS);
        d->has_sample_news = false;
        pthread_mutex_unlock(&d->lock);
    }
    return NULL;
}

static bool is_new(unsigned finished, int64_t since_ns, int64_t now_ns)
{
    return finished == 0 && (!since_ns || now_ns - since_ns < AWAIT_MS * 1000000ll);
}

/* d->lock held. */
static bool has_new(const struct sandboxd *d, int64_t now_ns)
{
    for (const struct container *container = d->containers; container; container = container->next)
        if (container->record->state == CONTAINER_RUNNING && is_new(container->measures, container->measuring_since_ns, now_ns))
            return true;
    for (const struct pod *pod = d->pods; pod; pod = pod->next)
        if (pod->record->state == POD_READY && pod_has_network(pod) && is_new(pod->net_asks, pod->net_asked_since_ns, now_ns))
            return true;
    return false;
}

void sampler_await_first(struct sandboxd *d)
{
    int64_t now_ns = clock_boottime_ns(), deadline_ns = now_ns + AWAIT_MS * 1000000ll;

    pthread_mutex_lock(&d->lock);
    for (; now_ns < deadline_ns && has_new(d, now_ns); now_ns = clock_boottime_ns())
        condition_wait(d, &d->samples_changed, (unsigned)((deadline_ns - now_ns) / 1000000 + 1));
    pthread_mutex_unlock(&d->lock);
}

void sampler_start(struct sandboxd *d)
{
    sandboxd_thread(sampler_run, d);
}
