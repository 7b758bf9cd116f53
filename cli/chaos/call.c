/* When a call is made again. */
#include "cli/chaos/call.h"

#include <unistd.h>

#include "common/clock.h"

enum { PAUSE_US = 20000 };
static const int64_t patience_ns = 60000000000;

struct error *caller_open(struct chaos *chaos, size_t slot, struct caller *ret)
{
    *ret = (struct caller){.chaos = chaos, .slot = slot, .pod = ""};
    return cri_client_open(chaos->config->address, &ret->client);
}

void caller_close(struct caller *caller)
{
    cri_client_close(caller->client);
}

/* Does it make sense to try again? */
static bool may_pass(enum rpc rpc, enum error_code code)
{
    switch (code) {
    case ERROR_UNAVAILABLE: return true;
    case ERROR_INVALID_ARGUMENT:
    case ERROR_NOT_FOUND:
    case ERROR_UNIMPLEMENTED:
    case ERROR_FAILED_PRECONDITION:
    case ERROR_PERMISSION_DENIED: return false;
    default: return rpc != RPC_START;
    }
}

struct error *call_make(struct caller *caller, enum rpc rpc, const ProtobufCMessage *request, enum error_code expected,
                        uint8_t **ret_reply, size_t *ret_size)
{
    struct recorder *recorder = caller->chaos->recorder;
    int64_t end = clock_boottime_ns() + patience_ns;

    for (unsigned tries = 0;; tries++) {
        if (tries && rpc == RPC_START) /* the first may have started it, and it may have ended since */
            expected = ERROR_FAILED_PRECONDITION;
        recorder_begin(recorder, caller->slot, rpc, caller->pod);
        struct error *error =
            cri_client_call_message(caller->client, rpc_service(rpc), rpc_name(rpc), request,
                                    caller->chaos->options->call_timeout_ms, ret_reply, ret_size);
        caller->was_excused = recorder_end(recorder, caller->slot, error, expected);
        if (!error || error->code == expected) {
            caller->was_excused = error != NULL;
            return error;
        }
        if (!may_pass(rpc, error->code) || clock_boottime_ns() > end)
            return error_wrap(error, "%s", rpc_name(rpc));
        error_free(error);
        usleep(PAUSE_US);
    }
}
