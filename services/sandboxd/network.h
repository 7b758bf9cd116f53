/* The node's network configuration: what is in net.d now, and whether it can be used. */
#pragma once

#include "services/sandboxd/cni/cni.h"
#include "services/sandboxd/sandboxd.h"

/* Reads net.d through the keeper, each time: a good file counts from the moment it is there. FAILED_PRECONDITION says why there is
 * no usable network; ret_reason then is a word for CRI's condition ("NoConfiguration", ...), static, NULL if not wanted. */
struct error *network_load(struct sandboxd *d, struct cni_network **ret, const char **ret_reason)
    __attribute__((warn_unused_result));
