/* What a session's process may do: speak on what it is handed, and with its pod's shim. */
#include "services/criapi/stream/privileges.h"

static const char *const reads[] = {SERVICE_READS, NULL};

const struct service_privileges stream_privileges = {
    .user = CONFIG_USER_STREAM,
    .nofile = 2048, /* a port-forward has a socket for each connection */
    .syscalls = SYSCALLS_READ | SYSCALLS_UNIX,
    .reads = reads,
};
