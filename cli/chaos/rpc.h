/* The calls that chaos makes: their names, and the service that has each. */
#pragma once

enum rpc {
    RPC_VERSION,
    RPC_STATUS,
    RPC_RUN_POD,
    RPC_POD_STATUS,
    RPC_LIST_PODS,
    RPC_STOP_POD,
    RPC_REMOVE_POD,
    RPC_CREATE,
    RPC_START,
    RPC_CONTAINER_STATUS,
    RPC_LIST_CONTAINERS,
    RPC_STOP,
    RPC_REMOVE,
    RPC_REOPEN_LOG,
    RPC_EXEC_SYNC,
    RPC_EXEC,
    RPC_PULL,
    RPC_IMAGE_STATUS,
    RPC_LIST_IMAGES,
    RPC_REMOVE_IMAGE,
    RPC_SESSION, /* none of CRI's: a streaming session from its URL to its end */
    RPC_COUNT
};

const char *rpc_name(enum rpc rpc);
const char *rpc_service(enum rpc rpc); /* "RuntimeService" or "ImageService" */
