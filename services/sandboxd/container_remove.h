/* RemoveContainer, and the one list that gives back all that a container has. */
#pragma once

#include "services/sandboxd/container.h"

/* Fine for what is gone; a running container is killed first. Waits for the worker's attempt. */
struct error *container_remove(struct sandboxd *d, const struct ipc_call *call, const char *id)
    __attribute__((warn_unused_result));

/* The worker's part, of a removal and of an undo: one attempt. */
struct error *container_finish_removal(struct container *container) __attribute__((warn_unused_result));
