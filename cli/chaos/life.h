/* A pod's life, one after the other, on a thread of its own. */
#pragma once

#include "cli/chaos/chaos.h"

struct worker {
    struct chaos *chaos;
    size_t slot;
};

/* Until chaos->is_over; the last pod is ended as all others. argument: struct worker. */
void *worker_run(void *argument);

/* One life, so that what is made once is there; what goes wrong is in the record. */
void worker_warm_up(struct worker *worker);
