/* What a pod's shim has found out of a container that only root can see, the last time it was asked. */
#pragma once

#include <stdint.h>

struct measurement {
    int64_t at_ns;    /* REALTIME of the answer; 0: there was none yet */
    uint64_t bytes;   /* of the writable layer, on disk */
    uint64_t inodes;
    uint64_t fs_bytes; /* of the file system that it is on */
    uint64_t fs_inodes;
    uint64_t fs_inodes_free;
    unsigned fs_major;
    unsigned fs_minor;
    uint64_t fds;     /* descriptors that its processes have open */
    uint64_t sockets;
};
