/* A node of chaos' own: `bulkhead run` in namespaces, directories and a network of its own, started again when it dies. */
#pragma once

#include "cli/chaos/options.h"
#include "common/config.h"

struct node;

/* Goes on in a child, which is the first process of a PID namespace, with mounts and (but for keeps_network) a network of
 * its own; the child gets its directory. The parent waits for it, removes what is left (cgroups, and the directory, but for
 * a run that ended with 1), and exits with its status. Before there are threads. */
struct error *node_enter(const struct options *options, char **ret_directory) __attribute__((warn_unused_result));

/* Writes the configuration: the user's, with directories, socket and CNI network of the node's own. */
struct error *node_configure(const char *directory, const struct config *user, struct config **ret)
    __attribute__((warn_unused_result));

/* Starts `bulkhead run`, and a thread that reaps what becomes ours and starts it again at once whenever it has ended. */
struct error *node_start(const char *directory, const struct config *config, struct node **ret)
    __attribute__((warn_unused_result));

/* Ends it in order (SIGTERM), and waits for its end. */
void node_stop(struct node *node);
