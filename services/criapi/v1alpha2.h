/* CRI's package runtime.v1alpha2: its messages are runtime.v1's on the wire, but for what is here. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

/* What runtime.v1 would say for this request of v1alpha2. *ret is the caller's, and NULL where the bytes serve as they are.
 * INVALID_ARGUMENT for a request that is to be changed and does not parse. */
struct error *v1alpha2_request(const char *method, const uint8_t *request, size_t size, uint8_t **ret, size_t *ret_size)
    __attribute__((warn_unused_result));

/* The same for a reply of v1: what a client of v1alpha2 is to get. INTERNAL where it does not parse. */
struct error *v1alpha2_reply(const char *method, const uint8_t *reply, size_t size, uint8_t **ret, size_t *ret_size)
    __attribute__((warn_unused_result));
