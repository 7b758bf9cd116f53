/* CreateContainer: the claim, the joining of a claim. */
#pragma once

#include "services/sandboxd/container.h"

/* As pod_run(). */
struct error *container_run(struct sandboxd *d, const struct ipc_call *call,
                            Runtime__V1__CreateContainerRequest *request, char **ret_id)
    __attribute__((warn_unused_result));

/* The worker's part: makes the container CREATED, or moves it to UNDOING with its failure noted. */
struct error *container_create(struct container *container) __attribute__((warn_unused_result));
