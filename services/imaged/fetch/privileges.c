/* What a registry conversation may do: speak with the network, and write to its pipes. */
#include "services/imaged/fetch/privileges.h"

/* Names, certificates, and the libraries by which libc looks names up. */
static const char *const reads[] = {SERVICE_READS, "/etc", "/usr", "/lib", "/lib64", "/run/systemd/resolve", "/run/NetworkManager",
                                    "/run/resolvconf", NULL};

const struct service_privileges fetch_privileges = {
    .user = CONFIG_USER_FETCH,
    .nofile = 64,
    .syscalls = SYSCALLS_THREADS | SYSCALLS_READ | SYSCALLS_UNIX | SYSCALLS_INTERNET,
    .reads = reads,
};
