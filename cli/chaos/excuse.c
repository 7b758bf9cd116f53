/* The rules: a call inside the server at its death is UNAVAILABLE, and a command that the OCI runtime was running fails. */
#include "cli/chaos/excuse.h"

#include <string.h>

/* A client learns of a connection's end this much later than the process's end is seen, on a busy machine. */
static const int64_t late_ns = 200000000;

bool kill_covers(const struct kill_record *kill, int64_t start_ns, int64_t end_ns)
{
    return kill->at_ns <= end_ns && (!kill->dead_ns || kill->dead_ns + late_ns >= start_ns);
}

static bool is_run_by_oci(enum rpc rpc)
{
    return rpc == RPC_CREATE || rpc == RPC_START || rpc == RPC_EXEC_SYNC;
}

bool kill_excuses(const struct kill_record *kill, enum rpc rpc, enum error_code code, const char *pod)
{
    switch (kill->target) {
    case TARGET_CRIAPI:
    case TARGET_MATCH: return code == ERROR_UNAVAILABLE;
    case TARGET_OCI: return is_run_by_oci(rpc) && code == ERROR_INTERNAL && pod && !strcmp(pod, kill->pod);
    default: return false;
    }
}
