/* How exits become known: from the shim, else from the process itself. */
#pragma once

#include "services/sandboxd/container.h"

/* A shim's word on one of the pod's containers: takes report->pidfd, notes a start or an exit, and acknowledges it once stored. */
void container_report(struct pod *pod, const struct shim_report *report);

/* The shim has named all that it has: what lives by our records and was not named has ended without a witness. */
void containers_listed(struct pod *pod);

/* The container has ended and its status must be found elsewhere: the pidfd's word, else 255 ContainerStatusUnknown. */
void container_exit_unwitnessed(struct container *container, const char *message);

/* It runs: to RUNNING unless it is there or beyond; a missing start time is set. time_ns is REALTIME, 0: now. */
struct error *container_started(struct container *container, int64_t time_ns) __attribute__((warn_unused_result));
