/* Layers with mapped owners, for an overlay: mounted where this process alone sees them. */
#pragma once

#include <stddef.h>

#include "common/error.h"

/* A mount namespace of the process's own. */
struct idmap_layers {
    int home;      /* the mount namespace that it came from */
    char **layers; /* where they are in this one, NULL-terminated */
    char *merged;  /* a directory for the overlay */
};

/* Goes there. target: a directory, which is hidden in there. For a process that ends soon, whatever happens. */
struct error *idmap_layers_enter(const char *target, char *const *layers, size_t count, int user_fd, struct idmap_layers *ret)
    __attribute__((warn_unused_result));

/* Comes back with what is mounted at `merged`, and mounts it at target. An overlay keeps its layers. */
struct error *idmap_layers_leave(const struct idmap_layers *there, const char *target) __attribute__((warn_unused_result));

void idmap_layers_fini(struct idmap_layers *there);
