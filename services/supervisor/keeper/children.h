/* The keeper's children: the list, and its records that a restarted keeper adopts from. */
#pragma once

#include "services/supervisor/keeper/keeper.h"

/* Loads the counters, then adopts every recorded process that lives. An intent without a pid is looked for in its cgroup:
 * a shim found there is adopted, anything else killed, as nobody was told of it. */
struct error *children_load(struct keeper *keeper) __attribute__((warn_unused_result));

/* A new child with the next serial and, but for shims and the like, generation; its intent is on disk, if
 * there is space (a new shim fails without). Not in the list. */
struct error *child_intend(struct keeper *keeper, enum keeper_program program, const char *name, uint64_t generation,
                           uint32_t flags, struct child **ret) __attribute__((warn_unused_result));

/* The intent has become a process: notes it, opens its pidfd, and puts it into the list. */
struct error *child_started(struct keeper *keeper, struct child *child, pid_t pid) __attribute__((warn_unused_result));

/* Takes the child off the list, its record and cgroup away, and frees it. Also for one that never started. */
void child_forget(struct keeper *keeper, struct child *child);

struct child *child_find(const struct keeper *keeper, const struct process_id *process);
struct child *child_find_pid(const struct keeper *keeper, pid_t pid);
struct child *child_find_program(const struct keeper *keeper, enum keeper_program program);

/* Frees the list, and leaves processes, records and cgroups to the next keeper. */
void children_leave(struct keeper *keeper);
