/* The first interface of a new network namespace. */
#pragma once

#include "common/error.h"

/* Sets `lo` of the caller's network namespace up; again is fine. */
struct error *loopback_up(void) __attribute__((warn_unused_result));
