/* How the shared memory of a container's log is mapped, mistrusted once, and written in an order that a kill cannot tear. */
#include "services/logd/note.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/failpoint.h"

static struct error *memfd_check(int fd)
{
    struct stat status;
    int seals = fcntl(fd, F_GET_SEALS);

    if (seals < 0 || !(seals & F_SEAL_SHRINK))
        return error_new(ERROR_INVALID_ARGUMENT, "the note is not a memfd sealed against shrinking");
    if (fstat(fd, &status) < 0)
        return error_errno(errno, "stat of the note");
    if (status.st_size < LOG_NOTE_SIZE)
        return error_new(ERROR_INVALID_ARGUMENT, "the note has %lld bytes, less than %d", (long long)status.st_size,
                         LOG_NOTE_SIZE);
    return NULL;
}

static bool word_is_sound(const struct log_note *note)
{
    uint32_t stream = note->word >> 61 & 1;
    uint64_t target = note->word & ((1ULL << 61) - 1);
    uint64_t rdone = note->slot[note->sequence & 1].rdone[stream];

    switch (note->word >> 62) {
    case LOG_NOTE_READ:
        return target >= note->rin[stream] && target - rdone <= LOG_NOTE_RING_SIZE;
    case LOG_NOTE_DROP:
        return target >= note->dropped[stream];
    default:
        return true;
    }
}

static bool intent_is_sound(const struct log_note *note)
{
    const struct log_note_slot *slot = &note->slot[note->sequence & 1];
    const struct log_note_intent *intent = &slot->intent;

    if (intent->kind == LOG_NOTE_NONE)
        return true;
    if (intent->kind > LOG_NOTE_MARKER || intent->stream >= LOG_NOTE_STREAMS || intent->length == 0)
        return false;
    if (intent->kind == LOG_NOTE_FRAMES)
        return intent->to > slot->rdone[intent->stream] && intent->to <= note->rin[intent->stream];
    return intent->to > slot->dropped_reported[intent->stream] && intent->to <= note->dropped[intent->stream];
}

static struct error *note_check(const struct log_note *note)
{
    const struct log_note_slot *slot = &note->slot[note->sequence & 1];
    bool sound = word_is_sound(note) && intent_is_sound(note);

    for (int i = 0; i < LOG_NOTE_STREAMS; i++)
        sound = sound && note->rin[i] >= slot->rdone[i] && note->rin[i] - slot->rdone[i] <= LOG_NOTE_RING_SIZE &&
                slot->dropped_reported[i] <= note->dropped[i];
    return sound ? NULL : error_new(ERROR_DATA_LOSS, "the numbers in the note cannot be; the container's log stops here");
}

/* The version is stored last: a killed beginning begins again. */
static void note_begin(struct log_note *note, uint64_t generation)
{
    note->slot[note->sequence & 1].generation = generation;
    __atomic_store_n(&note->version, LOG_NOTE_VERSION, __ATOMIC_RELEASE);
}

struct error *note_open(struct note *note, int fd, uint64_t generation)
{
    *note = (struct note){.fd = fd};
    TRY(memfd_check(fd));
    void *memory = mmap(NULL, LOG_NOTE_HEADER_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        return error_errno(errno, "map the note");
    note->memory = memory;
    if (note->memory->version == 0)
        note_begin(note->memory, generation);
    if (note->memory->version != LOG_NOTE_VERSION)
        return error_new(ERROR_FAILED_PRECONDITION, "the note has version %u, this logd knows %d",
                         note->memory->version, LOG_NOTE_VERSION);
    return note_check(note->memory);
}

void note_close(struct note *note)
{
    for (int i = 0; i < LOG_NOTE_STREAMS; i++)
        if (note->ring[i])
            munmap(note->ring[i], 2 * LOG_NOTE_RING_SIZE);
    if (note->memory)
        munmap(note->memory, LOG_NOTE_HEADER_SIZE);
    close(note->fd);
}

/* One store, which the compiler moves neither up nor down: later stores must not be there before it. */
static void note_store(uint64_t *at, uint64_t value)
{
    __atomic_store_n(at, value, __ATOMIC_RELEASE);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

void note_commit(struct note *note, const struct log_note_slot *slot)
{
    uint64_t next = note->memory->sequence + 1;

    note->memory->slot[next & 1] = *slot;
    FAILPOINT("logd.commit.slot_filled");
    note_store(&note->memory->sequence, next);
}

void note_set_word(struct note *note, enum log_note_phase phase, uint32_t stream, uint64_t target)
{
    note_store(&note->memory->word, log_note_word(phase, stream, target));
}

void note_set_in(struct note *note, uint32_t stream, uint64_t rin)
{
    note_store(&note->memory->rin[stream], rin);
}

void note_set_dropped(struct note *note, uint32_t stream, uint64_t dropped)
{
    note_store(&note->memory->dropped[stream], dropped);
}

void note_set_worker(struct note *note, uint32_t tid, uint64_t start_ticks)
{
    if (tid)
        note->memory->worker_start_ticks = start_ticks;
    __atomic_store_n(&note->memory->worker_tid, tid, __ATOMIC_RELEASE);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

size_t note_ring_size(const struct note *note, uint32_t stream)
{
    return note->memory->rin[stream] - note_slot(note)->rdone[stream];
}

size_t note_ring_room(const struct note *note, uint32_t stream)
{
    return LOG_NOTE_RING_SIZE - note_ring_size(note, stream);
}

static struct error *ring_map(struct note *note, uint32_t stream)
{
    off_t offset = LOG_NOTE_HEADER_SIZE + (off_t)stream * LOG_NOTE_RING_SIZE;
    uint8_t *twice = mmap(NULL, 2 * LOG_NOTE_RING_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (twice == MAP_FAILED)
        return error_errno(errno, "reserve addresses for a ring");
    for (int i = 0; i < 2; i++) {
        uint8_t *at = twice + (size_t)i * LOG_NOTE_RING_SIZE;
        if (mmap(at, LOG_NOTE_RING_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, note->fd, offset) == MAP_FAILED) {
            int errnum = errno;
            munmap(twice, 2 * LOG_NOTE_RING_SIZE);
            return error_errno(errnum, "map a ring");
        }
    }
    note->ring[stream] = twice;
    return NULL;
}

struct error *note_ring_at(struct note *note, uint32_t stream, uint64_t position, uint8_t **ret)
{
    if (!note->ring[stream])
        TRY(ring_map(note, stream));
    *ret = note->ring[stream] + position % LOG_NOTE_RING_SIZE;
    return NULL;
}
