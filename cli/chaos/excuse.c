/* The rules: a call inside the server at its death is UNAVAILABLE; one whose OCI runtime or plugin was killed says so. */
#include "cli/chaos/excuse.h"

#include <string.h>

/* A client learns of a connection's end later than the process's end is seen; and one that was connecting waits for its
 * backoff (100 ms), in which gRPC fails its calls. */
static const int64_t late_ns = 400000000;

/* What a plugin that was killed has left half done is in the way of those that run for the pod next. */
static const int64_t plugin_late_ns = 20000000000;

bool kill_covers(const struct kill_record *kill, int64_t start_ns, int64_t end_ns)
{
    int64_t late = kill->target == TARGET_CNI ? plugin_late_ns : late_ns;

    return kill->at_ns <= end_ns && (!kill->dead_ns || kill->dead_ns + late >= start_ns);
}

static bool is_run_by_oci(enum rpc rpc)
{
    return rpc == RPC_CREATE || rpc == RPC_START || rpc == RPC_EXEC_SYNC;
}

static bool is_run_by_cni(enum rpc rpc)
{
    return rpc == RPC_RUN_POD || rpc == RPC_STOP_POD || rpc == RPC_REMOVE_POD;
}

/* The program that was run for the call was killed, and the call says so (words): its caller alone can have it run again. */
static bool excuses_program(const struct kill_record *kill, const struct error *failure, const char *words, const char *pod)
{
    return failure->code == ERROR_INTERNAL && strstr(failure->text, words) && (!*pod || !strcmp(pod, kill->pod));
}

bool kill_excuses(const struct kill_record *kill, enum rpc rpc, const struct error *failure, const char *pod)
{
    switch (kill->target) {
    case TARGET_CRIAPI:
    case TARGET_MATCH: return failure->code == ERROR_UNAVAILABLE;
    case TARGET_OCI: return is_run_by_oci(rpc) && excuses_program(kill, failure, "signal 9", pod);
    case TARGET_CNI: return is_run_by_cni(rpc) && excuses_program(kill, failure, "of plugin", pod);
    default: return false;
    }
}
