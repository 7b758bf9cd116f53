/* How a change of a container's resources is composed, done and undone; container_update.c says who does it and when. */
#pragma once

#include "services/sandboxd/container.h"

/* Reads what the files of its cgroup say now. The caller owns *ret, and saves it before it is done. FAILED_PRECONDITION: the host lacks a
 * file, or the container has ended. INVALID_ARGUMENT: a value that no host takes. */
struct error *resources_update_compose(struct container *container, const Runtime__V1__LinuxContainerResources *asked,
                                       const Runtime__V1__LinuxContainerResources *merged, Bulkhead__ResourcesUpdate **ret)
    __attribute__((warn_unused_result));

/* Does it, cgroup and config.json, or undoes what it has done. May be called again, in any state that a kill has left. */
struct error *resources_update_do(struct container *container, const Bulkhead__ResourcesUpdate *update,
                                  const Runtime__V1__LinuxContainerResources *resources) __attribute__((warn_unused_result));

/* Its end is on record: the shim may forget the steps. */
void resources_update_forget_steps(struct container *container, const Bulkhead__ResourcesUpdate *update);

/* Created or running; and the error for one that is not. */
bool container_lives(struct container *container);
struct error *container_not_running(const struct container *container) __attribute__((warn_unused_result));
