/* criapi's rights. */
#include "services/criapi/criapi.h"

/* gRPC and nng name their threads. */
static const char *const paths[] = {"/proc/self", NULL};
static const char *const reads[] = {SERVICE_READS, "$STATE", NULL};

const struct service_privileges criapi_privileges = {
    .user = CONFIG_USER_CRIAPI,
    .nofile = 8192, /* two descriptors a connection */
    .syscalls = SYSCALLS_THREADS | SYSCALLS_READ | SYSCALLS_UNIX,
    .reads = reads,
    .writes = paths,
};
