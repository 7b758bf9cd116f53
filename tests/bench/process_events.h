/* Every process that this one's descendants start, as the kernel's process connector tells it: nothing is sampled, and
 * what others on the machine start is not counted. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "common/error.h"

struct process_events;

struct process_counts {
    unsigned long started;  /* forks that made a process (not a thread); our own children are not counted */
    unsigned long executed; /* programs that those executed */
};

/* From now on. Before a network namespace is left: the connector speaks in the first one alone. Needs CAP_NET_ADMIN. */
struct error *process_events_open(struct process_events **ret) __attribute__((warn_unused_result));
void process_events_close(struct process_events *events);

/* What has happened until now, since the opening. RESOURCE_EXHAUSTED if the kernel had to drop events since. */
struct error *process_events_read(struct process_events *events, struct process_counts *ret)
    __attribute__((warn_unused_result));

/* Is it a living descendant, as far as was read? */
bool process_events_has(const struct process_events *events, pid_t pid);
