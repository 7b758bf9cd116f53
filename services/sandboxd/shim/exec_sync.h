/* What the server asks of execs that were run for a step. */
#pragma once

#include <stdint.h>

struct shim;

/* The step's result has been taken: the exec is forgotten. */
void exec_acknowledge(struct shim *shim, uint64_t step);
