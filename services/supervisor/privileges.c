/* The supervisor's rights: none but its own directory and the keeper's socket. */
#include "services/supervisor/supervisor.h"

static const char *const reads[] = {SERVICE_READS, "$STATE", "/proc", NULL};
static const char *const writes[] = {"$ROOT/supervisor", "$STATE/supervisor", "/proc/self", NULL};

const struct service_privileges supervisor_privileges = {
    .user = CONFIG_USER_SUPERVISOR,
    .nofile = 4096,
    .syscalls = SYSCALLS_THREADS | SYSCALLS_READ | SYSCALLS_WRITE | SYSCALLS_UNIX,
    .reads = reads,
    .writes = writes,
};
