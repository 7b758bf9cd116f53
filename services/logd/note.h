/* logd's hold on a container's note (common/log_note.h): mapped, checked, committed to. */
#pragma once

#include <stddef.h>

#include "common/error.h"
#include "common/log_note.h"

struct note {
    struct log_note *memory;
    uint8_t *ring[LOG_NOTE_STREAMS]; /* mapped twice in a row, so that nothing wraps; NULL until first used */
    int fd;                          /* owned */
};

/* Maps the memfd, which becomes the note's. A note without a version is begun at this generation. FAILED_PRECONDITION: of another version;
 * INVALID_ARGUMENT: not a sealed memfd of the right size; DATA_LOSS: its numbers cannot be. */
struct error *note_open(struct note *note, int fd, uint64_t generation) __attribute__((warn_unused_result));
void note_close(struct note *note);

/* The current slot: what is in the log, and the open intent. */
static inline const struct log_note_slot *note_slot(const struct note *note)
{
    return &note->memory->slot[note->memory->sequence & 1];
}

/* Makes a copy of the current slot, changed, the current one. */
void note_commit(struct note *note, const struct log_note_slot *slot);

void note_set_word(struct note *note, enum log_note_phase phase, uint32_t stream, uint64_t target);
void note_set_in(struct note *note, uint32_t stream, uint64_t rin);
void note_set_dropped(struct note *note, uint32_t stream, uint64_t dropped);

/* Names the thread that works on the container, 0: none. */
void note_set_worker(struct note *note, uint32_t tid, uint64_t start_ticks);

/* Bytes in the ring that are not yet in the log, and the room that is left. */
size_t note_ring_size(const struct note *note, uint32_t stream);
size_t note_ring_room(const struct note *note, uint32_t stream);

/* Where the ring's byte of that absolute number is; the next LOG_NOTE_RING_SIZE bytes follow it. Maps the ring if it is not yet. */
struct error *note_ring_at(struct note *note, uint32_t stream, uint64_t position, uint8_t **ret)
    __attribute__((warn_unused_result));
