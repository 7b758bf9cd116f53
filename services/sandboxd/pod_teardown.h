/* The one list that gives back everything a pod has; for a stop, a removal, and the undo of a creation. */
#pragma once

#include "services/sandboxd/pod.h"

/* The worker's parts: one attempt each. An error: to be tried again, from the start. */
struct error *pod_finish_stop(struct pod *pod) __attribute__((warn_unused_result));
struct error *pod_finish_removal(struct pod *pod) __attribute__((warn_unused_result));
struct error *pod_finish_undo(struct pod *pod) __attribute__((warn_unused_result));
