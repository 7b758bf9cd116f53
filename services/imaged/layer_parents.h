/* The directories of a layer that its archive does not name. */
#pragma once

#include <stdint.h>

#include "services/imaged/store.h"

struct keeper_client;

/* The file in memory that unpack writes their paths into; it cannot grow. */
struct error *layer_parents_open(int *ret_fd) __attribute__((warn_unused_result));

/* Has unpack give them what the layers below say of them: chains[0..count-1], all of them there, the lowest first.
 * making: the layer's directory now; list: the file, with that many bytes in it. */
struct error *layer_parents_mend(struct keeper_client *keeper, uint64_t generation, const char *making, int list,
                                 uint64_t size, char *const *chains, size_t count) __attribute__((warn_unused_result));
