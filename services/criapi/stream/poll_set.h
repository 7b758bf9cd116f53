/* What one turn of the loop waits for: watches, which their owners embed and add anew in each turn. */
#pragma once

#include <poll.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

/* fd -1: nothing. `ready` is what poll(2) said in this turn, 0 for what was not added. */
struct watch {
    int fd;
    short ready;
};

struct poll_set {
    struct pollfd *entries;
    struct watch **watches;
    size_t count, room;
};

/* events 0 still sees errors and hang-ups. The watch must stay in place until poll_set_wait() returns. */
void poll_set_add(struct poll_set *set, struct watch *watch, short events);

/* Waits until a watch is ready or deadline_ns (BOOTTIME, INT64_MAX: none) has come, and empties the set. */
struct error *poll_set_wait(struct poll_set *set, int64_t deadline_ns) __attribute__((warn_unused_result));
void poll_set_fini(struct poll_set *set);

/* Closes the descriptor, if there is one. */
void watch_close(struct watch *watch);
