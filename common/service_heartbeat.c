/* When a daemon may say that it works: after a request to itself took the way of all others. */
#include "common/service_heartbeat.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "proto/bulkhead.pb-c.h"

enum { PING_LIMIT_MS = 900, INTERVAL_S = 1 };

struct heartbeat {
    struct ipc_client *client; /* NULL: ping is called directly */
    uint64_t generation;
    struct error *(*ping)(void *state);
    void *state;
};

/* Did this very generation answer? A newer one may have taken the name. */
static struct error *check_answer(const struct heartbeat *heartbeat, const uint8_t *reply, size_t size)
{
    Bulkhead__PingReply *answer = bulkhead__ping_reply__unpack(NULL, size, reply);

    if (!answer)
        return error_new(ERROR_INTERNAL, "a Ping's answer that can't be read");
    uint64_t generation = answer->generation;
    bulkhead__ping_reply__free_unpacked(answer, NULL);
    if (generation != heartbeat->generation)
        return error_new(ERROR_ABORTED, "generation %ju has taken this one's name", (uintmax_t)generation);
    return NULL;
}

static struct error *beat(const struct heartbeat *heartbeat)
{
    autofree uint8_t *reply = NULL;
    size_t size = 0;

    if (!heartbeat->client)
        return heartbeat->ping(heartbeat->state);
    TRY(ipc_client_call(heartbeat->client, "Ping", NULL, clock_boottime_ns() + PING_LIMIT_MS * INT64_C(1000000), NULL, 0,
                        &reply, &size));
    return check_answer(heartbeat, reply, size);
}

static void *heartbeat_main(void *argument)
{
    struct heartbeat *heartbeat = argument;

    pthread_setname_np(pthread_self(), "heartbeat");
    for (;;) {
        autoptr(error) failure = beat(heartbeat);
        if (failure) {
            log_warn("no heartbeat", "error=%s", log_quote(failure->text));
        } else {
            service_notify("READY=1"); /* a new supervisor did not hear the first one */
            service_notify("WATCHDOG=1");
        }
        nanosleep(&(struct timespec){INTERVAL_S, 0}, NULL);
    }
    return NULL;
}

struct error *service_heartbeat_start(const char *directory, uint64_t generation, struct error *(*ping)(void *state),
                                      void *state)
{
    struct heartbeat *heartbeat = xcalloc(1, sizeof(*heartbeat)); /* the thread's; it never ends */
    pthread_t thread;

    *heartbeat = (struct heartbeat){.generation = generation, .ping = ping, .state = state};
    struct error *failure = directory ? ipc_client_open(directory, &heartbeat->client) : NULL;
    int number = failure ? 0 : pthread_create(&thread, NULL, heartbeat_main, heartbeat);
    if (number)
        failure = error_errno(number, "start the heartbeat");
    if (!failure)
        return NULL;
    ipc_client_close(heartbeat->client);
    free(heartbeat);
    return failure;
}
