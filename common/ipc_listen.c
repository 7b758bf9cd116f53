/* The name of a socket of this generation, and who may come in by it. */
#include "common/ipc_listen.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/ipc_envelope.h"
#include "common/memory.h"

struct error *ipc_listen(nng_socket socket, const char *directory, const char *name, uint64_t generation)
{
    autofree char *own = xasprintf("%s/%s.%ju", directory, name, (uintmax_t)generation);
    autofree char *path = xasprintf("%s/%s", directory, name);
    autofree char *url = xasprintf("ipc://%s", own);

    int result = nng_listen(socket, url, NULL, 0);
    if (result != 0)
        return ipc_error(result, own);
    if (chmod(own, 0666) < 0)
        return error_errno(errno, "set the mode of %s", own);
    if (rename(own, path) < 0)
        return error_errno(errno, "rename %s", own);
    return NULL;
}

bool ipc_is_allowed(uint32_t uid, uint32_t own_uid, const uint32_t *allowed)
{
    if (uid == 0 || uid == own_uid)
        return true;
    for (; allowed && *allowed; allowed++) {
        if (*allowed == uid)
            return true;
    }
    return false;
}

uint32_t ipc_peer_uid(nng_pipe pipe)
{
    uint64_t uid = UINT32_MAX;

    if (nng_pipe_get_uint64(pipe, NNG_OPT_IPC_PEER_UID, &uid) != 0)
        return UINT32_MAX;
    return (uint32_t)uid;
}
