/* How long silence is borne. */
#include "services/supervisor/heartbeat.h"

static const int64_t period_ns = 1000000000;
static const int64_t start_limit_ns = 30000000000;

void heartbeat_heard(struct heartbeat *heartbeat, int64_t now_ns)
{
    heartbeat->heard_ns = now_ns;
}

void heartbeat_excuse(struct heartbeat *heartbeat, int64_t late_ns)
{
    heartbeat->heard_ns += late_ns;
}

bool heartbeat_is_hang(const struct heartbeat *heartbeat, int64_t now_ns, bool is_ready)
{
    int64_t silent_ns = now_ns - heartbeat->heard_ns;

    return silent_ns >= (is_ready ? 4 * period_ns : start_limit_ns); /* the third beat's own period has passed too */
}
