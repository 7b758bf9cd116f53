/* How a container's mounts are asked of its pod's shim, beside what the OCI runtime does. */
#include "services/sandboxd/container_mounts.h"

#include "common/memory.h"
#include "services/sandboxd/pod_shim.h"
#include "services/sandboxd/spec/spec.h"

static uint64_t step_of(const struct container *container, const char *name)
{
    return shim_step_derive(container->record->id, name, 0);
}

/* Takes the fields. */
static struct error *step_ask(struct container *container, const char *name, enum shim_type type, struct wire_writer *fields,
                              const struct shim_patience *patience, struct shim_reply *ret)
{
    struct error *error = shim_client_call(pod_shim(container->pod), step_of(container, name), type, fields, patience, ret);

    wire_writer_fini(fields);
    return error;
}

static struct error *step_call(struct container *container, const char *name, enum shim_type type,
                               struct wire_writer *fields, const struct shim_patience *patience)
{
    auto_shim_reply reply = {0};

    return step_ask(container, name, type, fields, patience, &reply);
}

static struct error *sources_prepare(struct container *container, const struct shim_patience *patience)
{
    const Runtime__V1__ContainerConfig *config = container->config;
    struct wire_writer fields = {0};

    for (size_t i = 0; i < config->n_mounts; i++)
        if (!spec_mount_is_image(config->mounts[i]))
            wire_put_string(&fields, SHIM_TAG_MOUNT_SOURCE, config->mounts[i]->host_path);
    if (!fields.size)
        return NULL;
    return step_call(container, "mounts", SHIM_PREPARE_MOUNTS, &fields, patience);
}

static struct error *propagation_check(struct container *container, const struct shim_patience *patience)
{
    const Runtime__V1__ContainerConfig *config = container->config;
    struct wire_writer fields = {0};

    for (size_t i = 0; i < config->n_mounts; i++) {
        const Runtime__V1__Mount *mount = config->mounts[i];
        if (mount->propagation == RUNTIME__V1__MOUNT_PROPAGATION__PROPAGATION_BIDIRECTIONAL)
            wire_put_string(&fields, SHIM_TAG_SHARED_SOURCE, mount->host_path);
        else if (mount->propagation == RUNTIME__V1__MOUNT_PROPAGATION__PROPAGATION_HOST_TO_CONTAINER)
            wire_put_string(&fields, SHIM_TAG_SLAVE_SOURCE, mount->host_path);
    }
    if (!fields.size)
        return NULL;
    return step_call(container, "propagation", SHIM_CHECK_PROPAGATION, &fields, patience);
}

struct error *container_mounts_prepare(struct container *container, const struct shim_patience *patience)
{
    TRY_TO(sources_prepare(container, patience), "prepare mounts");
    TRY_TO(propagation_check(container, patience), "prepare mounts");
    return NULL;
}

/* ---- mounts whose owners are mapped ---- */

static struct container_staged *container_staged_new(size_t mount_count)
{
    struct container_staged *staged = xcalloc(1, sizeof(*staged));

    staged->sources = xcalloc(mount_count + 1, sizeof(*staged->sources));
    staged->count = mount_count;
    return staged;
}

void container_staged_free(struct container_staged *staged)
{
    if (!staged)
        return;
    for (size_t i = 0; i < staged->count; i++)
        free(staged->sources[i]);
    free(staged->sources);
    free(staged->resolv_conf);
    free(staged->hosts);
    free(staged->hostname);
    free(staged);
}

/* An image's files are mapped where they are mounted. */
static bool must_stage(const Runtime__V1__Mount *mount)
{
    return mount->n_uidmappings && !spec_mount_is_image(mount);
}

static void staging_compose(const struct container *container, struct wire_writer *fields)
{
    static const char *const files[] = {"resolv.conf", "hosts", "hostname"};
    const Runtime__V1__ContainerConfig *config = container->config;

    wire_put_string(fields, SHIM_TAG_CONTAINER, container->record->id);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        autofree char *path = pod_path(container->pod, files[i]);
        wire_put_string(fields, SHIM_TAG_MOUNT_SOURCE, path);
    }
    for (size_t i = 0; i < config->n_mounts; i++)
        if (must_stage(config->mounts[i]))
            wire_put_string(fields, SHIM_TAG_MOUNT_SOURCE, config->mounts[i]->host_path);
}

