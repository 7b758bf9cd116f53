/* The order in which a container is made. */
#include "services/sandboxd/container_steps.h"

#include <errno.h>
#include <string.h>

#include "common/clock.h"
#include "common/failpoint.h"
#include "common/memory.h"
#include "services/sandboxd/container_host.h"
#include "services/sandboxd/container_mounts.h"
#include "services/sandboxd/container_target.h"
#include "services/sandboxd/container_volumes.h"
#include "services/sandboxd/directory.h"
#include "services/sandboxd/image_client.h"
#include "services/sandboxd/pod_shim.h"
#include "services/sandboxd/reconcile.h"
#include "services/sandboxd/runtime.h"
#include "services/sandboxd/spec/cgroup_name.h"

enum { IMAGE_LIMIT_S = 120 };

/* What one step finds out for the next. */
struct creation {
    struct container *container;
    struct shim_patience patience;
    Bulkhead__LeaseImageReply *image;
    char *rootfs;
    char **volumes; /* a path per mount whose source is an image */
    struct user *user;
    struct container_host host;
    struct container_staged *staged; /* NULL: nothing is */
    int shim_pid; /* whose descriptors config.json names */
    char *target; /* id of the container whose PID namespace it joins, or NULL */
};

static void creation_fini(struct creation *creation)
{
    if (creation->image)
        bulkhead__lease_image_reply__free_unpacked(creation->image, NULL);
    free(creation->rootfs);
    container_volumes_free(creation->container, creation->volumes);
    free(creation->target);
    user_free(creation->user);
    container_host_fini(&creation->host);
    container_staged_free(creation->staged);
}

static bool creation_is_over(void *argument)
{
    struct container *container = argument;

    pthread_mutex_lock(&container->d->lock);
    bool is_over = container->record->state != CONTAINER_CREATING || container->pod->record->state != POD_READY ||
                   is_abandoned(container->joiners, container->alone_since_ns);
    pthread_mutex_unlock(&container->d->lock);
    return is_over;
}

static uint64_t step_of(const struct container *container, const char *name)
{
    return shim_step_derive(container->record->id, name, 0);
}

static void record_image(struct container *container, const Bulkhead__LeaseImageReply *image)
{
    Bulkhead__ContainerRecord *record = container->record;
    Runtime__V1__Signal asked = container->config->stop_signal;
    autofree char *signal = asked ? spec_stop_signal_from_cri(asked) : xstrdup(image->settings ? image->settings->stop_signal : "");

    pthread_mutex_lock(&container->d->lock);
    text_set(&record->image_id, image->image_id);
    text_set(&record->image_ref, image->image_ref);
    text_set(&record->user_specified_image, image->user_specified_image);
    text_set(&record->stop_signal, signal);
    pthread_mutex_unlock(&container->d->lock);
}

static struct error *step_image(struct creation *creation)
{
    struct container *container = creation->container;
    int64_t deadline_ns = clock_boottime_ns() + IMAGE_LIMIT_S * 1000000000ll;

    TRY(image_lease(container->d, container->record->id, container->config->image->image, deadline_ns, &creation->image));
    if (!creation->image->settings) {
        creation->image->settings = xmalloc(sizeof(*creation->image->settings));
        bulkhead__image_settings__init(creation->image->settings);
    }
    record_image(container, creation->image);
    return container_save(container);
}

/* Reads the container's passwd or group from the fd that the shim opened; -1: it has none. */
static struct error *account_file_read(int fd, char **ret_data, struct user_file *ret)
{
    if (fd < 0)
        return NULL;
    if (lseek(fd, 0, SEEK_SET) < 0) /* a predecessor may have read it: the position is shared */
        return error_errno(errno, "rewind");
    TRY(fd_read_all(fd, USER_FILE_MAX, ret_data, &ret->size));
    ret->data = *ret_data;
    return NULL;
}

static void record_user(struct container *container, const struct user *user)
{
    Bulkhead__ContainerRecord *record = container->record;
    int64_t *groups = xcalloc(user->group_count + 1, sizeof(*groups));

    for (size_t i = 0; i < user->group_count; i++)
        groups[i] = user->groups[i];
    pthread_mutex_lock(&container->d->lock);
    record->uid = user->uid;
    record->gid = user->gid;
    free(record->groups);
    record->groups = groups;
    record->n_groups = user->group_count;
    pthread_mutex_unlock(&container->d->lock);
}

static struct error *resolve_user(struct creation *creation, struct shim_reply *rootfs)
{
    struct user_request request = {0};
    struct user_file passwd = {0}, group = {0};
    autofree char *passwd_data = NULL, *group_data = NULL;
    autofree uint32_t *groups = NULL;
    bool has_passwd = shim_reply_u64(rootfs, SHIM_TAG_HAS_PASSWD), has_group = shim_reply_u64(rootfs, SHIM_TAG_HAS_GROUP);
    autoclose int passwd_fd = has_passwd ? shim_reply_take_fd(rootfs, 0) : -1;
    autoclose int group_fd = has_group ? shim_reply_take_fd(rootfs, has_passwd) : -1;

