/* The arithmetic of the restart rules. */
#include "services/supervisor/restart.h"

static const int64_t token_ns = 20000000;             /* 50 per second */
static const int64_t credit_max_ns = 100 * 20000000LL; /* 100 in a row */
static const int64_t backoff_min_ns = 100000000;
static const int64_t backoff_max_ns = 30000000000;

void restart_init(struct restart *restart, int64_t now_ns)
{
    *restart = (struct restart){.credit_ns = credit_max_ns, .counted_ns = now_ns};
}

static int64_t backoff_ns(unsigned failures)
{
    int64_t delay_ns = backoff_min_ns;

    for (; failures > 0 && delay_ns < backoff_max_ns; failures--)
        delay_ns *= 2;
    return delay_ns < backoff_max_ns ? delay_ns : backoff_max_ns;
}

int64_t restart_delay_ns(struct restart *restart, int64_t now_ns, bool at_once)
{
    if (!at_once)
        return backoff_ns(restart->failures++);
    restart->failures = 0;
    restart->credit_ns += now_ns - restart->counted_ns;
    restart->counted_ns = now_ns;
    if (restart->credit_ns > credit_max_ns)
        restart->credit_ns = credit_max_ns;
    restart->credit_ns -= token_ns;
    return restart->credit_ns < 0 ? -restart->credit_ns : 0;
}
