/* The shim's end of logd's contract: hands over what a container's log needs, asks for drains, rotations and removals. One
 * connection in the loop; after each reconnection everything that is still wanted is said again. */
#pragma once

#include <stddef.h>

#include "services/sandboxd/shim/loop.h"

struct container;

struct logd_link {
    struct source source;
    struct timer retry;
};

void logd_link_open(struct shim *shim);

/* Each says it now, if logd is there; the state in the container has it said again otherwise. */
void logd_link_add(struct shim *shim, const struct container *container);
void logd_link_drain(struct shim *shim, const struct container *container);
void logd_link_remove(struct shim *shim, const struct container *container);
void logd_link_next_file(struct shim *shim, const struct container *container);
