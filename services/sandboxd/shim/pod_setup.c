/* SHIM_POD_SETUP: makes what is missing of the pod, and tells where it is. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/failpoint.h"
#include "common/log.h"
#include "common/memory.h"
#include "services/sandboxd/shim/container.h"
#include "services/sandboxd/shim/handlers.h"
#include "services/sandboxd/shim/mounts.h"
#include "services/sandboxd/shim/namespaces.h"
#include "services/sandboxd/shim/shim.h"
#include "services/sandboxd/shim/sysctls.h"

enum { SETUP_LIMIT_MS = 60000, SHM_SIZE_DEFAULT = 64 << 20 };

struct setup {
    struct step *step;
    struct namespaces_wanted wanted;
    char *netns_path, *shm_path, *first_cgroup;
    char **sysctls;
};

static void setup_free(struct setup *setup)
{
    free(setup->netns_path);
    free(setup->shm_path);
    free(setup->first_cgroup);
    free(setup->sysctls);
    free(setup);
}

static struct error *setup_read(struct shim *shim, const struct step *step)
{
    struct pod_record *record = &shim->pod.record;
    const char *cgroup = step_string(step, SHIM_TAG_CGROUP);
    const char *hostname = step_string(step, SHIM_TAG_HOSTNAME);

    if (!cgroup_path_is_valid(cgroup))
        return error_new(ERROR_INVALID_ARGUMENT, "the pod's cgroup %s is no absolute path", cgroup ? cgroup : "(none)");
    if (hostname && strlen(hostname) >= sizeof(record->hostname))
        return error_new(ERROR_INVALID_ARGUMENT, "host name of %zu bytes", strlen(hostname));
    if (record->state & SHIM_POD_IS_TORN_DOWN)
        return error_new(ERROR_FAILED_PRECONDITION, "the pod is torn down");
    if ((record->state & SHIM_POD_IS_SET_UP) && strcmp(record->cgroup, cgroup) != 0)
        return error_new(ERROR_ALREADY_EXISTS, "the pod is set up, with cgroup %s", record->cgroup);
    if (record->state & SHIM_POD_IS_SET_UP)
        return NULL;
    record->netns_mode = (uint32_t)step_u64(step, SHIM_TAG_NETNS_MODE, SHIM_NAMESPACE_HOST);
    record->ipc_mode = (uint32_t)step_u64(step, SHIM_TAG_IPC_MODE, SHIM_NAMESPACE_HOST);
    record->pid_mode = (uint32_t)step_u64(step, SHIM_TAG_PID_MODE, SHIM_NAMESPACE_HOST);
    record->user = (struct user_map){.uid_first = (uint32_t)step_u64(step, SHIM_TAG_UID_FIRST, 0),
                                     .uid_count = (uint32_t)step_u64(step, SHIM_TAG_UID_COUNT, 0),
                                     .gid_first = (uint32_t)step_u64(step, SHIM_TAG_GID_FIRST, 0),
                                     .gid_count = (uint32_t)step_u64(step, SHIM_TAG_GID_COUNT, 0)};
    if (user_map_is_set(&record->user) && record->netns_mode != SHIM_NAMESPACE_OWN)
        return error_new(ERROR_INVALID_ARGUMENT, "a user namespace needs a network namespace of the pod's own");
    record->shm_size = step_u64(step, SHIM_TAG_SHM_SIZE, SHM_SIZE_DEFAULT);
    record->has_hostname = hostname != NULL;
    snprintf(record->hostname, sizeof(record->hostname), "%s", hostname ? hostname : "");
    return NULL;
}

static struct error *setup_check_sysctls(const struct pod_record *record, char *const *sysctls)
{
    for (; *sysctls; sysctls++)
        if (!sysctl_is_allowed(*sysctls, record))
            return error_new(ERROR_INVALID_ARGUMENT, "sysctl %s is of no namespace of the pod's own", *sysctls);
    return NULL;
}

/* The cgroup moves from the shim's own to the pod's at the set-up; what ran before is done, or fails to remove its own. */
static struct error *setup_cgroup(struct shim *shim, const char *cgroup)
{
    struct pod_record *record = &shim->pod.record;
    char old[CGROUP_PATH_SIZE];

    snprintf(old, sizeof(old), "%s", record->cgroup);
    bool is_new = strcmp(old, cgroup) != 0;
    TRY(cgroup_make(&shim->cgroups, cgroup));
    if (!is_new)
        return NULL;
    snprintf(record->cgroup, sizeof(record->cgroup), "%s", cgroup);
    FAILPOINT("shim.setup.before_record");
    TRY(pod_save(shim));
    FAILPOINT("shim.setup.after_record");
    if (cgroup_remove(&shim->cgroups, old))
        cgroup_remove_parents(&shim->cgroups, old);
    return NULL;
}

static struct error *answer_target(struct shim *shim, struct step *step)
{
    const char *target = step_string(step, SHIM_TAG_CONTAINER);
    int fd = -1;

    if (!target)
        return NULL;
    TRY(container_pid_namespace(shim, target, &fd));
    wire_put_u64(&step->result, SHIM_TAG_TARGET_FD, (uint64_t)fd);
    return NULL;
}

