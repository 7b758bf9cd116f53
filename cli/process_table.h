/* The processes of the tree: from the supervisor's answer, the identities of keeper and backstop, and /proc. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config.h"

struct process_row {
    char *process; /* "shim POD" */
    int pid;       /* 0: it does not live */
    uint32_t uid;
    uint64_t generation;
    int64_t uptime_s;
    uint32_t restarts;
    char *last_reason;
    int64_t memory_kb; /* PSS; -1: unknown */
    bool is_ready;
    char *note;
};

struct process_table {
    struct process_row *rows;
    size_t count;
    bool is_running; /* some of it lives */
    bool is_degraded;
    char *degraded_reason;
};

/* Asks and reads. The supervisor's silence is no error: what is known without it is shown, and degraded_reason says so.
 */
void process_table_read(const struct config *config, struct process_table *ret);
void process_table_fini(struct process_table *table);
