/* How a container's mounts are asked of its pod's shim, beside what the OCI runtime does. */
#include "services/sandboxd/container_mounts.h"

#include "services/sandboxd/pod_shim.h"
#include "services/sandboxd/spec/spec.h"

static uint64_t step_of(const struct container *container, const char *name)
{
    return shim_step_derive(container->record->id, name, 0);
}

/* Takes the fields. */
static struct error *step_call(struct container *container, const char *name, enum shim_type type,
                               struct wire_writer *fields, const struct shim_patience *patience)
{
    auto_shim_reply reply = {0};
    struct error *error =
        shim_client_call(pod_shim(container->pod), step_of(container, name), type, fields, patience, &reply);

    wire_writer_fini(fields);
    return error;
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
    static const char *const steps[] = {"mounts", "propagation", "read-only"};

    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
        shim_client_ack(pod_shim(container->pod), step_of(container, steps[i]));
}
