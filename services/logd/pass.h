/* One turn of work on one container. */
#pragma once

#include "services/logd/container.h"

/* Who works: its output buffer, and its name for the note. */
struct worker_self {
    uint8_t *buffer; /* FRAME_ROOM bytes */
    uint32_t tid;
    uint64_t start_ticks;
};

struct pass_result {
    bool unclaimed; /* a predecessor's thread may still write: nothing was done, orders->next_file is the caller's */
    bool again;     /* there is more to do at once */
    bool arm;       /* wake it when there is input */
    int64_t due_ns; /* BOOTTIME; 0: none */
    bool file_is;   /* the answer to NEXT_FILE is due */
    uint64_t generation; /* the one now written */
    bool drained;
    bool removed;
    uint64_t dropped_bytes;
    struct error *failure; /* this log stops here; owned by the caller */
};

/* Does what is to be done, at most a batch of each stream. May block in the kernel as long as the log's file system does. Takes
 * orders->next_file, unless unclaimed. Called without the server's lock, by one thread at a time. */
void container_pass(struct container *container, const struct container_orders *orders, const struct worker_self *self,
                    struct pass_result *ret);