/* As they were composed: the pod's files, then the mounts. */
static struct container_staged *staging_name(const struct container *container, const char *directory)
{
    const Runtime__V1__ContainerConfig *config = container->config;
    struct container_staged *staged = container_staged_new(config->n_mounts);
    unsigned number = 0;

    staged->resolv_conf = xasprintf("%s/%u", directory, number++);
    staged->hosts = xasprintf("%s/%u", directory, number++);
    staged->hostname = xasprintf("%s/%u", directory, number++);
    for (size_t i = 0; i < config->n_mounts; i++)
        if (must_stage(config->mounts[i]))
            staged->sources[i] = xasprintf("%s/%u", directory, number++);
    return staged;
}

struct error *container_mounts_stage(struct container *container, const struct shim_patience *patience,
                                     struct container_staged **ret)
{
    struct wire_writer fields = {0};
    auto_shim_reply reply = {0};
    struct spec_user_map map;

    if (!spec_user_map(container->pod->config, &map))
        return NULL;
    staging_compose(container, &fields);
    TRY_TO(step_ask(container, "stage", SHIM_STAGE_MOUNTS, &fields, patience, &reply), "prepare mounts");
    const char *directory = shim_reply_text(&reply, SHIM_TAG_PATH);
    if (!directory)
        return error_new(ERROR_INTERNAL, "the shim named no directory of mounts");
    *ret = staging_name(container, directory);
    return NULL;
}

struct error *container_mounts_unstage(struct container *container, const struct container_staged *staged,
                                       const struct shim_patience *patience)
{
    struct wire_writer fields = {0};

    if (!staged)
        return NULL;
    wire_put_string(&fields, SHIM_TAG_CONTAINER, container->record->id);
    TRY_TO(step_call(container, "unstage", SHIM_UNSTAGE_MOUNTS, &fields, patience), "mounts");
    return NULL;
}

static uint64_t shim_propagation(const Runtime__V1__Mount *mount)
{
    switch (mount->propagation) {
    case RUNTIME__V1__MOUNT_PROPAGATION__PROPAGATION_HOST_TO_CONTAINER:
        return SHIM_MOUNT_SLAVE;
    case RUNTIME__V1__MOUNT_PROPAGATION__PROPAGATION_BIDIRECTIONAL:
        return SHIM_MOUNT_SHARED;
    default:
        return SHIM_MOUNT_PRIVATE;
    }
}

struct error *container_mounts_complete(struct container *container, const struct shim_patience *patience)
{
    const Runtime__V1__ContainerConfig *config = container->config;
    struct wire_writer fields = {0};
    struct spec_user_map map;

    if (!spec_user_map(container->pod->config, &map) || !config->n_mounts)
        return NULL;
    wire_put_string(&fields, SHIM_TAG_CONTAINER, container->record->id);
    for (size_t i = 0; i < config->n_mounts; i++) {
        if (spec_mount_is_image(config->mounts[i]))
            continue;
        wire_put_u64(&fields, SHIM_TAG_FLAGS, shim_propagation(config->mounts[i]));
        wire_put_string(&fields, SHIM_TAG_MOUNT_SOURCE, config->mounts[i]->host_path);
        wire_put_string(&fields, SHIM_TAG_PATH, config->mounts[i]->container_path);
    }
    return step_call(container, "complete", SHIM_COMPLETE_MOUNTS, &fields, patience);
}

struct error *container_mounts_protect(struct container *container, const struct shim_patience *patience)
{
    const Runtime__V1__ContainerConfig *config = container->config;
    struct wire_writer fields = {0};
    size_t count = 0;

    wire_put_string(&fields, SHIM_TAG_CONTAINER, container->record->id);
    for (size_t i = 0; i < config->n_mounts; i++) {
        wire_put_string(&fields, SHIM_TAG_OTHER_MOUNT, config->mounts[i]->container_path);
        if (!config->mounts[i]->recursive_read_only)
            continue;
        wire_put_string(&fields, SHIM_TAG_PATH, config->mounts[i]->container_path);
        count++;
    }
    if (count)
        return step_call(container, "read-only", SHIM_READ_ONLY, &fields, patience);
    wire_writer_fini(&fields);
    return NULL;
}

void container_mounts_forget_steps(struct container *container)
{
    static const char *const steps[] = {"mounts", "propagation", "stage", "unstage", "complete", "read-only"};

    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
        shim_client_ack(pod_shim(container->pod), step_of(container, steps[i]));
}
