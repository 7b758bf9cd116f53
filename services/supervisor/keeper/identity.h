/* Who the keeper and the backstop are, for `bulkhead status`: STATE/keeper/self and STATE/keeper/backstop. */
#pragma once

#include "common/keeper_protocol.h"

struct identity {
    struct process_id process;
    uint64_t generation;
    uint32_t restarts;   /* since the last orderly end */
    uint32_t last_death; /* enum death_reason */
    int64_t started_ns;  /* BOOTTIME */
    uint32_t is_ended;   /* by SIGTERM, in order */
    uint32_t reserved;
};

/* Notes this process as the successor of the one noted before. */
struct error *identity_save(int keeper_dir, const char *name, enum death_reason last_death)
    __attribute__((warn_unused_result));

/* Notes that its end was ordered; the next one counts from zero. */
void identity_end(int keeper_dir, const char *name);

struct error *identity_load(int keeper_dir, const char *name, struct identity *ret)
    __attribute__((warn_unused_result));
