/* Which function does a step: one handler per request type, in a file of its own. A handler is called with a new step, and
 * again after each step_wait(); it ends in step_finish(), at once or from a job's `done`. */
#pragma once

#include "services/sandboxd/shim/step.h"

typedef void step_handler(struct shim *shim, struct step *step);

/* NULL for a type that is no step. */
step_handler *handler_find(uint32_t type);

step_handler pod_setup;
step_handler pod_teardown;
step_handler pod_quit;
step_handler program_run;
step_handler rootfs_mount;
step_handler mount_sources_prepare;
step_handler container_create;
step_handler container_start;
step_handler container_signal;
step_handler container_delete;
step_handler exec_run;
step_handler log_reopen;
step_handler stream_token;
step_handler files_read;
step_handler devices_find;
step_handler sysctls_set;
step_handler ports_claim;
step_handler mount_propagation_check;
step_handler mount_read_only;
step_handler image_volume_mount;
step_handler resources_set;
step_handler container_measure;
step_handler net_file_open;
step_handler mounts_stage;
step_handler mounts_unstage;
step_handler mounts_complete;
