/* The shim's end of logd's contract: hands over what a container's log needs, asks for drains, rotations and removals. One
 * connection in the loop; after each reconnection everything that is still wanted is said again. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "services/sandboxd/shim/loop.h"

struct container;
struct logd_message;

struct logd_link {
    struct source source;
    struct timer retry;    /* the next attempt to connect */
    struct timer hello;    /* the next HELLO, or the end of the wait for its answer */
    struct timer untold;   /* the next attempt to open log files that could not be opened */
    bool is_awaited;       /* a HELLO has no answer yet */
    unsigned silences;     /* HELLOs in a row that had none */
    unsigned tellings;     /* number of the last one */
};

void logd_link_open(struct shim *shim);

/* Tells logd all that it must know of the container: its descriptors, the next file, and what else is wanted of it. It takes a
 * moment, as the log files are opened for it apart from the loop; what becomes wanted meanwhile is said then. */
void logd_tell(struct shim *shim, struct container *container);

/* The attempts that are due for containers whose files could not be opened. */
void logd_tell_untold(struct shim *shim, void *owner);

/* Each says it now, if logd is there and no telling is under way; the state in the container has it said otherwise. */
void logd_link_drain(struct shim *shim, const struct container *container);
void logd_link_remove(struct shim *shim, const struct container *container);

/* Says REMOVE whatever is under way: the container is being forgotten, and this logd may know it from before. */
void logd_link_let_go(struct shim *shim, const struct container *container);

/* Sends, or disconnects. The descriptors stay the caller's. */
void logd_link_send(struct shim *shim, const char *id, struct logd_message *message, const int *fds, size_t count);
