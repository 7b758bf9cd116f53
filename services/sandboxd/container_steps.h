/* The steps that make a container: image, root file system, user, specification, the runtime's create. */
#pragma once

#include "services/sandboxd/container.h"

struct error *container_create_steps(struct container *container) __attribute__((warn_unused_result));

/* The creation is recorded: the shim may forget its steps' results. */
void container_created(struct container *container);

/* The step that measures it, always the same one: what a caller has given up is there for the next. */
uint64_t container_measure_step(const struct container *container);

/* The container is made or gone: the shim need not keep what the steps gave, nor their descriptors. */
void container_forget_steps(struct container *container);
