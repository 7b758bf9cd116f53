/* The one poll(2) of the process. */
#include "services/criapi/stream/poll_set.h"

#include <errno.h>
#include <limits.h>

#include "common/clock.h"
#include "common/memory.h"

void poll_set_add(struct poll_set *set, struct watch *watch, short events)
{
    watch->ready = 0;
    if (watch->fd < 0)
        return;
    if (set->count == set->room) {
        set->room = set->room ? set->room * 2 : 16;
        set->entries = xreallocarray(set->entries, set->room, sizeof(*set->entries));
        set->watches = xreallocarray(set->watches, set->room, sizeof(*set->watches));
    }
    set->entries[set->count] = (struct pollfd){.fd = watch->fd, .events = events};
    set->watches[set->count++] = watch;
}

/* Rounded up, so that the deadline has come when poll returns. */
static int timeout_ms(int64_t deadline_ns)
{
    if (deadline_ns == INT64_MAX)
        return -1;
    int64_t left_ms = (deadline_ns - clock_boottime_ns() + 999999) / 1000000;
    if (left_ms < 0)
        return 0;
    return left_ms > INT_MAX ? INT_MAX : (int)left_ms;
}

struct error *poll_set_wait(struct poll_set *set, int64_t deadline_ns)
{
    int count = poll(set->entries, set->count, timeout_ms(deadline_ns));

    if (count < 0 && errno != EINTR)
        return error_errno(errno, "poll");
    for (size_t i = 0; count > 0 && i < set->count; i++)
        set->watches[i]->ready = set->entries[i].revents;
    set->count = 0;
    return NULL;
}

void poll_set_fini(struct poll_set *set)
{
    free(set->entries);
    free(set->watches);
    *set = (struct poll_set){0};
}

void watch_close(struct watch *watch)
{
    if (watch->fd >= 0)
        close(watch->fd);
    *watch = (struct watch){.fd = -1};
}
