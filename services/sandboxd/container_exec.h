/* Commands in a container: what they are run as, and ExecSync: at most once, over restarts of sandboxd and of the shim. */
#pragma once

#include "services/sandboxd/container.h"

/* The process object (process.json) of a command in the container; the caller frees it. INVALID_ARGUMENT without a command. */
struct error *container_exec_process(struct container *container, char *const *command, size_t count, bool terminal, char **ret)
    __attribute__((warn_unused_result));

struct error *container_exec_sync(struct container *container, const struct ipc_call *call,
                                  const Runtime__V1__ExecSyncRequest *request, struct ipc_reply *reply)
    __attribute__((warn_unused_result));
