/* The processes that may be killed, as /proc has them now. */
#pragma once

#include <regex.h>
#include <stddef.h>
#include <sys/types.h>

#include "cli/chaos/recorder.h"

struct process {
    pid_t pid, parent;
    enum target target;
    char pod[POD_ID_SIZE];    /* of a shim and its children */
    char detail[DETAIL_SIZE]; /* "crun create", "bridge ADD"; of a match, its program */
};

struct processes {
    struct process *all;
    size_t count;
};

/* Those of the tree with that state directory, or (match not NULL) those whose command line matches, arguments parted by
 * spaces. A container's own processes are none of the tree's. */
void processes_read(const char *state, const regex_t *match, struct processes *ret);
void processes_free(struct processes *processes);

size_t processes_count(const struct processes *processes, enum target target);

/* Is it the same process still? By its command line and parentage, read anew. */
int process_open(const struct process *process); /* a pidfd, -1: it is gone */
