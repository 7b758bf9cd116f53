/* What a container mounts of the host. */
#pragma once

#include "services/sandboxd/container.h"

/* Before the OCI runtime's create: missing host paths are made as directories, and what is to propagate can. FAILED_PRECONDITION:
 * a source is on a mount that is not shared. */
struct error *container_mounts_prepare(struct container *container, const struct shim_patience *patience)
    __attribute__((warn_unused_result));

/* Where the shim has mounted what a container of a pod with a user namespace binds, its owners mapped. */
struct container_staged {
    char **sources; /* of each mount of the configuration; NULL: it is taken as it is */
    size_t count;
    char *resolv_conf, *hosts, *hostname;
};
void container_staged_free(struct container_staged *staged);

/* Before the OCI runtime's create, too: *ret stays NULL where the pod has no user namespace, else the caller frees it. Afterwards
 * they go. FAILED_PRECONDITION: a file system has no such mounts. */
struct error *container_mounts_stage(struct container *container, const struct shim_patience *patience,
                                     struct container_staged **ret) __attribute__((warn_unused_result));
struct error *container_mounts_unstage(struct container *container, const struct container_staged *staged,
                                       const struct shim_patience *patience) __attribute__((warn_unused_result));

/* After it: of a pod with a user namespace, what is mounted below its volumes, which not every runtime brings. */
struct error *container_mounts_complete(struct container *container, const struct shim_patience *patience)
    __attribute__((warn_unused_result));

/* After it, before anything runs: what is to be read-only recursively becomes so. */
struct error *container_mounts_protect(struct container *container, const struct shim_patience *patience)
    __attribute__((warn_unused_result));

/* Has the shim forget those steps. */
void container_mounts_forget_steps(struct container *container);
