/* Clocks: BOOTTIME for waiting and expiry, REALTIME only for what is reported. */
#pragma once

#include <stdint.h>

int64_t clock_boottime_ns(void);
int64_t clock_realtime_ns(void);
