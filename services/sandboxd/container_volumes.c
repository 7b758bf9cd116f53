/* How an image becomes a volume: a lease of its own, so that its layers stay, and a mount by the shim. */
#include "services/sandboxd/container_volumes.h"

#include "common/clock.h"
#include "common/memory.h"
#include "services/sandboxd/image_client.h"
#include "services/sandboxd/pod_shim.h"
#include "services/sandboxd/spec/spec.h"

enum { IMAGE_LIMIT_S = 120 };

static uint64_t step_of(const struct container *container, size_t number)
{
    return shim_step_derive(container->record->id, "volume", number);
}

static struct error *layers_mount(struct container *container, const struct shim_patience *patience, size_t number,
                                  const Bulkhead__LeaseImageReply *image, char **ret_path)
{
    const Runtime__V1__Mount *mount = container->config->mounts[number];
    struct wire_writer fields = {0};
    auto_shim_reply reply = {0};

    wire_put_string(&fields, SHIM_TAG_CONTAINER, container->record->id);
    wire_put_u64(&fields, SHIM_TAG_VOLUME, number);
    for (size_t i = 0; i < image->n_layer_paths; i++)
        wire_put_string(&fields, SHIM_TAG_LAYER, image->layer_paths[i]);
    if (mount->image_sub_path[0])
        wire_put_string(&fields, SHIM_TAG_SUB_PATH, mount->image_sub_path);
    struct error *failure = shim_client_call(pod_shim(container->pod), step_of(container, number), SHIM_IMAGE_VOLUME, &fields, patience, &reply);
    wire_writer_fini(&fields);
    TRY(failure);
    const char *path = shim_reply_text(&reply, SHIM_TAG_PATH);
    if (!path)
        return error_new(ERROR_INTERNAL, "the shim named no path");
    *ret_path = xstrdup(path);
    return NULL;
}

static struct error *volume_mount(struct container *container, const struct shim_patience *patience, size_t number, char **ret_path)
{
    int64_t deadline_ns = clock_boottime_ns() + IMAGE_LIMIT_S * 1000000000ll;
    autofree char *lease = xasprintf("%s.%zu", container->record->id, number);
    Bulkhead__LeaseImageReply *image = NULL;

    TRY(image_lease(container->d, lease, container->config->mounts[number]->image->image, deadline_ns, &image));
    struct error *failure = layers_mount(container, patience, number, image, ret_path);
    bulkhead__lease_image_reply__free_unpacked(image, NULL);
    return failure;
}

struct error *container_volumes_mount(struct container *container, const struct shim_patience *patience, char ***ret_paths)
{
    const Runtime__V1__ContainerConfig *config = container->config;
    char **paths = xcalloc(config->n_mounts + 1, sizeof(*paths));
    struct error *failure = NULL;

    for (size_t i = 0; i < config->n_mounts && !failure; i++) {
        if (spec_mount_is_image(config->mounts[i]))
            failure = volume_mount(container, patience, i, &paths[i]);
        if (failure)
            failure = error_wrap(failure, "mount image \"%s\" at %s", config->mounts[i]->image->image, config->mounts[i]->container_path);
    }
    if (failure)
        container_volumes_free(container, paths);
    else
        *ret_paths = paths;
    return failure;
}

void container_volumes_free(const struct container *container, char **paths)
{
    for (size_t i = 0; paths && i < container->config->n_mounts; i++)
        free(paths[i]);
    free(paths);
}

void container_volumes_forget_steps(struct container *container)
{
    const Runtime__V1__ContainerConfig *config = container->config;

    for (size_t i = 0; i < config->n_mounts; i++)
        if (spec_mount_is_image(config->mounts[i]))
            shim_client_ack(pod_shim(container->pod), step_of(container, i));
}
