/* Which work each kind of process has in hand: by the harness's own calls under way. */
#pragma once

#include <stdbool.h>

#include "cli/chaos/chaos.h"
#include "cli/chaos/processes.h"

/* Names the work into ret, "" for none. is_healing: another process is being replaced, which is supervisor's, keeper's and
 * backstop's work. */
void work_find(struct chaos *chaos, const struct process *process, bool is_healing, char ret[RPC_SET_SIZE]);
