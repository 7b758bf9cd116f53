/* The backstop: `bulkhead run`, which starts and restarts the keeper, and does nothing else. */
#pragma once

#include "common/config.h"

/* Runs until SIGTERM or SIGINT has ended the tree (but the shims). Returns main()'s exit status. */
int backstop_run(const struct config *config);
