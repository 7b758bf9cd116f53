/* The container whose PID namespace another joins. */
#pragma once

#include "services/sandboxd/container.h"

/* The id of the target that the container's configuration names, which the caller frees; NULL: it names none. NOT_FOUND: there is
 * no such container; INVALID_ARGUMENT: it is another pod's; FAILED_PRECONDITION: it does not run. */
struct error *container_target_find(struct container *container, char **ret_id) __attribute__((warn_unused_result));
