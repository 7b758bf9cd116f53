/* What can be killed: the kinds of process, by the names that --targets takes. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

enum target {
    TARGET_CRIAPI,
    TARGET_SANDBOXD,
    TARGET_IMAGED,
    TARGET_LOGD,
    TARGET_SUPERVISOR,
    TARGET_KEEPER,
    TARGET_BACKSTOP,
    TARGET_SHIM,
    TARGET_STREAM,
    TARGET_FETCH,
    TARGET_UNPACK,
    TARGET_OCI,   /* crun, runc */
    TARGET_CNI,   /* a network plugin */
    TARGET_MATCH, /* whatever --kill matches */
    TARGET_COUNT
};

const char *target_name(enum target target);

/* A program's name without "bulkhead-"; TARGET_COUNT: none of them. */
enum target target_of_program(const char *name);

/* Does it live only while there is something to do? */
bool target_is_child(enum target target);

/* "criapi,shim", "daemons", "children", "all", in any mixture: a bit for each. INVALID_ARGUMENT names a word that is none. */
struct error *targets_parse(const char *text, uint32_t *ret) __attribute__((warn_unused_result));

static inline bool targets_have(uint32_t targets, enum target target)
{
    return targets >> target & 1;
}
