/* StartContainer. */
#pragma once

#include "services/sandboxd/container.h"

/* Fine for what runs. FAILED_PRECONDITION for what has ended, or in a stopped sandbox. */
struct error *container_start(struct container *container, const struct ipc_call *call) __attribute__((warn_unused_result));

/* The patience of a step on a call's behalf. */
struct shim_patience call_patience(const struct ipc_call *call);
