/* When the counters of a pod's interfaces are asked of its shim, kept, and given up. */
#include "services/sandboxd/pod_net.h"

#include <fcntl.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "services/sandboxd/pod_shim.h"
#include "services/sandboxd/sampler.h"

enum { NET_LIMIT_S = 30, NET_RETRY_S = 10 };

static struct error *net_file_ask(struct pod *pod, int *ret)
{
    struct shim_patience patience = {.deadline_ns = clock_boottime_ns() + NET_LIMIT_S * 1000000000ll};
    uint64_t step = shim_step_new();
    auto_shim_reply reply = {0};
    struct error *error = shim_client_call(pod_shim(pod), step, SHIM_NET_FILE, NULL, &patience, &reply);

    shim_client_ack(pod_shim(pod), step);
    TRY(error);
    *ret = shim_reply_take_fd(&reply, 0);
    return NULL;
}

static void *net_file_run(void *argument)
{
    struct pod *pod = argument;
    int fd = -1;
    struct error *error = net_file_ask(pod, &fd);

    pthread_mutex_lock(&pod->d->lock);
    bool is_wanted = pod->record->state == POD_READY && !pod->is_net_closed;
    if (is_wanted)
        pod->net_fd = TAKE_FD(fd);
    pod->net_asked_since_ns = 0;
    pod->net_asks++;
    sampler_kick(pod->d);
    pod->net_retry_at_ns = clock_boottime_ns() + NET_RETRY_S * 1000000000ll;
    pthread_mutex_unlock(&pod->d->lock);
    if (fd >= 0)
        close(fd);
    if (error && is_wanted)
        log_warn("a pod's counters of interfaces are not there", "pod=%s error=%s", pod->record->id, log_quote(error->text));
    error_free(error);
    pod_release(pod);
    return NULL;
}

static struct pod *net_claim(struct sandboxd *d)
{
    int64_t now_ns = clock_boottime_ns();
    struct pod *found = NULL;

    pthread_mutex_lock(&d->lock);
    for (struct pod *pod = d->pods; pod && !found; pod = pod->next)
        if (pod->record->state == POD_READY && pod_has_network(pod) && pod->net_fd < 0 && !pod->net_asked_since_ns &&
            !pod->is_net_closed && pod->net_retry_at_ns <= now_ns)
            found = pod_hold(pod);
    if (found)
        found->net_asked_since_ns = now_ns;
    pthread_mutex_unlock(&d->lock);
    return found;
}

int pod_net_file(struct pod *pod)
{
    pthread_mutex_lock(&pod->d->lock);
    int fd = pod->net_fd < 0 ? -1 : fcntl(pod->net_fd, F_DUPFD_CLOEXEC, 3);
    pthread_mutex_unlock(&pod->d->lock);
    return fd;
}

void pod_net_close(struct pod *pod)
{
    pthread_mutex_lock(&pod->d->lock);
    int fd = TAKE_FD(pod->net_fd);
    pod->is_net_closed = true;
    pthread_mutex_unlock(&pod->d->lock);
    if (fd >= 0)
        close(fd);
}

void pod_net_open_all(struct sandboxd *d)
{
    struct pod *pod;

    while ((pod = net_claim(d)))
        sandboxd_thread(net_file_run, pod);
}
