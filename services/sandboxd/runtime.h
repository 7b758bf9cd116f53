/* Which OCI runtimes there are, and which one a handler's name means. */
#pragma once

#include "services/sandboxd/sandboxd.h"

/* The runtime of a handler ("" is the default). INVALID_ARGUMENT for an unknown one, FAILED_PRECONDITION when none is installed, or
 * its program has gone. */
struct error *runtime_find(const struct sandboxd *d, const char *handler, const struct config_runtime **ret)
    __attribute__((warn_unused_result));

/* The default by configuration, else crun where it works on this host, else runc, else the first; NULL: there is none. */
const struct config_runtime *runtime_default(const struct config *config);
