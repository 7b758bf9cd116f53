/* The sweeper: takes away what nothing needs, and brings layers safely to the disk. */
#pragma once

#include "common/error.h"

struct imaged;

/* Starts its thread, which lives as long as the process. */
struct error *sweep_start(struct imaged *imaged) __attribute__((warn_unused_result));
