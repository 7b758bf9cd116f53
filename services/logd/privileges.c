/* The rights logd has: none but what the descriptors it is given allow. */
#include "services/logd/privileges.h"

static const char *const reads[] = {SERVICE_READS, "/proc/self", NULL};

const struct service_privileges logd_privileges = {
    .user = CONFIG_USER_LOGD,
    .nofile = 1 << 16, /* some ten for each container */
    .syscalls = SYSCALLS_THREADS | SYSCALLS_READ | SYSCALLS_UNIX,
    .reads = reads,
};
