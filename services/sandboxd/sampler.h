/* Samples in the background: CPU time of all containers and pods, writable layers, and each pod's counters of interfaces. No call
 * that lists anything waits for any of them. */
#pragma once

#include "services/sandboxd/container.h"

/* Starts the thread; once, when the records are loaded. */
void sampler_start(struct sandboxd *d);

/* Something has begun or ceased to run. d->lock held. */
void sampler_kick(struct sandboxd *d);

/* Waits three seconds at most for the first samples of what has just begun to run; not for one that has been waited for so long before. */
void sampler_await_first(struct sandboxd *d);
