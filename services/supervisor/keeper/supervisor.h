/* The keeper's one policy: the supervisor is started at once, and killed when it is silent. */
#pragma once

#include "services/supervisor/keeper/keeper.h"

/* Binds STATE/keeper/notify. */
struct error *supervisor_watch_open(struct keeper *keeper) __attribute__((warn_unused_result));

/* Starts one if none lives (10 times a second at most), kills one silent for 3 s. late_ns: how much the keeper itself was. */
void supervisor_tick(struct keeper *keeper, int64_t late_ns);

void supervisor_ended(struct keeper *keeper, const struct child *child, bool is_known, int wait_status);
