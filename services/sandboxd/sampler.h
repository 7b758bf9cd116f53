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

/* Takes the counters of the pod's interfaces: the caller closes a copy. -1: the pod has none, or they are not open yet. */
int pod_net_file(struct pod *pod);

/* The pod's network goes: gives up what holds its namespace. For good. */
void pod_net_close(struct pod *pod);
