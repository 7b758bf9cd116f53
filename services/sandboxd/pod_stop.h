/* StopPodSandbox and RemovePodSandbox: what is asked for, and how long the caller waits. */
#pragma once

#include "services/sandboxd/pod.h"

/* Both are fine for what is gone. They wait for the worker's attempt, and return its error when it fails. */
struct error *pod_stop(struct sandboxd *d, const struct ipc_call *call, const char *id) __attribute__((warn_unused_result));
struct error *pod_remove(struct sandboxd *d, const struct ipc_call *call, const char *id)
    __attribute__((warn_unused_result));
