/* What a containerEdits object may hold. */
#pragma once

#include "services/sandboxd/cdi/cdi.h"

/* INVALID_ARGUMENT for an unknown member, a wrong type or a missing part; NULL (absent) is fine. */
struct error *cdi_edits_check(const json_t *edits) __attribute__((warn_unused_result));

/* UNIMPLEMENTED for what no runtime here can do. A list of edits. */
struct error *cdi_edits_check_supported(const json_t *list) __attribute__((warn_unused_result));
