/* What a container's configuration names on the host beside its mounts: profiles, devices. */
#pragma once

#include "services/sandboxd/container.h"

struct container_host {
    struct spec_found found;
    /* What it points to. */
    char *seccomp_path;
    char *seccomp_text;
    json_t *cdi_edits;
    struct spec_device *devices;
};
void container_host_fini(struct container_host *host);

/* Has the pod's shim read and look, in steps under the container's id. NOT_FOUND, INVALID_ARGUMENT and the like name what is missing or wrong. */
struct error *container_host_find(struct container *container, const struct shim_patience *patience,
                                  struct container_host *ret) __attribute__((warn_unused_result));

/* Has the shim forget those steps. */
void container_host_forget_steps(struct container *container);
