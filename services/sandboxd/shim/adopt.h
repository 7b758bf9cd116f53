/* What a successor does with what its predecessor left. */
#pragma once

#include <stdbool.h>

#include "common/error.h"

struct shim;

/* Before the loop: takes the fds out of the keeper's store (if asked) and loads all records. */
struct error *adopt_load(struct shim *shim, bool from_store) __attribute__((warn_unused_result));

/* In the loop, once the links are open: watches, finishes or undoes each of them. */
void adopt_begin(struct shim *shim);
