/* The memory that shim and logd share for one container's log: what logd was doing, and the bytes that it has taken from the
 * pipes. It outlives logd. A killed process leaves a prefix of its stores, so release stores in program order suffice. */
#pragma once

#include <stdint.h>

/* The shim makes a memfd of LOG_NOTE_SIZE zero bytes (MFD_ALLOW_SEALING), seals it with F_SEAL_SHRINK | F_SEAL_GROW, and maps the first
 * LOG_NOTE_HEADER_SIZE bytes, read-only, if it wants to read `generation`. All writing is logd's. */
enum {
    LOG_NOTE_VERSION = 1, /* 0: logd has not begun. Framing must be identical for all who share a version */
    LOG_NOTE_STREAMS = 2,
    LOG_NOTE_HEADER_SIZE = 4096,
    LOG_NOTE_RING_SIZE = 512 << 10, /* of each stream; ring i begins at LOG_NOTE_HEADER_SIZE + i * LOG_NOTE_RING_SIZE */
    LOG_NOTE_SIZE = LOG_NOTE_HEADER_SIZE + LOG_NOTE_STREAMS * LOG_NOTE_RING_SIZE,
    LOG_NOTE_BATCH_SIZE = 256 << 10, /* the most that one splice takes */
    LOG_NOTE_PIPE_SIZE = 256 << 10,  /* F_SETPIPE_SZ of the private pipe S; stdout's and stderr's: up to 1 MiB is faster */
};

/* The word `w`: what is on its way through S. phase << 62 | stream << 61 | target (an absolute count of bytes). */
enum log_note_phase {
    LOG_NOTE_SPLICE = 0,      /* bytes in S: taken, not yet noted */
    LOG_NOTE_READ = 1,        /* to the ring; rin becomes target */
    LOG_NOTE_SPLICE_DROP = 2, /* bytes in S are to be dropped, not yet noted */
    LOG_NOTE_DROP = 3,        /* to nowhere; dropped becomes target */
};

enum log_note_intent_kind {
    LOG_NOTE_NONE = 0,
    LOG_NOTE_FRAMES = 1, /* the ring's bytes rdone to `to`, framed, all of them (an unfinished rest as P) */
    LOG_NOTE_MARKER = 2, /* a line that tells of dropped bytes: dropped_reported to `to` */
};

/* What is being appended to the log file. */
struct log_note_intent {
    uint32_t kind; /* enum log_note_intent_kind */
    uint32_t stream;
    uint64_t to;
    uint64_t file_offset; /* the file's size before */
    uint64_t length;      /* of what is appended */
    int64_t timestamp_ns; /* CLOCK_REALTIME, in each of its lines */
    uint32_t mid_after;
    uint32_t reserved;
};

struct log_note_slot {
    uint64_t rdone[LOG_NOTE_STREAMS];            /* bytes that are in the log; the ring before it is free */
    uint64_t dropped_reported[LOG_NOTE_STREAMS]; /* bytes of which a marker line tells */
    uint64_t generation;                         /* of the log file that is written */
    uint32_t mid[LOG_NOTE_STREAMS];              /* the last line in the log is unfinished (P) */
    struct log_note_intent intent;
};

struct log_note {
    uint32_t version;
    uint32_t reserved;
    uint64_t word;
    uint64_t rin[LOG_NOTE_STREAMS];     /* bytes that have come into the ring */
    uint64_t dropped[LOG_NOTE_STREAMS]; /* bytes that were thrown away */
    uint64_t sequence;                  /* the current slot is slot[sequence & 1]; a commit fills the other, then adds 1 */
    struct log_note_slot slot[2];
    /* The thread (tid, field 22 of its /proc/TID/stat) that works on this container; tid 0: none. While it lives, nobody else does: it may
     * hang in write() beyond the death of its process. */
    uint64_t worker_start_ticks;
    uint32_t worker_tid;
    uint32_t reserved2;
    int64_t blocked_since_ns; /* BOOTTIME since when the file takes nothing (full disk); 0: it does */
};

_Static_assert(sizeof(struct log_note) <= LOG_NOTE_HEADER_SIZE, "the note fits before the rings");

static inline uint64_t log_note_word(enum log_note_phase phase, uint32_t stream, uint64_t target)
{
    return (uint64_t)phase << 62 | (uint64_t)stream << 61 | target;
}

/* The generation of the log file that logd writes to: once it is g + 1 the file of g may be closed. Any process may ask. */
static inline uint64_t log_note_generation(const struct log_note *note)
{
    uint64_t sequence = __atomic_load_n(&note->sequence, __ATOMIC_ACQUIRE);
    return __atomic_load_n(&note->slot[sequence & 1].generation, __ATOMIC_RELAXED);
}
