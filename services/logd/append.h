/* Appending what is in a ring to the log file, so that a kill at any point leaves each byte in the file once. */
#pragma once

#include <stdbool.h>

#include "services/logd/note.h"

struct append {
    int file;        /* O_APPEND; logd is its only writer */
    uint8_t *buffer; /* FRAME_ROOM bytes of the working thread */
    int errnum;      /* why the file took nothing, when a call said so */
};

/* Each of these returns an error only for what no waiting mends. *ret_done false: the file takes nothing now (append->errnum); the intent
 * stays open, and append_finish() tries again. */

/* Appends the next of the ring's bytes of a stream, as many as one batch takes; an unfinished rest too with `flush`. Needs a closed intent. */
struct error *append_ring(struct append *append, struct note *note, uint32_t stream, bool flush, bool *ret_done)
    __attribute__((warn_unused_result));

/* Appends the line that tells of the bytes dropped since the last such line. */
struct error *append_marker(struct append *append, struct note *note, uint32_t stream, bool *ret_done)
    __attribute__((warn_unused_result));

/* Finishes an open intent, be it a predecessor's, or one that found the disk full. */
struct error *append_finish(struct append *append, struct note *note, bool *ret_done)
    __attribute__((warn_unused_result));

/* Gives an open intent up: cuts the file back to where it was before it, the ring still has the bytes. */
struct error *append_undo(struct append *append, struct note *note) __attribute__((warn_unused_result));
