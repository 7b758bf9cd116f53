/* The thread that kills. */
#pragma once

#include "cli/chaos/chaos.h"

/* Kills until chaos->is_over, then waits until the last victims have successors. argument: struct chaos. */
void *killer_run(void *argument);
