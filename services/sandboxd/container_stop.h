/* StopContainer: the stop signal, the time of grace, SIGKILL; over any number of restarts of sandboxd. */
#pragma once

#include "services/sandboxd/container.h"

/* Asks a running container to end within timeout_s (0 or less: kill at once) and waits for its exit. Fine for one that does not
 * run. A shorter time than one under way wins; the deadline is in the record, so a crash neither restarts nor cuts it. */
struct error *container_stop(struct container *container, const struct ipc_call *call, int64_t timeout_s)
    __attribute__((warn_unused_result));

/* Goes on with a stop that the record tells of. For recovery. */
void container_stop_resume(struct container *container);
