/* How the pod's record and namespaces are kept over a shim's death. */
#include "services/sandboxd/shim/pod.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/log.h"
#include "common/memory.h"
#include "common/record.h"
#include "common/shim_protocol.h"
#include "services/sandboxd/shim/container.h"
#include "services/sandboxd/shim/mounts.h"
#include "services/sandboxd/shim/shim.h"

struct error *pod_load(struct shim *shim)
{
    struct pod *pod = &shim->pod;
    autofree void *data = NULL;
    uint32_t version;
    size_t size;

    pod->ipc_fd = pod->uts_fd = pod->pid_fd = pod->user_fd = -1;
    struct error *failure = record_load(shim->directory_fd, "pod", "pod", POD_VERSION, &version, &data, &size);
    if (failure && failure->code == ERROR_NOT_FOUND) {
        error_free(failure);
        snprintf(pod->record.cgroup, sizeof(pod->record.cgroup), SHIM_CGROUP_PARENT "/%s", shim->pod_id);
        return NULL;
    }
    TRY(failure);
    size_t expected = version < 2 ? offsetof(struct pod_record, user) : sizeof(pod->record);
    if (size != expected)
        return error_new(ERROR_DATA_LOSS, "the pod's record has %zu bytes, not %zu", size, expected);
    memcpy(&pod->record, data, size);
    return NULL;
}

struct error *pod_save(struct shim *shim)
{
    return record_save(shim->directory_fd, "pod", "pod", POD_VERSION, &shim->pod.record, sizeof(shim->pod.record));
}

void pod_store(struct shim *shim)
{
    store_put(shim, "pod", "ipc", shim->pod.ipc_fd);
    store_put(shim, "pod", "uts", shim->pod.uts_fd);
    store_put(shim, "pod", "pidns", shim->pod.pid_fd);
}

static uint64_t inode_of(int fd)
{
    struct stat about;

    return fd >= 0 && fstat(fd, &about) == 0 ? about.st_ino : 0;
}

void pod_take_fd(struct shim *shim, const char *suffix, int fd)
{
    struct pod *pod = &shim->pod;
    int *place = NULL;

    if (strcmp(suffix, "ipc") == 0)
        place = &pod->ipc_fd;
    else if (strcmp(suffix, "uts") == 0)
        place = &pod->uts_fd;
    else if (strcmp(suffix, "pidns") == 0)
        place = &pod->pid_fd;
    if (place && *place < 0)
        *place = fd;
    else
        close(fd);
}

static void find_namespace(struct shim *shim, const char *kind, uint64_t inode, int *place)
{
    for (const struct container *container = shim->containers; inode && *place < 0 && container;
         container = container->next) {
        if (!container_lives(container))
            continue;
        autofree char *path = xasprintf("/proc/%d/ns/%s", container->record.process.pid, kind);
        autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (inode_of(fd) == inode)
            *place = TAKE_FD(fd);
    }
}

void pod_find_user_namespace(struct shim *shim)
{
    struct pod *pod = &shim->pod;
    autofree char *netns = shim_path(shim, "netns");

    if (!user_map_is_set(&pod->record.user) || pod->user_fd >= 0 || !path_is_mount(netns))
        return;
    struct error *failure = user_namespace_of(netns, &pod->user_fd);
    if (failure)
        log_warn("user namespace not found", "error=%s", log_quote(failure->text));
    error_free(failure);
}

void pod_find_pid_namespace(struct shim *shim)
{
    struct pod *pod = &shim->pod;
    autofree char *path = xasprintf("/proc/%d/ns/pid", pod->record.first.pid);

    if (pod->pid_fd < 0 && process_id_is_alive(&pod->record.first))
        pod->pid_fd = open(path, O_RDONLY | O_CLOEXEC);
}

void pod_find_namespaces(struct shim *shim)
{
    struct pod *pod = &shim->pod;

    find_namespace(shim, "ipc", pod->record.ipc_inode, &pod->ipc_fd);
    find_namespace(shim, "uts", pod->record.uts_inode, &pod->uts_fd);
    pod_find_pid_namespace(shim);
}

bool pod_first_exited(struct shim *shim, pid_t pid)
{
    if (pid == 0 || pid != shim->pod.record.first.pid)
        return false;
    waitpid(pid, NULL, 0);
    if (shim->pod.pid_fd >= 0) /* no teardown ended it */
        log_warn("the pod's first process has ended", "pid=%d", pid);
    return true;
}
