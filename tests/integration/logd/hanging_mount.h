/* A file system whose one file opens, and whose writes never return until it is ended. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

struct hanging_mount {
    char path[128];
    int device; /* /dev/fuse */
    pthread_t thread;
    atomic_int writes; /* that hang */
};

/* Mounts it at the directory, in the caller's (private) mount namespace; the file is path/log. False where there is no FUSE. */
_Bool hanging_mount_open(struct hanging_mount *mount, const char *directory);

/* Ends it: what hangs gets an error. */
void hanging_mount_close(struct hanging_mount *mount);
