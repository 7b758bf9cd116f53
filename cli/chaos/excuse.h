/* Which failures a kill excuses: where design.md promises no more. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cli/chaos/recorder.h"

/* Was the process dead, dying or stopped at some time between start and end? */
bool kill_covers(const struct kill_record *kill, int64_t start_ns, int64_t end_ns);

/* A call of that pod ("": it is not known yet) that failed while this kill covered it. */
bool kill_excuses(const struct kill_record *kill, enum rpc rpc, const struct error *failure, const char *pod);
