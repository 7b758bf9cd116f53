/* A node for a test: the whole tree of processes in a private root, with mount and network namespaces of the test's own. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/error.h"

struct cri_client;

struct node {
    char *directory;  /* private, below /tmp, short: sockets live in it */
    char *root;
    char *state;
    char *address;
    char *cgroup;     /* for cgroup_parent: "/bhn-PID", or "/bhnPID.slice" */
    bool has_systemd_driver;
    pid_t backstop;   /* our child, `bulkhead run` */
    struct cri_client *client;
};

/* Moves this process (once; single-threaded still) into mount and network namespaces of its own, with `lo` up and, where the
 * host's cgroups are hybrid, the version 2 tree hidden; BULKHEAD_TEST_CGROUP=2 shows that tree alone, with whatever controllers
 * the host leaves to it. */
void node_isolate(void);

/* The cgroup_parent of a pod of this name, below the node's: "/bhn-PID/NAME", or "/bhnPID.slice/bhnPID-NAME.slice". The caller frees it. */
char *node_cgroup_parent(const struct node *node, const char *name);

/* The directory of a container's cgroup: on version 1 hosts in this controller's hierarchy. The caller frees it. */
char *node_container_cgroup(const char *controller, const char *parent, const char *pod_id, const char *id);

/* Are the host's cgroups of version 2? */
bool host_has_cgroup2(void);

/* Makes the directories, a CNI network (bridge, host-local, portmap; subnet 10.198.0.0/24), and starts the tree, whose programs are in
 * $BULKHEAD_PROGRAMS. Does not wait for readiness. mirror: "http://127.0.0.1:PORT" for docker.io, or NULL. extra: members for
 * config.json, as `"key": value`, or NULL; "$DIR" in it stands for the node's directory, and a "cni" replaces the default one. With
 * BULKHEAD_TEST_CGROUP_DRIVER=systemd the node has that driver. */
struct error *node_open(struct node *node, const char *mirror, const char *extra) __attribute__((warn_unused_result));

/* The same, but nothing is started and there is no client: for a test that prepares the directory first. */
struct error *node_make(struct node *node, const char *mirror, const char *extra) __attribute__((warn_unused_result));

/* Waits until Status says that runtime and network are ready. */
struct error *node_wait_ready(struct node *node) __attribute__((warn_unused_result));

/* Starts `bulkhead run` again, as systemd would; the one before must be dead and reaped. */
struct error *node_start(struct node *node) __attribute__((warn_unused_result));

/* The pid of a process of this node by its program ("criapi", "shim", "keeper", ...; "backstop"), 0 if there is none. */
pid_t node_process(const struct node *node, const char *program);
size_t node_process_count(const struct node *node, const char *program);

/* Threads of a program that runs once; 0 if it does not run. */
size_t node_thread_count(const struct node *node, const char *program);

/* A count that grows with all that a program does: its reads and writes, and its threads' changes of context. */
unsigned long node_activity(const struct node *node, const char *program);

/* kill -9; of the backstop: reaps it and starts another. */
struct error *node_kill(struct node *node, const char *program) __attribute__((warn_unused_result));

/* What must be the same before and after a test, as text, a line each: processes of this node by program and their
 * descriptors, mounts below its directory, network namespaces, IPAM leases, iptables rules of its network, cgroups, files of
 * pods and containers, and all files below root and state but the keeper's exit records, which it drops after a minute if
 * nobody claims them. The caller frees it. */
char *node_census(const struct node *node);

/* The same once it has not changed for a second: daemons that have just begun still connect to each other. */
char *node_census_at_rest(const struct node *node);

/* Waits up to 20 s for node_census() to equal before; otherwise an error with both. */
struct error *node_wait_census(const struct node *node, const char *before) __attribute__((warn_unused_result));

/* Ends the tree (SIGTERM, then by pid what is left), removes directory and cgroups. NULL members are fine: for teardown after a failure. */
void node_close(struct node *node);
