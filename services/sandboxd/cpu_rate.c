/* Which of two samples a rate is measured from. */
#include "services/sandboxd/cpu_rate.h"

bool cpu_rate_is_due(const struct cpu_rate *rate, int64_t now_ns)
{
    return !rate->samples[0].at_ns || now_ns - rate->samples[0].at_ns >= RATE_SAMPLE_S * INT64_C(1000000000);
}

void cpu_rate_note(struct cpu_rate *rate, struct cpu_sample now)
{
    bool went_back = now.usage_ns < rate->samples[0].usage_ns;

    rate->samples[1] = went_back ? (struct cpu_sample){0} : rate->samples[0];
    rate->samples[0] = now;
}

bool cpu_rate_get(const struct cpu_rate *rate, struct cpu_sample now, uint64_t *ret_nano_cores)
{
    for (unsigned i = 0; i < 2; i++) {
        const struct cpu_sample *from = &rate->samples[i];
        if (!from->at_ns || now.at_ns - from->at_ns < RATE_MIN_MS * INT64_C(1000000) || now.usage_ns < from->usage_ns)
            continue;
        *ret_nano_cores = (uint64_t)((double)(now.usage_ns - from->usage_ns) * 1e9 / (double)(now.at_ns - from->at_ns));
        return true;
    }
    return false;
}
