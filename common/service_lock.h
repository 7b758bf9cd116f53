/* One generation of a daemon at a time: STATE/NAME.lock, a byte for each generation, held until the process ends. */
#pragma once

#include <stdint.h>

#include "common/error.h"

/* Makes the caller the only generation of the daemon that runs. A newer one, or the same one, that lives wins:
 * ALREADY_EXISTS, with its pid. An older one is killed and waited for, half a second at most: what is stuck in the
 * kernel after its KILL keeps its lock, but runs no instruction of ours any more. Needs the right to kill it. *ret_fd
 * stays open for ever, and nobody else in the process may open the file: closing any descriptor of it would drop the
 * lock. */
struct error *service_lock(const char *state_directory, const char *name, uint64_t generation, int *ret_fd)
    __attribute__((warn_unused_result));
