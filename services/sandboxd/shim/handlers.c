/* The table of steps. */
#include "services/sandboxd/shim/handlers.h"

#include <stddef.h>

#include "common/shim_protocol.h"

step_handler *handler_find(uint32_t type)
{
    static step_handler *const handlers[] = {
        [SHIM_POD_SETUP] = pod_setup,
        [SHIM_POD_TEARDOWN] = pod_teardown,
        [SHIM_QUIT] = pod_quit,
        [SHIM_RUN] = program_run,
        [SHIM_ROOTFS] = rootfs_mount,
        [SHIM_PREPARE_MOUNTS] = mount_sources_prepare,
        [SHIM_CREATE] = container_create,
        [SHIM_START] = container_start,
        [SHIM_SIGNAL] = container_signal,
        [SHIM_DELETE] = container_delete,
        [SHIM_EXEC] = exec_run,
        [SHIM_REOPEN_LOG] = log_reopen,
        [SHIM_STREAM_TOKEN] = stream_token,
        [SHIM_READ_FILES] = files_read,
        [SHIM_FIND_DEVICES] = devices_find,
        [SHIM_SYSCTLS] = sysctls_set,
        [SHIM_CLAIM_PORTS] = ports_claim,
        [SHIM_CHECK_PROPAGATION] = mount_propagation_check,
        [SHIM_READ_ONLY] = mount_read_only,
        [SHIM_IMAGE_VOLUME] = image_volume_mount,
        [SHIM_SET_RESOURCES] = resources_set,
        [SHIM_MEASURE] = container_measure,
        [SHIM_NET_FILE] = net_file_open,
        [SHIM_STAGE_MOUNTS] = mounts_stage,
        [SHIM_UNSTAGE_MOUNTS] = mounts_unstage,
        [SHIM_COMPLETE_MOUNTS] = mounts_complete,
    };

    return type < sizeof(handlers) / sizeof(handlers[0]) ? handlers[type] : NULL;
}
