/* ExecSync: at most once, over restarts of sandboxd and of the shim. */
#pragma once

#include "services/sandboxd/container.h"

struct error *container_exec_sync(struct container *container, const struct ipc_call *call,
                                  const Runtime__V1__ExecSyncRequest *request, struct ipc_reply *reply)
    __attribute__((warn_unused_result));
