/* The jail: a mount namespace whose root is the layer's directory. */
#pragma once

#include "common/error.h"

/* Opens ROOT/imaged/layers/NAME, following no link below ROOT. */
struct error *jail_layer_open(const char *root, const char *name, int *ret_fd) __attribute__((warn_unused_result));

/* Enters ROOT/imaged/layers/NAME as the root of a mount namespace of its own (nosuid, nodev, noexec), without a network. Needs
 * CAP_SYS_ADMIN, and must come before any thread. Afterwards "/" and "." are the layer. */
struct error *jail_enter(const char *root, const char *name) __attribute__((warn_unused_result));
