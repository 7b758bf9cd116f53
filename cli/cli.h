/* The verbs of `bulkhead`: each file has one. */
#pragma once

#include <stdbool.h>

#include "common/config.h"

enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_NOT_RUNNING = 3 };

/* Each takes what is left of the command line after the common flags; argv[0] is the verb. Returns the exit status. */
int cli_run(const struct config *config, int argc, char **argv);
int cli_status(const struct config *config, int argc, char **argv);
int cli_check(const struct config *config, int argc, char **argv);
int cli_chaos(const struct config *config, int argc, char **argv);

/* Parts of `check`: each prints what it finds, to stderr what is wrong, and says whether all is well. */
bool check_network(const struct config *config);
bool check_registries(const struct config *config);
