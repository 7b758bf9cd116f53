/* A tree for a test: backstop, keeper and supervisor as they are, and a stand-in (tree_daemon.c) for every daemon and
 * shim. A function that cannot do what its name says fails the test. */
#pragma once

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/keeper_protocol.h"

enum { TREE_DAEMONS = 4, UID_FIRST = 61300 };

extern const char *const tree_daemons[TREE_DAEMONS];

struct tree {
    char directory[64];
    char *root, *state, *address, *programs, *bulkhead;
    pid_t backstop;
    pthread_t client;
    atomic_bool client_ends;
    atomic_int served, refused;
};

void sleep_ms(int ms);

/* Directories and programs, nothing started; state_name: of the state directory, below a private one. */
struct tree *tree_new(const char *state_name);

/* Copies a program of the tests' directory into the tree, as bulkhead-NAME. */
void tree_install(const struct tree *tree, const char *program, const char *name);

/* The same, started, for cmocka; and its end, which sees that no process, cgroup or socket is left. */
int tree_setup(void **state);
int tree_teardown(void **state);

/* `bulkhead run`, as a child of ours; its log is DIRECTORY/log. */
void backstop_start(struct tree *tree);
void backstop_stop(struct tree *tree); /* in order: SIGTERM, exit status 0 */
void backstop_kill(struct tree *tree);

/* Waits until each daemon is ready. */
void tree_wait_ready(const struct tree *tree);

/* What `bulkhead status --json` says. A row is the caller's, NULL if there is none. */
json_t *status_read(const struct tree *tree);
json_t *row_of(const struct tree *tree, const char *name);
long long number_of(const struct tree *tree, const char *name, const char *key);

/* The living process, never 0: a kill of 0 would be for ourselves; and one of that name other than `old`. Both wait
 * until it is ready. */
pid_t pid_of(const struct tree *tree, const char *name);
pid_t wait_for_other(const struct tree *tree, const char *name, pid_t old);

size_t cgroups_left(const struct tree *tree);

/* So many processes run a program of the tree. What was killed in the last instant may still be on its way out. */
void assert_processes_left(const struct tree *tree, size_t expected);

/* A client that connects for ever; each connection must be taken, and answered or cut by a kill. */
void client_start(struct tree *tree);
void client_end(struct tree *tree);

void shim_spawn(struct keeper_client *client, const char *pod, struct process_id *ret);