    TRY(spec_user_request(creation->container->config, creation->image->settings, &request, &groups));
    TRY_TO(account_file_read(passwd_fd, &passwd_data, &passwd), "the container's /etc/passwd");
    TRY_TO(account_file_read(group_fd, &group_data, &group), "the container's /etc/group");
    TRY(user_resolve(&request, &passwd, &group, &creation->user));
    TRY(spec_user_check(creation->user, creation->container->pod->config));
    record_user(creation->container, creation->user);
    return NULL;
}

static struct error *step_rootfs(struct creation *creation)
{
    struct container *container = creation->container;
    struct wire_writer fields = {0};
    auto_shim_reply reply = {0};

    wire_put_string(&fields, SHIM_TAG_CONTAINER, container->record->id);
    for (size_t i = 0; i < creation->image->n_layer_paths; i++)
        wire_put_string(&fields, SHIM_TAG_LAYER, creation->image->layer_paths[i]);
    struct error *error = shim_client_call(pod_shim(container->pod), step_of(container, "rootfs"), SHIM_ROOTFS, &fields,
                                           &creation->patience, &reply);
    wire_writer_fini(&fields);
    TRY_TO(error, "mount the root file system");
    const char *path = shim_reply_text(&reply, SHIM_TAG_PATH);
    if (!path)
        return error_new(ERROR_INTERNAL, "the shim named no root file system");
    creation->rootfs = xstrdup(path);
    TRY_TO(resolve_user(creation, &reply), "user of the container");
    return NULL;
}

static struct error *spec_text(struct creation *creation, const struct pod_namespaces *namespaces, char **ret)
{
    struct container *container = creation->container;
    autofree char *resolv_conf = pod_path(container->pod, "resolv.conf");
    autofree char *hosts = pod_path(container->pod, "hosts");
    autofree char *hostname = pod_path(container->pod, "hostname");
    const struct container_staged *staged = creation->staged;
    struct spec_pod pod = {
        .shim_pid = namespaces->shim_pid,
        .ipc_fd = namespaces->ipc_fd,
        .uts_fd = namespaces->uts_fd,
        .pid_fd = namespaces->pid_fd,
        .user_fd = namespaces->user_fd,
        .target_fd = namespaces->target_fd,
        .netns_path = namespaces->netns,
        .shm_path = namespaces->shm,
        .resolv_conf_path = staged ? staged->resolv_conf : resolv_conf,
        .hosts_path = staged ? staged->hosts : hosts,
        .hostname_path = staged ? staged->hostname : hostname,
    };
    autofree char *cgroup = cgroup_oci_path(container->record->cgroup);
    struct spec_input input = {
        .pod_config = container->pod->config,
        .config = container->config,
        .image = creation->image->settings,
        .host = &container->d->host,
        .pod = &pod,
        .found = &creation->host.found,
        .mount_sources = staged ? staged->sources : NULL,
        .rootfs_path = creation->rootfs,
        .volume_paths = creation->volumes,
        .cgroups_path = cgroup,
        .user = creation->user,
    };
    return spec_build(&input, ret);
}

/* The namespaces are asked for at each create: a successor shim has other numbers. */
static struct error *step_spec(struct creation *creation)
{
    struct container *container = creation->container;
    auto_pod_namespaces namespaces = {0};
    autofree char *json = NULL;

    TRY(pod_setup(container->pod, shim_step_new(), creation->target, &creation->patience, &namespaces));
    creation->shim_pid = namespaces.shim_pid;
    TRY_TO(spec_text(creation, &namespaces, &json), "specification");
    TRY(directory_write(container->d->containers_fd, container->record->id, "config.json", json));
    return NULL;
}

static uint64_t create_flags(const struct container *container)
{
    const Runtime__V1__ContainerConfig *config = container->config;

    return SHIM_FLAG_ATTACH | (config->tty ? SHIM_FLAG_TERMINAL : 0) | (config->stdin ? SHIM_FLAG_STDIN : 0) |
           (config->stdin_once ? SHIM_FLAG_STDIN_ONCE : 0) | (container->pod->record->slice[0] ? SHIM_FLAG_SYSTEMD_CGROUP : 0);
}

static void record_process(struct container *container, struct shim_reply *reply)
{
    int pidfd = shim_reply_take_fd(reply, 0);

    pthread_mutex_lock(&container->d->lock);
    container->record->pid = (int32_t)shim_reply_u64(reply, SHIM_TAG_PID);
    container->record->start_ticks = shim_reply_u64(reply, SHIM_TAG_START_TICKS);
    if (container->pidfd < 0)
        container->pidfd = TAKE_FD(pidfd);
    pthread_mutex_unlock(&container->d->lock);
    if (pidfd >= 0)
        close(pidfd);
}

