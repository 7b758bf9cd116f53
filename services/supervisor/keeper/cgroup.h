/* One cgroup per generation, outside the unit's own: HIERARCHY/bulkhead-HASH/NAME.SERIAL, without any controller. */
#pragma once

#include "services/supervisor/keeper/keeper.h"

enum { CGROUP_HIERARCHIES = 2 };

/* Makes the cgroup and opens its cgroup.procs in each hierarchy; -1 where there is none. The caller closes them. A host
 * without cgroups is logged and lived with. */
void cgroup_make(const struct keeper *keeper, enum keeper_program program, uint64_t serial,
                 int ret_procs[CGROUP_HIERARCHIES]);

/* The only process in it, or 0: none, or several. */
pid_t cgroup_only_process(const struct keeper *keeper, enum keeper_program program, uint64_t serial);

/* SIGKILL to all that is in it. */
void cgroup_kill(const struct keeper *keeper, enum keeper_program program, uint64_t serial);

/* Removes it; false if something is still in it. */
bool cgroup_remove(const struct keeper *keeper, enum keeper_program program, uint64_t serial);

/* Removes every generation's cgroup that no child of ours has, killing what is in a daemon's; false if any remains. */
bool cgroup_sweep(const struct keeper *keeper);
