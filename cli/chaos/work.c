/* The table: which calls go through which process. */
#include "cli/chaos/work.h"

#include <stdio.h>
#include <string.h>

#define BIT(rpc) (1u << (rpc))

enum {
    ALL_CALLS = BIT(RPC_SESSION) - 1,
    IMAGE_CALLS = BIT(RPC_PULL) | BIT(RPC_IMAGE_STATUS) | BIT(RPC_LIST_IMAGES) | BIT(RPC_REMOVE_IMAGE),
    LEASES = BIT(RPC_CREATE) | BIT(RPC_REMOVE) | BIT(RPC_REMOVE_POD), /* of an image's layers */
    STORES = BIT(RPC_CREATE) | BIT(RPC_REMOVE) | BIT(RPC_REOPEN_LOG), /* descriptors of a container */
};

static const uint32_t calls_of[TARGET_COUNT] = {
    [TARGET_CRIAPI] = ALL_CALLS,
    [TARGET_SANDBOXD] = ALL_CALLS & ~(IMAGE_CALLS | BIT(RPC_VERSION)),
    [TARGET_IMAGED] = IMAGE_CALLS | LEASES,
    [TARGET_LOGD] = BIT(RPC_CREATE) | BIT(RPC_START) | BIT(RPC_REOPEN_LOG) | BIT(RPC_REMOVE),
    [TARGET_SUPERVISOR] = BIT(RPC_STATUS) | BIT(RPC_SESSION),
    [TARGET_KEEPER] = BIT(RPC_RUN_POD) | BIT(RPC_REMOVE_POD) | BIT(RPC_PULL) | BIT(RPC_SESSION) | STORES,
    [TARGET_SHIM] = ALL_CALLS | BIT(RPC_SESSION), /* of its pod */
    [TARGET_STREAM] = BIT(RPC_SESSION),
    [TARGET_MATCH] = ALL_CALLS | BIT(RPC_SESSION),
};

static void work_add(char ret[RPC_SET_SIZE], const char *word)
{
    size_t length = strlen(ret);

    snprintf(ret + length, RPC_SET_SIZE - length, "%s%s", length ? " " : "", word);
}

/* A container that runs has output to be framed, and a parent that waits for its end. */
static bool has_containers(struct chaos *chaos, const struct process *process)
{
    if (process->target == TARGET_LOGD)
        return book_containers(chaos->book, NULL) > 0;
    return process->target == TARGET_SHIM && book_containers(chaos->book, process->pod) > 0;
}

void work_find(struct chaos *chaos, const struct process *process, bool is_healing, char ret[RPC_SET_SIZE])
{
    enum target target = process->target;
    bool is_of_pod = target == TARGET_SHIM || target == TARGET_OCI || target == TARGET_CNI;
    bool is_guardian = target == TARGET_SUPERVISOR || target == TARGET_KEEPER || target == TARGET_BACKSTOP;

    recorder_under_way(chaos->recorder, calls_of[target], is_of_pod ? process->pod : NULL, ret);
    if (is_of_pod && !*ret && !book_has(chaos->book, process->pod)) /* a pod that is being made: its id is not known yet */
        recorder_under_way(chaos->recorder, BIT(RPC_RUN_POD), "", ret);
    if (has_containers(chaos, process))
        work_add(ret, "(running containers)");
    if (is_guardian && is_healing)
        work_add(ret, "(a process being replaced)");
    if (target == TARGET_OCI || target == TARGET_CNI || target == TARGET_FETCH || target == TARGET_UNPACK)
        work_add(ret, "(itself)"); /* it lives only for its work */
}
