/* The shim's children, and the orphans below it. */
#pragma once

#include "common/error.h"

struct shim;

/* Becomes the subreaper of the pod and hears of ends from here on. SIGPIPE is ignored. */
struct error *children_open(struct shim *shim) __attribute__((warn_unused_result));

/* Takes note of every child that has ended. Also to be called when something is known that makes an ended child one of ours. */
void children_look(struct shim *shim);
