/* The capabilities of a container, as bits by their numbers. */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "common/error.h"
#include "proto/cri.pb-c.h"

struct capability_sets {
    uint64_t bounding; /* effective and permitted are the same; inheritable is `ambient` */
    uint64_t ambient;
};

/* From containerd's 14, ALL first, then additions, then what is dropped; privileged: all of bounding. context may be
 * NULL. INVALID_ARGUMENT for an unknown name, FAILED_PRECONDITION for one that is named and outside bounding. */
struct error *capability_decide(const Runtime__V1__LinuxContainerSecurityContext *context, uint64_t bounding,
                                struct capability_sets *ret) __attribute__((warn_unused_result));

/* ["CAP_CHOWN", ...] in the order of their numbers. */
json_t *capability_names(uint64_t mask);
