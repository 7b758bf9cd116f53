/* What a container mounts of the host. */
#pragma once

#include "services/sandboxd/container.h"

/* Before the OCI runtime's create: missing host paths are made as directories, and what is to propagate can. FAILED_PRECONDITION:
 * a source is on a mount that is not shared. */
struct error *container_mounts_prepare(struct container *container, const struct shim_patience *patience)
    __attribute__((warn_unused_result));

/* After it, before anything runs: what is to be read-only recursively becomes so. */
struct error *container_mounts_protect(struct container *container, const struct shim_patience *patience)
    __attribute__((warn_unused_result));

/* Has the shim forget those steps. */
void container_mounts_forget_steps(struct container *container);
