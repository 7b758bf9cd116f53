/* A pod's counters of interfaces: /proc/net/dev of its network namespace, opened once by its shim. */
#pragma once

#include "services/sandboxd/pod.h"

/* Asks for those of all READY pods that have none yet, each on a thread of its own. */
void pod_net_open_all(struct sandboxd *d);

/* A copy of the descriptor, which the caller closes; -1: the pod has no network of its own, or it is not open yet. */
int pod_net_file(struct pod *pod);

/* The pod's network goes: gives up what holds its namespace. For good. */
void pod_net_close(struct pod *pod);
