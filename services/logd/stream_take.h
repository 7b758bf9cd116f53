/* Bytes from a container's pipe, by way of the private pipe S, to the ring or to nowhere, so that a kill leaves each of them in exactly
 * one place. */
#pragma once

#include "services/logd/attach.h"
#include "services/logd/note.h"

struct stream_pipes {
    int from[LOG_NOTE_STREAMS]; /* the container's pipes, or a pty master; -1: none */
    int private_read;           /* S, empty between calls */
    int private_write;
    struct attach *attach;      /* gets a copy of all that is taken or dropped; NULL: nobody does */
};

enum { STREAM_TAKE_EMPTY = 0, STREAM_TAKE_END = -1 };

/* Takes what is there, at most LOG_NOTE_BATCH_SIZE and the ring's room (not 0), into the ring. *ret_taken: how much, EMPTY or END. */
struct error *stream_take(struct note *note, const struct stream_pipes *pipes, uint32_t stream, ssize_t *ret_taken)
    __attribute__((warn_unused_result));

/* The same, counted and thrown away. */
struct error *stream_drop(struct note *note, const struct stream_pipes *pipes, uint32_t stream, ssize_t *ret_taken)
    __attribute__((warn_unused_result));

/* Finishes what a killed predecessor had begun; S is empty afterwards. */
struct error *stream_recover(struct note *note, const struct stream_pipes *pipes) __attribute__((warn_unused_result));
