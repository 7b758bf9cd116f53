/* Overlays for the containers of a pod. */
#pragma once

#include "services/sandboxd/shim/overlay.h"

struct shim;

/* As overlay_mount(). Where the pod has a user namespace it maps the layers' owners, and what is written is its root's on the host:
 * FAILED_PRECONDITION where the layers' file system has no such mounts. For a task, which ends when this fails. */
struct error *pod_overlay_mount(const struct shim *shim, const struct overlay *overlay) __attribute__((warn_unused_result));
