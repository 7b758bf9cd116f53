/* The seccomp object of a container's config.json. */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "proto/cri.pb-c.h"

/* What the security context asks for: RuntimeDefault, else (Unconfined, nothing said, privileged) none. */
enum seccomp_choice { SECCOMP_UNCONFINED, SECCOMP_RUNTIME_DEFAULT, SECCOMP_UNSUPPORTED };
enum seccomp_choice seccomp_choose(const Runtime__V1__SecurityProfile *profile, const char *old_path);

/* RuntimeDefault for that bounding set on this machine's architecture. */
json_t *seccomp_runtime_default(uint64_t bounding);
