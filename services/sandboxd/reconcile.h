/* The pod's worker: one thread, there only while the pod has long work, that does what is begun, and does again what failed. */
#pragma once

#include "services/sandboxd/container.h"

/* There may be work: wakes the worker, or starts it. */
void pod_kick(struct pod *pod);

/* The same, at once: what waits for its next attempt does not wait longer. */
void pod_kick_now(struct pod *pod);

/* Nobody calls for it, and has not for JOIN_GRACE_S: the creation may be given up. d->lock held. */
bool is_abandoned(unsigned joiners, int64_t alone_since_ns);

/* The pause before attempt number retries + 1, doubling from 100 ms to 30 s. Pure. */
int64_t reconcile_backoff_ns(unsigned retries);
