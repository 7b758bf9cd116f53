/* A FUSE file system over a directory of the host, whose answers a test holds back: as a network file system whose
 * server is gone. */
#pragma once

#include <stdatomic.h>
#include <sys/types.h>

#include "common/error.h"

struct hanging_fs {
    char *path;                  /* where it is mounted */
    char *backing;               /* where its files are; never hangs */
    pid_t server;                /* a process of its own: one that serves itself could not even be killed */
    struct hanging_state *state; /* shared with it */
};

/* Makes both directories and mounts it in the caller's mount namespace. Call it while the process has one thread. */
struct error *hanging_fs_open(struct hanging_fs *fs, const char *path, const char *backing)
    __attribute__((warn_unused_result));

/* From now on it answers nothing; what is asked waits in D state, kill -9 or not. */
void hanging_fs_hang(struct hanging_fs *fs);

/* Requests that wait now. */
unsigned hanging_fs_waiting(const struct hanging_fs *fs);

/* Answers what waits, and all that follows. */
void hanging_fs_heal(struct hanging_fs *fs);

/* Ends the server: what waits, and all that follows, gets ENOTCONN. */
void hanging_fs_abort(struct hanging_fs *fs);

/* Aborts and unmounts. The backing directory stays. Half-opened ones are fine. */
void hanging_fs_close(struct hanging_fs *fs);
