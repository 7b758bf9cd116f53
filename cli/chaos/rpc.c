/* The table behind rpc.h. */
#include "cli/chaos/rpc.h"

#include <string.h>

static const char *const names[RPC_COUNT] = {
    [RPC_VERSION] = "Version",
    [RPC_STATUS] = "Status",
    [RPC_RUN_POD] = "RunPodSandbox",
    [RPC_POD_STATUS] = "PodSandboxStatus",
    [RPC_LIST_PODS] = "ListPodSandbox",
    [RPC_STOP_POD] = "StopPodSandbox",
    [RPC_REMOVE_POD] = "RemovePodSandbox",
    [RPC_CREATE] = "CreateContainer",
    [RPC_START] = "StartContainer",
    [RPC_CONTAINER_STATUS] = "ContainerStatus",
    [RPC_LIST_CONTAINERS] = "ListContainers",
    [RPC_STOP] = "StopContainer",
    [RPC_REMOVE] = "RemoveContainer",
    [RPC_REOPEN_LOG] = "ReopenContainerLog",
    [RPC_EXEC_SYNC] = "ExecSync",
    [RPC_EXEC] = "Exec",
    [RPC_PULL] = "PullImage",
    [RPC_IMAGE_STATUS] = "ImageStatus",
    [RPC_LIST_IMAGES] = "ListImages",
    [RPC_REMOVE_IMAGE] = "RemoveImage",
    [RPC_SESSION] = "(session)",
};

const char *rpc_name(enum rpc rpc)
{
    return names[rpc];
}

const char *rpc_service(enum rpc rpc)
{
    return strstr(names[rpc], "Image") ? "ImageService" : "RuntimeService";
}
