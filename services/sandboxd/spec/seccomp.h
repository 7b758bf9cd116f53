/* The seccomp object of a container's config.json. */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "common/error.h"
#include "proto/cri.pb-c.h"

/* What the security context asks for; nothing said is Unconfined. *ret_path (may be NULL): of a Localhost profile. */
enum seccomp_choice { SECCOMP_UNCONFINED, SECCOMP_RUNTIME_DEFAULT, SECCOMP_LOCALHOST, SECCOMP_UNKNOWN };
enum seccomp_choice seccomp_choose(const Runtime__V1__SecurityProfile *profile, const char *old_path, const char **ret_path);

/* RuntimeDefault for that bounding set on this machine's architecture. */
json_t *seccomp_runtime_default(uint64_t bounding);

/* This machine, as profiles name it: "SCMP_ARCH_X86_64", "amd64". */
const char *seccomp_architecture(void);
const char *seccomp_go_architecture(void);

/* A profile file's text (OCI's seccomp object, or Docker's, with archMap, includes and excludes) for a container with that
 * bounding set under that kernel (major << 8 | minor). INVALID_ARGUMENT says what is wrong with it. */
struct error *seccomp_profile_translate(const char *text, size_t size, uint64_t bounding, unsigned kernel_version,
                                        json_t **ret) __attribute__((warn_unused_result));
