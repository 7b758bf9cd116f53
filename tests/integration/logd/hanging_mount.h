/* A file system whose one file opens, and whose writes never return until it is ended. */
#pragma once

#include <stdatomic.h>
#include <sys/types.h>

struct hanging_mount {
    char path[128];
    int device;         /* /dev/fuse; of the server alone once it runs */
    pid_t server;       /* a process of its own: one that serves itself could not even be killed */
    atomic_int *writes; /* that hang; shared */
};

/* Mounts it at the directory, in the caller's (private) mount namespace; the file is path/log. False where there is no FUSE. */
_Bool hanging_mount_open(struct hanging_mount *mount, const char *directory);

/* Ends it: what hangs gets an error. */
void hanging_mount_close(struct hanging_mount *mount);
