/* A null device of the shim's own. */
#pragma once

#include "common/error.h"

/* crun gives its standard streams' inodes to the container's user, who could then close the host's /dev/null to all others.
 * So what an OCI runtime has for no stream is this: the same device, on a file system that is mounted nowhere. */
struct error *null_device_open(int *ret_fd) __attribute__((warn_unused_result));
