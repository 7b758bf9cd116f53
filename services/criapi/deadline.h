/* A client's deadline, as the daemons understand it. */
#pragma once

#include <stdint.h>

/* A client that names no deadline waits this long: longer than any pull. */
#define DEADLINE_NONE_NS (INT64_C(24) * 3600 * 1000000000)

/* The moment (CLOCK_BOOTTIME, ns) that is seconds + nanoseconds after now_ns. INT64_MAX seconds: the client named none,
 * DEADLINE_NONE_NS from now. Never below now_ns, and never 0, which would be "none". */
int64_t deadline_from_remaining(int64_t seconds, int32_t nanoseconds, int64_t now_ns);
