/* containerd beside us: the same network, registry, runtime and kernel; where its programs are is told by the caller.
 */
#pragma once

#include <sys/types.h>

#include "common/error.h"
#include "tests/support/node.h"
#include "tests/support/registry.h"

/* Starts containerd with a private root at NODE/peer and the node's CNI network and mirror rules; *ret_address is its
 * socket, the caller's. Pushes a pause image, whose process sleeps. Does not wait. */
struct error *peer_start(const struct node *node, struct registry_server *registry, const char *programs,
                         pid_t *ret_pid, char **ret_address) __attribute__((warn_unused_result));
