/* What sandboxd may do: nothing that needs a right. */
#include "services/sandboxd/sandboxd.h"

/* Processes and cgroups, and the host's resolv.conf, wherever a link leads there. */
static const char *const reads[] = {SERVICE_READS, "$STATE", "/proc", "/sys", "/etc", "/run/systemd/resolve", "/run/NetworkManager",
                                    "/run/resolvconf", NULL};
static const char *const writes[] = {"$ROOT/sandboxd", "$STATE/sandboxd", "/proc/self", NULL};

const struct service_privileges sandboxd_privileges = {
    .user = CONFIG_USER_SANDBOXD,
    .nofile = 65536,
    .syscalls = SYSCALLS_THREADS | SYSCALLS_READ | SYSCALLS_WRITE | SYSCALLS_UNIX,
    .reads = reads,
    .writes = writes,
};
