/* The rules: a call inside the server at its death is UNAVAILABLE; a call whose OCI runtime or plugin was killed fails, and says so. */
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

static bool is_run_by_cni(enum rpc rpc)
{
    return rpc == RPC_RUN_POD || rpc == RPC_STOP_POD || rpc == RPC_REMOVE_POD;
}

/* The program that was run for the call was killed, and the call says so: a step of ours that only its caller can repeat. */
static bool excuses_program(const struct kill_record *kill, const struct error *failure, const char *pod)
{
    return failure->code == ERROR_INTERNAL && strstr(failure->text, "signal 9") && (!*pod || !strcmp(pod, kill->pod));
}

bool kill_excuses(const struct kill_record *kill, enum rpc rpc, const struct error *failure, const char *pod)
{
    switch (kill->target) {
    case TARGET_CRIAPI:
    case TARGET_MATCH: return failure->code == ERROR_UNAVAILABLE;
    case TARGET_OCI: return is_run_by_oci(rpc) && excuses_program(kill, failure, pod);
    case TARGET_CNI: return is_run_by_cni(rpc) && excuses_program(kill, failure, pod);
    default: return false;
    }
}