static void setup_answer(struct shim *shim, struct step *step)
{
    const struct pod *pod = &shim->pod;
    autofree char *netns = shim_path(shim, "netns");
    autofree char *shm = shim_path(shim, "shm");

    wire_put_u64(&step->result, SHIM_TAG_PID, (uint64_t)getpid());
    if (pod->record.netns_mode == SHIM_NAMESPACE_OWN)
        wire_put_string(&step->result, SHIM_TAG_NETNS, netns);
    if (pod->record.ipc_mode == SHIM_NAMESPACE_OWN)
        wire_put_string(&step->result, SHIM_TAG_SHM, shm);
    if (pod->ipc_fd >= 0)
        wire_put_u64(&step->result, SHIM_TAG_IPC_FD, (uint64_t)pod->ipc_fd);
    if (pod->uts_fd >= 0)
        wire_put_u64(&step->result, SHIM_TAG_UTS_FD, (uint64_t)pod->uts_fd);
    if (pod->pid_fd >= 0)
        wire_put_u64(&step->result, SHIM_TAG_PID_NS_FD, (uint64_t)pod->pid_fd);
    if (pod->user_fd >= 0)
        wire_put_u64(&step->result, SHIM_TAG_USER_FD, (uint64_t)pod->user_fd);
    step_finish(shim, step, answer_target(shim, step));
}

static uint64_t fd_inode(int fd)
{
    struct stat about;

    return fstat(fd, &about) == 0 ? about.st_ino : 0;
}

static struct error *setup_take(struct shim *shim, const struct setup *setup, struct job *job)
{
    struct pod *pod = &shim->pod;
    struct wire_reader reader = {.data = job->fields.data, .size = job->fields.size};
    struct wire_field field;
    struct error *failure = NULL;
    uint64_t pid = 0;
    size_t next = 0;

    if (setup->wanted.ipc)
        pod->ipc_fd = job_take_fd(job, next++);
    if (setup->wanted.uts)
        pod->uts_fd = job_take_fd(job, next++);
    while (!failure && wire_next(&reader, &field, &failure))
        if (field.tag == SHIM_TAG_PID)
            failure = wire_u64(&field, &pid);
    TRY(failure);
    if (pid)
        TRY(process_id_read((pid_t)pid, &pod->record.first));
    pod_find_pid_namespace(shim);
    pod->record.ipc_inode = pod->ipc_fd >= 0 ? fd_inode(pod->ipc_fd) : 0;
    pod->record.uts_inode = pod->uts_fd >= 0 ? fd_inode(pod->uts_fd) : 0;
    pod_find_user_namespace(shim);
    pod_store(shim);
    pod->record.state |= SHIM_POD_IS_SET_UP;
    return pod_save(shim);
}

static void setup_done(struct shim *shim, struct job *job)
{
    struct setup *setup = job->argument;
    struct step *step = setup->step;
    struct error *failure = job->error;

    job->error = NULL;
    if (!failure)
        failure = setup_take(shim, setup, job);
    setup_free(setup);
    if (failure)
        step_finish(shim, step, error_wrap(failure, "set up the pod"));
    else
        setup_answer(shim, step);
}

static void setup_find_missing(struct shim *shim, struct setup *setup)
{
    const struct pod *pod = &shim->pod;
    struct namespaces_wanted *wanted = &setup->wanted;
    bool has_ipc = pod->record.ipc_mode == SHIM_NAMESPACE_OWN;

    setup->netns_path = shim_path(shim, "netns");
    setup->shm_path = shim_path(shim, "shm");
    setup->first_cgroup = xasprintf("%s%s/first/cgroup.procs", shim->cgroups.tracking, pod->record.cgroup);
    wanted->net = pod->record.netns_mode == SHIM_NAMESPACE_OWN && !path_is_mount(setup->netns_path);
    wanted->ipc = has_ipc && pod->ipc_fd < 0;
    wanted->uts = pod->record.has_hostname && pod->uts_fd < 0;
    wanted->pid = pod->record.pid_mode == SHIM_NAMESPACE_OWN &&
                  (pod->pid_fd < 0 || !process_id_is_alive(&pod->record.first));
    wanted->netns_path = setup->netns_path;
    wanted->shm_path = has_ipc && !path_is_mount(setup->shm_path) ? setup->shm_path : NULL;
    wanted->shm_size = pod->record.shm_size;
    wanted->user = pod->record.user;
    wanted->hostname = pod->record.hostname;
    wanted->sysctls = setup->sysctls;
    wanted->first_cgroup = setup->first_cgroup;
}

static struct error *setup_make(struct shim *shim, struct setup *setup)
{
    if (setup->wanted.pid) {
        autofree char *first = xasprintf("%s/first", shim->pod.record.cgroup);
        if (shim->pod.pid_fd >= 0)
            close(TAKE_FD(shim->pod.pid_fd));
        cgroup_kill(&shim->cgroups, first); /* one that a predecessor made and did not note */
        TRY(cgroup_make_tracking(&shim->cgroups, first));
    }
    return job_task_run(shim, namespaces_make, &setup->wanted, SETUP_LIMIT_MS, setup_done, setup);
}

void pod_setup(struct shim *shim, struct step *step)
{
    struct setup *setup = xcalloc(1, sizeof(*setup));
    size_t count;

    setup->step = step;
    setup->sysctls = step_strings(step, SHIM_TAG_SYSCTL, &count);
    struct error *failure = setup_read(shim, step);
    if (!failure)
        failure = setup_check_sysctls(&shim->pod.record, setup->sysctls);
    if (!failure)
        failure = setup_cgroup(shim, step_string(step, SHIM_TAG_CGROUP));
    if (!failure) {
        setup_find_missing(shim, setup);
        failure = setup_make(shim, setup);
    }
    if (failure) {
        setup_free(setup);
        step_finish(shim, step, error_wrap(failure, "set up the pod"));
    }
}
