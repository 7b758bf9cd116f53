/* A pod's attachment to the network: ADD and DEL of the whole chain, each plugin run by the pod's shim. */
#pragma once

#include "services/sandboxd/pod.h"

/* Goes on from the record: what has been added is not added again, what runs is joined. */
struct error *pod_network_add(struct pod *pod) __attribute__((warn_unused_result));

/* Gives back what ADD may have taken, by the configuration saved before it; nothing to do is fine. NOT_FOUND: a plugin is
 * no longer installed. */
struct error *pod_network_remove(struct pod *pod) __attribute__((warn_unused_result));
