/* Ends of children and orphans: record, tell, reap. */
#pragma once

#include "services/supervisor/keeper/keeper.h"

/* All that have ended by now. */
void reap_children(struct keeper *keeper);

/* An adopted process's pidfd says that it has ended; reap_dying then waits until its reaper has recorded and reaped it. */
void reap_adopted(struct keeper *keeper, struct watch *watch, uint32_t events);
void reap_dying(struct keeper *keeper);
bool reap_is_pending(const struct keeper *keeper);
