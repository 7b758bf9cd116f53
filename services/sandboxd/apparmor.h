/* AppArmor's profiles in the kernel of this host. */
#pragma once

#include "services/sandboxd/pod.h"

/* The kernel's list of loaded profiles, a line "NAME (MODE)" each. */
extern const char apparmor_list_path[];
bool apparmor_list_has(const char *data, size_t size, const char *profile);

/* Loads SPEC_APPARMOR_DEFAULT, by apparmor_parser under the pod's shim. */
struct error *apparmor_load_default(struct pod *pod, uint64_t step, const struct shim_patience *patience)
    __attribute__((warn_unused_result));
