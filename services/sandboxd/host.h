/* The facts of this host that specifications depend on, found out once, while sandboxd is still root. */
#pragma once

#include "services/sandboxd/spec/spec.h"

/* What ret points to lives as long as the process. */
struct error *host_read(struct spec_host *ret) __attribute__((warn_unused_result));
