/* The answer to Version, the one call that criapi answers itself. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "services/criapi/routes.h"

/* Answers a packed VersionRequest, asked in that version, with a packed VersionResponse, freed by the caller.
 * INVALID_ARGUMENT: does not parse. */
struct error *version_answer(enum api_version version, const uint8_t *request, size_t size, uint8_t **ret_reply,
                             size_t *ret_size)
    __attribute__((warn_unused_result));
