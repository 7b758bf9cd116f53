/* imaged's rights: its own user, no capabilities, its own directories. */
#include "services/imaged/imaged.h"

static const char *const reads[] = {SERVICE_READS, "$STATE", "/proc", "/etc/ssl", "/usr/lib/ssl", NULL};
static const char *const writes[] = {"$ROOT/imaged", "$STATE/imaged", "/proc/self", NULL};

const struct service_privileges imaged_privileges = {
    .user = CONFIG_USER_IMAGED,
    .nofile = 4096,
    .syscalls = SYSCALLS_THREADS | SYSCALLS_READ | SYSCALLS_WRITE | SYSCALLS_UNIX,
    .reads = reads,
    .writes = writes,
};
