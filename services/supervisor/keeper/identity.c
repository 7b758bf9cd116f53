/* How restarts of the processes above the supervisor are counted. */
#include "services/supervisor/keeper/identity.h"

#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/record.h"

struct error *identity_load(int keeper_dir, const char *name, struct identity *ret)
{
    uint32_t version = 0;
    autofree void *data = NULL;
    size_t size = 0;

    TRY(record_load(keeper_dir, name, "identity", 1, &version, &data, &size));
    if (size != sizeof(*ret))
        return error_new(ERROR_DATA_LOSS, "%s is not an identity", name);
    memcpy(ret, data, size);
    return NULL;
}

struct error *identity_save(int keeper_dir, const char *name, enum death_reason last_death)
{
    struct identity identity = {0};
    struct error *fresh = identity_load(keeper_dir, name, &identity);
    bool is_first = fresh || identity.is_ended;

    error_free(fresh);
    identity.restarts = is_first ? 0 : identity.restarts + 1;
    identity.last_death = is_first ? DEATH_NONE : last_death;
    identity.generation++;
    identity.started_ns = clock_boottime_ns();
    identity.is_ended = 0;
    TRY(process_id_read(getpid(), &identity.process));
    return record_save(keeper_dir, name, "identity", 1, &identity, sizeof(identity));
}

void identity_end(int keeper_dir, const char *name)
{
    struct identity identity = {0};
    autoptr(error) failure = identity_load(keeper_dir, name, &identity);

    if (failure)
        return;
    identity.is_ended = 1;
    error_free(record_save(keeper_dir, name, "identity", 1, &identity, sizeof(identity)));
}
