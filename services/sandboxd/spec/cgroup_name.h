/* What the cgroups of pods and containers are called, under each cgroup driver. Pure. */
#pragma once

#include "common/error.h"

/* The path of the slice that CRI's cgroup_parent means to the systemd driver. Its last component counts, as with containerd and
 * CRI-O: both "a-b.slice" and "/a.slice/a-b.slice" are "/a.slice/a-b.slice"; "" is "/system.slice". The caller frees it.
 * INVALID_ARGUMENT: it is no slice. */
struct error *cgroup_slice_parse(const char *parent, char **ret_path) __attribute__((warn_unused_result));

/* The path of a container's cgroup: "SLICE/cri-bulkhead-ID.scope", or "POD/ID" where slice is "" (cgroupfs). The caller frees it. */
char *cgroup_container_path(const char *pod, const char *slice, const char *id);

/* The same as an OCI runtime wants it for config.json, "a-b.slice:cri-bulkhead:ID" for the first of the two. The caller frees it. */
char *cgroup_oci_path(const char *path);
