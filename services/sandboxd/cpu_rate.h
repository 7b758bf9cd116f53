/* How many nanoseconds of CPU a second something uses: two samples apart, taken in the background. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { RATE_SAMPLE_S = 10, RATE_MIN_MS = 1000 };

struct cpu_sample {
    int64_t at_ns; /* BOOTTIME; 0: none */
    uint64_t usage_ns;
};

/* The last two samples, the newer one first. */
struct cpu_rate {
    struct cpu_sample samples[2];
};

/* Is there none yet, or is the last one RATE_SAMPLE_S old? */
bool cpu_rate_is_due(const struct cpu_rate *rate, int64_t now_ns);

/* Notes a sample. A counter that went back begins anew. */
void cpu_rate_note(struct cpu_rate *rate, struct cpu_sample now);

/* From the newest sample that is RATE_MIN_MS old at least until now. False: there is none. */
bool cpu_rate_get(const struct cpu_rate *rate, struct cpu_sample now, uint64_t *ret_nano_cores);
