/* The pod's kernel parameters. */
#pragma once

#include <stdbool.h>

#include "common/error.h"
#include "common/sysctl.h"
#include "services/sandboxd/shim/pod.h"

/* Is "NAME=VALUE" a parameter of a namespace that is the pod's own? */
bool sysctl_is_allowed(const char *setting, const struct pod_record *pod);

/* Which namespace "NAME=VALUE" is of. */
enum sysctl_namespace sysctl_setting_namespace(const char *setting);

/* Writes it, in the caller's namespaces. */
struct error *sysctl_set(const char *setting) __attribute__((warn_unused_result));
