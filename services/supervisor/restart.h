/* When a dead daemon is started again. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct restart {
    int64_t credit_ns; /* of the token bucket: a restart costs 20 ms, 2 s at most are saved up */
    int64_t counted_ns;
    unsigned failures; /* deaths in a row that were its own fault, before it had served */
};

void restart_init(struct restart *restart, int64_t now_ns);

/* How long to wait. at_once (killed from outside, or it had served): 0, by a token bucket of 100 and then 50 per second.
 * Else 100 ms doubling to 30 s. Clocks are BOOTTIME. */
int64_t restart_delay_ns(struct restart *restart, int64_t now_ns, bool at_once);
