/* Images as volumes of a container. */
#pragma once

#include "services/sandboxd/container.h"

/* Leases and mounts the images that the container's mounts name. *ret_paths, one per mount: where its image's files are on the
 * host, NULL for other mounts; to be freed with container_volumes_free(). NOT_FOUND: an image is not here, or has no such sub path. */
struct error *container_volumes_mount(struct container *container, const struct shim_patience *patience, char ***ret_paths)
    __attribute__((warn_unused_result));
void container_volumes_free(const struct container *container, char **paths);

/* Has the shim forget those steps. */
void container_volumes_forget_steps(struct container *container);
