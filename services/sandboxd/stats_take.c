/* Which numbers belong together. */
#include "services/sandboxd/stats_take.h"

#include <unistd.h>

#include "common/clock.h"
#include "common/memory.h"
#include "services/sandboxd/pod_net.h"
#include "services/sandboxd/table.h"

enum { NET_DEV_MAX = 64 << 10 };

static struct cgroup_place place_of(const struct sandboxd *d, const char *cgroup)
{
    return (struct cgroup_place){CGROUP_TOP, d->host.cgroup_version, cgroup};
}

struct cgroup_place container_cgroup(const struct container *container)
{
    return place_of(container->d, container->record->cgroup);
}

struct cgroup_place pod_cgroup(const struct pod *pod)
{
    return place_of(pod->d, pod_containers_cgroup(pod));
}

static struct cpu_sample sample_now(const struct stats_numbers *numbers)
{
    return (struct cpu_sample){.at_ns = clock_boottime_ns(), .usage_ns = numbers->usage.cpu_ns};
}

struct error *container_numbers_take(struct container *container, struct stats_numbers *ret)
{
    struct cgroup_place place = container_cgroup(container);

    *ret = (struct stats_numbers){.at_ns = clock_realtime_ns(), .mountpoint = container->d->layers};
    TRY(cgroup_usage_read(&place, &ret->usage));
    struct cpu_sample now = sample_now(ret);
    pthread_mutex_lock(&container->d->lock);
    ret->has_rate = cpu_rate_get(&container->cpu_rate, now, &ret->nano_cores);
    ret->measurement = container->measurement;
    pthread_mutex_unlock(&container->d->lock);
    return NULL;
}

struct error *pod_numbers_take(struct pod *pod, struct stats_numbers *ret)
{
    struct cgroup_place place = pod_cgroup(pod);

    *ret = (struct stats_numbers){.at_ns = clock_realtime_ns()};
    TRY(cgroup_usage_read(&place, &ret->usage));
    struct cpu_sample now = sample_now(ret);
    pthread_mutex_lock(&pod->d->lock);
    ret->has_rate = cpu_rate_get(&pod->cpu_rate, now, &ret->nano_cores);
    pthread_mutex_unlock(&pod->d->lock);
    return NULL;
}

/* From its beginning: the kernel counts anew for each reader that is there. */
static size_t text_read(int fd, char *text, size_t room)
{
    size_t size = 0;
    ssize_t count;

    while (size < room && (count = pread(fd, text + size, room - size, (off_t)size)) > 0)
        size += (size_t)count;
    text[size] = '\0';
    return size;
}

size_t pod_interfaces_read(struct pod *pod, struct interface_counters ret[INTERFACES_SHOWN_MAX])
{
    autoclose int fd = pod_net_file(pod);
    autofree char *text = fd < 0 ? NULL : xmalloc(NET_DEV_MAX + 1);

    if (!text || text_read(fd, text, NET_DEV_MAX) == 0)
        return 0;
    return net_dev_parse(text, ret, INTERFACES_SHOWN_MAX);
}

struct container **pod_running_containers(struct pod *pod, size_t *ret_count)
{
    size_t count = 0, running = 0;
    struct container **containers = table_containers_of(pod, &count);

    for (size_t i = 0; i < count; i++) {
        if (container_state_get(containers[i]) == CONTAINER_RUNNING)
            containers[running++] = containers[i];
        else
            container_release(containers[i]);
    }
    *ret_count = running;
    return containers;
}
