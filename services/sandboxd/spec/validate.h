/* What the checks of a pod's and of a container's configuration have in common. */
#pragma once

#include "services/sandboxd/spec/parts.h"

enum { VALIDATE_NAME_MAX = 253 /* Kubernetes' own limit */, VALIDATE_HOSTNAME_MAX = 64 /* the kernel's */ };

/* UNIMPLEMENTED, beginning with the field's name. */
struct error *validate_unsupported(const char *field) __attribute__((warn_unused_result));

/* Printable ASCII without space, slash, ';' and '=', not "." or "..": names become paths and CNI arguments. */
struct error *validate_name(const char *field, const char *name) __attribute__((warn_unused_result));

/* Absolute, without ".."; "" is fine. */
struct error *validate_path(const char *field, const char *path) __attribute__((warn_unused_result));

struct error *validate_selinux(const Runtime__V1__SELinuxOption *options, const struct spec_host *host)
    __attribute__((warn_unused_result));
struct error *validate_apparmor(const Runtime__V1__SecurityProfile *profile, const char *old_profile,
                                const struct spec_host *host) __attribute__((warn_unused_result));
struct error *validate_groups_policy(Runtime__V1__SupplementalGroupsPolicy policy) __attribute__((warn_unused_result));
struct error *validate_seccomp(const Runtime__V1__SecurityProfile *profile, const char *old_path)
    __attribute__((warn_unused_result));
struct error *validate_namespaces(const Runtime__V1__NamespaceOption *options) __attribute__((warn_unused_result));

/* Absent is fine; else 0..2147483647. */
struct error *validate_id(const char *field, const Runtime__V1__Int64Value *id) __attribute__((warn_unused_result));
struct error *validate_ids(const char *field, const int64_t *ids, size_t count) __attribute__((warn_unused_result));

/* What is asked for of user namespaces. */
struct error *validate_pod_user_namespace(const Runtime__V1__NamespaceOption *options, const struct spec_host *host)
    __attribute__((warn_unused_result));
struct error *validate_container_user_namespace(const Runtime__V1__NamespaceOption *options,
                                                const Runtime__V1__PodSandboxConfig *pod_config)
    __attribute__((warn_unused_result));
struct error *validate_mount_mappings(const Runtime__V1__Mount *mount, const Runtime__V1__PodSandboxConfig *pod_config)
    __attribute__((warn_unused_result));

struct error *validate_resources(const Runtime__V1__LinuxContainerResources *resources, const struct spec_host *host)
    __attribute__((warn_unused_result));
