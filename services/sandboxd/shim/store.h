/* The shim's end of the keeper's contract: the fd store, and exit records to drop. One connection in the loop, made anew when
 * it breaks; nothing waits for an answer, since what the keeper's socket has accepted outlives the shim. */
#pragma once

#include "services/sandboxd/shim/loop.h"

struct store_packet;

struct store {
    struct source source;
    struct timer retry;
    struct store_packet *first, *last; /* waiting for room in the socket */
    uint64_t serial;
};

/* Connects, or goes on trying. */
void store_open(struct shim *shim);

/* Puts (or replaces) and drops an fd of the pod by name, "CONTAINER.SUFFIX" or "pod.SUFFIX". While no keeper lives
 * nothing is noted: each reconnection puts all that the shim holds (store_put_all). */
void store_put(struct shim *shim, const char *owner, const char *suffix, int fd);
void store_drop(struct shim *shim, const char *owner, const char *suffix);

/* All fds of the pod are dropped. */
void store_drop_all(struct shim *shim);

struct process_id;
void store_drop_exit(struct shim *shim, const struct process_id *process);

/* Gets everything the pod has in the store, for a successor, before the loop runs; waits for a keeper at most limit_ms. Each
 * fd goes to `each`, which owns it. */
struct error *store_get_all(struct shim *shim, int64_t limit_ms,
                            void (*each)(struct shim *shim, const char *name, int fd)) __attribute__((warn_unused_result));

/* Has all that was said left the shim? */
bool store_is_flushed(const struct shim *shim);
