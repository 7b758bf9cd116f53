/* The two threads beside the pods: one that looks at everything, one that pulls. */
#pragma once

#include "cli/chaos/life.h"

/* Until chaos->is_over. argument: struct worker. */
void *lister_run(void *argument);
void *puller_run(void *argument);
