/* What is mounted in a container, and in which order. */
#include <string.h>

#include "services/sandboxd/spec/parts.h"
#include "services/sandboxd/spec/path.h"

enum { OPTIONS_MAX = 8 };

struct default_mount {
    const char *destination;
    const char *type;
    const char *source;
    const char *options[OPTIONS_MAX];
};

static const struct default_mount defaults[] = {
    {"/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}},
    {"/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}},
    {"/dev/pts", "devpts", "devpts", {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
    {"/dev/shm", "tmpfs", "shm", {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}},
    {"/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}},
    {"/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", "ro"}},
    {"/sys/fs/cgroup", "cgroup", "cgroup", {"nosuid", "noexec", "nodev", "relatime", "ro"}},
};

struct bind {
    char *destination; /* cleaned */
    const char *source;
    bool readonly;
    const Runtime__V1__Mount *mount; /* of the client; NULL: ours */
};

struct binds {
    struct bind *list;
    size_t count;
};

static void binds_fini(struct binds *binds)
{
    for (size_t i = 0; i < binds->count; i++)
        free(binds->list[i].destination);
    free(binds->list);
}

static bool binds_has(const struct binds *binds, const char *destination)
{
    for (size_t i = 0; i < binds->count; i++) {
        if (strcmp(binds->list[i].destination, destination) == 0)
            return true;
    }
    return false;
}

static size_t depth(const char *path)
{
    size_t slashes = 0;

    for (; *path; path++)
        slashes += *path == '/';
    return slashes;
}

/* Behind all that are as deep or less deep: a mount never hides one further down, and equals keep their order. */
static void binds_add(struct binds *binds, struct bind bind)
{
    size_t at = binds->count;

    binds->list = xreallocarray(binds->list, binds->count + 1, sizeof(*binds->list));
    while (at > 0 && depth(binds->list[at - 1].destination) > depth(bind.destination)) {
        binds->list[at] = binds->list[at - 1];
        at--;
    }
    binds->list[at] = bind;
    binds->count++;
}

static void binds_add_own(struct binds *binds, const char *destination, const char *source, bool readonly)
{
    if (source && !binds_has(binds, destination))
        binds_add(binds, (struct bind){path_clean(destination), source, readonly, NULL});
}

/* The pod's, the host's, or (NULL) the container's own. */
static const char *shm_source(const struct spec_input *input)
{
    switch (spec_container_namespaces(input->config, input->pod_config).ipc) {
    case RUNTIME__V1__NAMESPACE_MODE__NODE:
        return "/dev/shm";
    case RUNTIME__V1__NAMESPACE_MODE__POD:
        return input->pod->shm_path;
    default:
        return NULL;
    }
}

bool spec_devices_are_bound(const struct spec_input *input)
{
    struct spec_user_map map;

    return input->found && spec_user_map(input->pod_config, &map);
}

static void binds_collect(const struct spec_input *input, struct binds *binds)
{
    const Runtime__V1__LinuxContainerSecurityContext *context = spec_context(input->config);
    bool readonly = context && context->readonly_rootfs;

    for (size_t i = 0; i < input->config->n_mounts; i++) {
        const Runtime__V1__Mount *mount = input->config->mounts[i];
        bool is_image = spec_mount_is_image(mount);
        const char *staged = input->mount_sources ? input->mount_sources[i] : NULL;
        const char *source = is_image ? input->volume_paths[i] : staged ? staged : mount->host_path;
        binds_add(binds, (struct bind){path_clean(mount->container_path), source, mount->readonly || is_image, mount});
    }
    for (size_t i = 0; spec_devices_are_bound(input) && i < input->found->device_count; i++) {
        const struct spec_device *device = &input->found->devices[i];
        binds_add_own(binds, device->path, device->host_path ? device->host_path : device->path, false);
    }
    binds_add_own(binds, "/etc/hostname", input->pod->hostname_path, readonly);
    binds_add_own(binds, "/etc/hosts", input->pod->hosts_path, readonly);
    binds_add_own(binds, "/etc/resolv.conf", input->pod->resolv_conf_path, readonly);
    binds_add_own(binds, "/dev/shm", shm_source(input), false);
}

/* Whoever mounts a /dev of his own has the mounts below it as well. */
static bool is_replaced(const struct default_mount *mount, const struct binds *binds)
{
    if (binds_has(binds, mount->destination))
        return true;
    return strncmp(mount->destination, "/dev/", 5) == 0 && binds_has(binds, "/dev");
}

static json_t *mount_object(const char *destination, const char *type, const char *source, json_t *options)
{
    return json_pack("{ss ss ss so}", "destination", destination, "type", type, "source", source, "options", options);
}

/* A privileged container may write to /sys and to its cgroups. */
static json_t *default_object(const struct default_mount *mount, bool is_privileged)
{
    json_t *options = json_array();

    for (size_t i = 0; i < OPTIONS_MAX && mount->options[i]; i++) {
        bool is_ro = strcmp(mount->options[i], "ro") == 0;
        json_array_append_new(options, json_string(is_ro && is_privileged ? "rw" : mount->options[i]));
    }
    return mount_object(mount->destination, mount->type, mount->source, options);
}

static const char *propagation_option(const Runtime__V1__Mount *mount)
{
    switch (mount ? mount->propagation : RUNTIME__V1__MOUNT_PROPAGATION__PROPAGATION_PRIVATE) {
    case RUNTIME__V1__MOUNT_PROPAGATION__PROPAGATION_BIDIRECTIONAL:
        return "rshared";
    case RUNTIME__V1__MOUNT_PROPAGATION__PROPAGATION_HOST_TO_CONTAINER:
        return "rslave";
    default:
        return "rprivate";
    }
}

static json_t *bind_object(const struct bind *bind)
{
    json_t *options = json_pack("[s s]", "rbind", propagation_option(bind->mount));

    if (bind->readonly) /* never "rw": it would lift what the host's own mount forbids */
        json_array_append_new(options, json_string("ro"));
    for (size_t i = 0; bind->mount && i < bind->mount->n_mount_options; i++)
        json_array_append_new(options, json_string(bind->mount->mount_options[i]));
    return mount_object(bind->destination, "bind", bind->source, options);
}

bool spec_mount_is_image(const Runtime__V1__Mount *mount)
{
    return mount->image && mount->image->image[0];
}

bool spec_has_recursive_read_only(const struct spec_host *host)
{
    return host->kernel_version >= (5 << 8 | 12);
}

const char *spec_rootfs_propagation(const Runtime__V1__ContainerConfig *config)
{
    const char *strongest = NULL;

    for (size_t i = 0; i < config->n_mounts; i++) {
        const char *option = propagation_option(config->mounts[i]);
        if (strcmp(option, "rshared") == 0)
            return option;
        if (strcmp(option, "rslave") == 0)
            strongest = option;
    }
    return strongest;
}

json_t *spec_mounts_list(const struct spec_input *input)
{
    struct binds binds = {0};
    json_t *list = json_array();

    binds_collect(input, &binds);
    for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
        if (!is_replaced(&defaults[i], &binds))
            json_array_append_new(list, default_object(&defaults[i], spec_is_privileged(input->config)));
    }
    for (size_t i = 0; i < binds.count; i++)
        json_array_append_new(list, bind_object(&binds.list[i]));
    binds_fini(&binds);
    return list;
}
