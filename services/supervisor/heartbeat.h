/* When a silent daemon counts as hanging. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct heartbeat {
    int64_t heard_ns; /* the last sign of life, BOOTTIME, moved on by what the supervisor itself was late */
};

void heartbeat_heard(struct heartbeat *heartbeat, int64_t now_ns);

/* The supervisor was late_ns late: that time does not count. */
void heartbeat_excuse(struct heartbeat *heartbeat, int64_t late_ns);

/* Ready: three beats of 1 s missed. Not yet ready: 30 s. */
bool heartbeat_is_hang(const struct heartbeat *heartbeat, int64_t now_ns, bool is_ready);
