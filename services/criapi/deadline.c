/* How the time that gRPC says is left becomes a moment on the clock that daemons share. */
#include "services/criapi/deadline.h"

int64_t deadline_from_remaining(int64_t seconds, int32_t nanoseconds, int64_t now_ns)
{
    int64_t left_ns, deadline_ns;

    if (seconds == INT64_MAX)
        left_ns = DEADLINE_NONE_NS;
    else if (__builtin_mul_overflow(seconds, INT64_C(1000000000), &left_ns) ||
             __builtin_add_overflow(left_ns, nanoseconds, &left_ns))
        left_ns = seconds < 0 ? 0 : INT64_MAX;
    if (left_ns < 0)
        left_ns = 0;
    if (__builtin_add_overflow(now_ns, left_ns, &deadline_ns))
        return INT64_MAX;
    return deadline_ns > 0 ? deadline_ns : 1;
}