static struct error *step_create(struct creation *creation)
{
    struct container *container = creation->container;
    const struct config_runtime *runtime = NULL;
    autofree char *bundle = container_path(container, "");
    struct wire_writer fields = {0};
    auto_shim_reply reply = {0};

    TRY(runtime_find(container->d, container->record->runtime, &runtime));
    wire_put_string(&fields, SHIM_TAG_CONTAINER, container->record->id);
    wire_put_string(&fields, SHIM_TAG_RUNTIME, runtime->path);
    wire_put_string(&fields, SHIM_TAG_RUNTIME_NAME, runtime->name);
    wire_put_string(&fields, SHIM_TAG_BUNDLE, bundle);
    wire_put_string(&fields, SHIM_TAG_CGROUP, container->record->cgroup);
    wire_put_string(&fields, SHIM_TAG_LOG_PATH, container->record->log_path);
    wire_put_u64(&fields, SHIM_TAG_FLAGS, create_flags(container));
    struct error *error = shim_client_call(pod_shim(container->pod), step_of(container, "create"), SHIM_CREATE, &fields,
                                           &creation->patience, &reply);
    wire_writer_fini(&fields);
    TRY_TO(error, "%s create", runtime->name);
    record_process(container, &reply);
    return NULL;
}

/* Saves whose descriptors the create names that is asked for next; *ret_before: the one that may be under way yet. */
static struct error *create_note(struct creation *creation, int *ret_before)
{
    struct container *container = creation->container;

    pthread_mutex_lock(&container->d->lock);
    *ret_before = container->record->create_shim_pid;
    container->record->create_shim_pid = creation->shim_pid;
    pthread_mutex_unlock(&container->d->lock);
    return *ret_before == creation->shim_pid ? NULL : container_save(container);
}

/* config.json names descriptors of the shim: a create that failed because its shim died before it read them is no
 * failure of the container's, and is run again with the successor's numbers. It may be one that a sandboxd before this one
 * had asked for, whose answer comes now. */
static struct error *step_spec_and_create(struct creation *creation)
{
    struct container *container = creation->container;

    TRY(step_spec(creation));
    for (;;) {
        int shim_pid = creation->shim_pid, before = 0;
        TRY(create_note(creation, &before));
        FAILPOINT("sandboxd.container_create.before_create");
        struct error *failure = step_create(creation);
        if (!failure || failure->code == ERROR_CANCELLED || failure->code == ERROR_DEADLINE_EXCEEDED)
            return failure;
        autoptr(error) spec_failure = step_spec(creation);
        if (spec_failure && creation->target && spec_failure->code == ERROR_FAILED_PRECONDITION) {
            error_free(failure); /* the target has ended meanwhile: what the runtime says of its namespace tells nobody that */
            return TAKE(spec_failure);
        }
        bool is_stale = creation->shim_pid != shim_pid || (before && before != shim_pid);
        if (spec_failure || !is_stale)
            return failure;
        error_free(failure);
        shim_client_ack(pod_shim(container->pod), step_of(container, "create"));
    }
}

struct error *container_create_steps(struct container *container)
{
    __attribute__((cleanup(creation_fini))) struct creation creation = {
        .container = container,
        .patience = {.is_over = creation_is_over, .argument = container},
    };

    TRY(container_target_find(container, &creation.target));
    FAILPOINT("sandboxd.container_create.before_image");
    TRY(step_image(&creation));
    FAILPOINT("sandboxd.container_create.before_rootfs");
    TRY(step_rootfs(&creation));
    TRY(container_volumes_mount(container, &creation.patience, &creation.volumes));
    TRY(container_mounts_prepare(container, &creation.patience));
    TRY(container_mounts_stage(container, &creation.patience, &creation.staged));
    TRY(container_host_find(container, &creation.patience, &creation.host));
    TRY(step_spec_and_create(&creation));
    FAILPOINT("sandboxd.container_create.after_create");
    TRY(container_mounts_unstage(container, creation.staged, &creation.patience));
    TRY_TO(container_mounts_complete(container, &creation.patience), "mounts");
    TRY_TO(container_mounts_protect(container, &creation.patience), "mounts");
    return NULL;
}

uint64_t container_measure_step(const struct container *container)
{
    return step_of(container, "measure");
}

void container_forget_steps(struct container *container)
{
    static const char *const steps[] = {"rootfs", "create", "measure"};

    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
        shim_client_ack(pod_shim(container->pod), step_of(container, steps[i]));
    container_volumes_forget_steps(container);
    container_mounts_forget_steps(container);
    container_host_forget_steps(container);
}

void container_created(struct container *container)
{
    container_forget_steps(container);
    pthread_mutex_lock(&container->d->lock);
    bool has_early_exit = container->has_early_exit;
    pthread_mutex_unlock(&container->d->lock);
    if (has_early_exit)
        shim_client_list(pod_shim(container->pod));
}
