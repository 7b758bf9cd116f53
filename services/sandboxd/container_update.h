/* UpdateContainerResources: new limits for a container that was created or runs. */
#pragma once

#include "common/ipc.h"
#include "services/sandboxd/container.h"

/* Has the whole effect, or none that lasts: on the container's cgroup, its config.json and its record. A call whose like is
 * under way joins it; another one waits for its end. Goes on when the call is over. FAILED_PRECONDITION: it has ended. */
struct error *container_update(struct container *container, const struct ipc_call *call,
                               const Runtime__V1__UpdateContainerResourcesRequest *request) __attribute__((warn_unused_result));

/* Goes on with one that a predecessor of this process had begun. */
void container_update_resume(struct container *container);
