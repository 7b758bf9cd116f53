/* A process that keeps a container's scope of systemd's until the container's exit is on record. */
#pragma once

struct shim;
struct container;

/* Starts it, in the group `hold` below the scope; it is there when this returns, and ends when the scope is killed. Where it cannot be had
 * (cgroups of version 1, a limit of one process), a warning is logged, and the exit may be told without its reason. */
void scope_hold(const struct shim *shim, const struct container *container);
