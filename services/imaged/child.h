/* fetch and unpack as processes, started and ended through the keeper. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/keeper_protocol.h"

enum { CHILD_FDS_MAX = 4 };

struct child {
    enum keeper_program program;
    struct process_id process;
    int pidfd; /* -1: none is running */
};

struct child_fds {
    const char *names[CHILD_FDS_MAX];
    int fds[CHILD_FDS_MAX]; /* stay the caller's */
    size_t count;
};

/* Starts one, after the end of any that has this program and name (a dead imaged may have left one). UNAVAILABLE: no keeper for 30 s. */
struct error *child_spawn(struct keeper_client *keeper, uint64_t generation, enum keeper_program program, const char *name,
                          const struct child_fds *fds, struct child *ret) __attribute__((warn_unused_result));

/* Kills it, if it runs, and forgets it. */
void child_end(struct keeper_client *keeper, struct child *child);

/* Waits until fd can be read; false: the child has ended and left nothing to read. timeout_ms -1: for ever; *ret_timeout may be NULL. */
bool child_wait_readable(const struct child *child, int fd, int timeout_ms, bool *ret_timeout);

/* Reads exactly size bytes. ABORTED: the child has ended before. */
struct error *child_read(const struct child *child, int fd, void *data, size_t size) __attribute__((warn_unused_result));
