/* Who gets a copy of a container's output beside its log: the pipes of attach sessions, which are never waited for. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/error.h"
#include "common/log_note.h"

enum { ATTACH_SESSIONS_MAX = 256 }; /* of one container */

struct attach_session {
    uint64_t number;
    int fds[LOG_NOTE_STREAMS]; /* write ends, owned; -1: none, or nobody reads */
    uint64_t missed_bytes;     /* it was full: the first piece that it did not take */
    LIST_ENTRY(attach_session) all;
};
LIST_HEAD(attach_session_list, attach_session);

/* Copying is the working thread's, adding and removing the loop's: the lock is held for pipes that never block. */
struct attach {
    pthread_mutex_t lock;
    struct attach_session_list sessions;
    size_t count;
};

void attach_init(struct attach *attach);
void attach_fini(struct attach *attach);

/* Takes the descriptors (-1: none), whatever comes of it. One that is known keeps its own. RESOURCE_EXHAUSTED: there
 * are too many. */
struct error *attach_add(struct attach *attach, uint64_t number, const int fds[LOG_NOTE_STREAMS])
    __attribute__((warn_unused_result));
void attach_remove(struct attach *attach, uint64_t number); /* one that is not there is fine */

/* Writes the bytes to each session's pipe of that stream. One that is full is closed. */
void attach_copy(struct attach *attach, uint32_t stream, const uint8_t *bytes, size_t size);

/* Takes out the next session that was full. Closes, meanwhile, pipes that nobody reads. False: there is none. */
bool attach_next_full(struct attach *attach, uint64_t *ret_number, uint64_t *ret_missed_bytes);
