/* What an exit is called: code, reason and time, as containerd names them. */
#include "services/sandboxd/container_exit.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "services/sandboxd/reconcile.h"
#include "services/sandboxd/table.h"

enum { UNKNOWN_EXIT_CODE = 255, PIDFD_TRIES = 30, PIDFD_PAUSE_MS = 100 };

/* linux/pidfd.h of 6.15; Debian 12's headers are older. */
struct pidfd_info_exit {
    uint64_t mask;
    uint64_t cgroupid;
    uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
    int32_t exit_code;
};
#define PIDFD_INFO_EXIT_BIT (1u << 3)
#define PIDFD_GET_INFO_64 _IOWR(0xFF, 11, struct pidfd_info_exit)

/* The wait status by a pidfd held since before the death: known once the process is reaped (kernel 6.15). */
static bool pidfd_wait_status(int pidfd, int *ret_status)
{
    for (unsigned i = 0; pidfd >= 0 && i < PIDFD_TRIES; i++) {
        struct pidfd_info_exit info = {.mask = PIDFD_INFO_EXIT_BIT};
        if (ioctl(pidfd, PIDFD_GET_INFO_64, &info) < 0 && errno != ESRCH)
            return false;
        if (info.mask & PIDFD_INFO_EXIT_BIT) {
            *ret_status = info.exit_code;
            return true;
        }
        nanosleep(&(struct timespec){.tv_nsec = PIDFD_PAUSE_MS * 1000000L}, NULL);
    }
    return false;
}

static struct container_exit exit_of_status(int status, int64_t time_ns, bool is_oom)
{
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);

    return (struct container_exit){
        .exit_code = code,
        .finished_at_ns = time_ns ? time_ns : clock_realtime_ns(),
        .reason = is_oom ? "OOMKilled" : code == 0 ? "Completed" : "Error",
        .message = "",
    };
}

/* Moves to EXITED; true once that is stored (or was before). */
static bool exit_store(struct container *container, const struct container_exit *exit)
{
    autoptr(error) error = container_move_exited(container, exit);

    pod_kick(container->pod);
    return !error || container_state_get(container) == CONTAINER_EXITED || error->code == ERROR_FAILED_PRECONDITION;
}

void container_exit_unwitnessed(struct container *container, const char *message)
{
    int status = 0;

    pthread_mutex_lock(&container->d->lock);
    int pidfd = container->pidfd; /* never closed while the container is held */
    pthread_mutex_unlock(&container->d->lock);
    struct container_exit exit = {.exit_code = UNKNOWN_EXIT_CODE,
                                  .finished_at_ns = clock_realtime_ns(),
                                  .reason = "ContainerStatusUnknown",
                                  .message = message};
    if (pidfd_wait_status(pidfd, &status))
        exit = exit_of_status(status, 0, false);
    exit_store(container, &exit);
}

static void report_exit(struct container *container, const struct shim_report *report)
{
    pthread_mutex_lock(&container->d->lock);
    uint32_t state = container->record->state;
    container->has_early_exit = state == CONTAINER_CREATING; /* asked for again once the creation is recorded */
    pthread_mutex_unlock(&container->d->lock);
    if (state == CONTAINER_CREATING)
        return;
    if (report->is_unknown && (state == CONTAINER_CREATED || state == CONTAINER_RUNNING)) {
        container_exit_unwitnessed(container, "The container could not be located when it exited");
    } else {
        struct container_exit exit = exit_of_status(report->wait_status, report->time_ns, report->is_oom);
        if (!exit_store(container, &exit))
            return;
    }
    if (container->pod->shim)
        shim_client_ack_exit(container->pod->shim, container->record->id);
}

/* One that ended at once may have been seen to end first. */
static int64_t start_time(const Bulkhead__ContainerRecord *record, int64_t time_ns)
{
    int64_t start_ns = time_ns ? time_ns : clock_realtime_ns();

    return record->finished_at_ns && record->finished_at_ns < start_ns ? record->finished_at_ns : start_ns;
}

struct error *container_started(struct container *container, int64_t time_ns)
{
    pthread_mutex_lock(&container->d->lock);
    uint32_t state = container->record->state;
    bool is_late = state == CONTAINER_RUNNING || state == CONTAINER_EXITED;
    bool must_save = container->record->started_at_ns == 0;
    if (must_save)
        container->record->started_at_ns = start_time(container->record, time_ns);
    pthread_mutex_unlock(&container->d->lock);
    if (!is_late) {
        struct error *error = container_move(container, CONTAINER_RUNNING, true);
        if (!error || error->code != ERROR_FAILED_PRECONDITION)
            return error;
        error_free(error); /* another was faster */
    }
    if (must_save)
        error_free(container_save(container));
    return NULL;
}

static void report_apply(struct container *container, const struct shim_report *report)
{
    if (report->state == SHIM_CONTAINER_EXITED)
        report_exit(container, report);
    else if (report->state == SHIM_CONTAINER_RUNNING && container_state_get(container) == CONTAINER_CREATED)
        error_free(container_started(container, report->time_ns));
}

static struct container *find_of_pod(struct pod *pod, const char *id)
{
    for (struct container *container = pod->d->containers; container; container = container->next)
        if (container->pod == pod && !strcmp(container->record->id, id))
            return container_hold(container);
    return NULL;
}

void container_report(struct pod *pod, const struct shim_report *report)
{
    int pidfd = report->pidfd;

    pthread_mutex_lock(&pod->d->lock);
    auto_container container = find_of_pod(pod, report->container);
    if (container) {
        container->is_listed_by_shim = true;
        if (container->pidfd < 0)
            container->pidfd = TAKE_FD(pidfd);
    }
    pthread_mutex_unlock(&pod->d->lock);
    if (pidfd >= 0)
        close(pidfd);
    if (container)
        report_apply(container, report);
    else
        log_warn("a shim has a container without a record", "pod=%s container=%s", pod->record->id, report->container);
}

void containers_listed(struct pod *pod)
{
    size_t count;
    struct container **containers = table_containers_of(pod, &count);

    for (size_t i = 0; i < count; i++) {
        pthread_mutex_lock(&pod->d->lock);
        uint32_t state = containers[i]->record->state;
        bool is_lost = !containers[i]->is_listed_by_shim && (state == CONTAINER_CREATED || state == CONTAINER_RUNNING);
        containers[i]->is_listed_by_shim = false;
        pthread_mutex_unlock(&pod->d->lock);
        if (is_lost)
            container_exit_unwitnessed(containers[i], "The shim knows nothing of the container");
    }
    containers_release(containers, count);
}
