/* CRI's AuthConfig made into the job that fetch gets. Pure. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "services/imaged/pull.h"
#include "services/imaged/reference.h"

/* The wire.h fields of fetch/protocol.h: the repository, and the credentials if they are for this registry; with a server_address they are for no mirror of it. INVALID_ARGUMENT: `auth` is not
 * base64 of user:password. The caller frees *ret_job. */
struct error *auth_job_build(const struct reference *reference, const struct pull_auth *auth, uint8_t **ret_job, size_t *ret_size)
    __attribute__((warn_unused_result));
