/* The contract between shim and logd: fixed-size messages with descriptors over SEQPACKET at STATE/logd/log.sock. logd opens no
 * path: all that it needs comes from the shim, and the shim keeps a copy of all of it (so does the keeper's store), of log files as
 * O_PATH: a close() of those never waits for a file system that hangs. */
#pragma once

#include <stdint.h>

enum { LOGD_VERSION = 1, LOGD_ID_SIZE = 80, LOGD_STREAMS = 2 };

enum logd_message_type {
    LOGD_HELLO = 1, /* shim first: version, id = the pod's. logd answers HELLO */
    LOGD_ADD,       /* id, flags; fds in this order: note memfd, S read end, S write end, log file, then the read ends of stdout
                       and stderr (or the pty master alone). Sent again after every reconnect. generation: the file's */
    LOGD_NEXT_FILE, /* id, generation g+1; fd: the new log file. Answer: FILE_IS once logd has gone over to it */
    LOGD_DRAIN,     /* id: the container has exited. Answer: DRAINED once all that is in its pipes is in the log */
    LOGD_REMOVE,    /* id: forget it; answer REMOVED, after the last byte it had taken is written */
    LOGD_FILE_IS,   /* id, generation */
    LOGD_DRAINED,   /* id; dropped_bytes */
    LOGD_REMOVED,   /* id */
    LOGD_ERROR,     /* id, text: what was asked can't be done */
    LOGD_ATTACH,    /* id, generation: the session's number; flags; fds: pipes that get a copy of what is read of stdout, of stderr (flags STDOUT,
                       STDERR). Sent again after ADD to a new logd. logd never waits for them: a full one is closed, and DETACHED says so, with what
                       it missed first in dropped_bytes. The same number again joins: the descriptors are those. Answer: ATTACHED */
    LOGD_DETACH,    /* id, generation. Answer: DETACHED */
    LOGD_ATTACHED,  /* id, generation */
    LOGD_DETACHED,  /* id, generation; text: why, empty if asked for */
};

enum { LOGD_TERMINAL = 1 /* one stream, from a pty master */, LOGD_STDOUT = 2, LOGD_STDERR = 4 };

struct logd_message {
    uint32_t version;
    uint32_t type;
    char id[LOGD_ID_SIZE]; /* the container's id */
    uint32_t flags;
    uint32_t sessions; /* of ADD: so many ATTACH follow, and nothing of the container is read before they are there */
    uint64_t generation;
    uint64_t dropped_bytes;
    char text[128];
};
