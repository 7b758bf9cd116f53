/* The order of note and write that makes appending exact over kills: intent, write, done. */
#include "services/logd/append.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/failpoint.h"
#include "services/logd/frame.h"

/* The test build writes in pieces, so that kills find torn appends. */
static size_t piece(size_t size)
{
#ifdef BULKHEAD_FAILPOINTS
    return size > 4096 ? size / 2 : size;
#else
    return size;
#endif
}

/* *ret_done false: ENOSPC, or whatever else the file's system says; the caller waits. */
static bool write_all(struct append *append, const uint8_t *from, size_t size)
{
    while (size > 0) {
        ssize_t count = write(append->file, from, piece(size));
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0) {
            append->errnum = count < 0 ? errno : ENOSPC;
            return false;
        }
        from += count;
        size -= (size_t)count;
        FAILPOINT("logd.append.torn");
    }
    return true;
}

static bool file_size(struct append *append, uint64_t *ret)
{
    struct stat status;

    if (fstat(append->file, &status) < 0) {
        append->errnum = errno;
        return false;
    }
    *ret = (uint64_t)status.st_size;
    return true;
}

static void intent_done(struct note *note)
{
    struct log_note_slot slot = *note_slot(note);
    struct log_note_intent intent = slot.intent;

    if (intent.kind == LOG_NOTE_FRAMES)
        slot.rdone[intent.stream] = intent.to;
    else
        slot.dropped_reported[intent.stream] = intent.to;
    slot.mid[intent.stream] = intent.mid_after;
    slot.intent = (struct log_note_intent){0};
    FAILPOINT("logd.append.written");
    note_commit(note, &slot);
    FAILPOINT("logd.append.done");
}

/* Notes where the file ends and what is about to be appended. False: the file's size can't be had; nothing is noted. */
static bool intent_open(struct append *append, struct note *note, struct log_note_intent intent)
{
    struct log_note_slot slot = *note_slot(note);

    if (!file_size(append, &intent.file_offset))
        return false;
    slot.intent = intent;
    FAILPOINT("logd.append.before");
    note_commit(note, &slot);
    FAILPOINT("logd.append.noted");
    return true;
}

static void append_new(struct append *append, struct note *note, const struct log_note_intent *intent, bool *ret_done)
{
    *ret_done = intent_open(append, note, *intent) && write_all(append, append->buffer, intent->length);
    if (*ret_done)
        intent_done(note);
}

struct error *append_ring(struct append *append, struct note *note, uint32_t stream, bool flush, bool *ret_done)
{
    const struct log_note_slot *slot = note_slot(note);
    struct frame_input input = {.stream = stream,
                                .size = note_ring_size(note, stream),
                                .timestamp_ns = clock_realtime_ns(),
                                .flush = flush,
                                .mid = slot->mid[stream] != 0};
    struct frame_output output;
    uint8_t *bytes;

    TRY(note_ring_at(note, stream, slot->rdone[stream], &bytes));
    input.bytes = bytes;
    frame_bytes(&input, append->buffer, &output);
    *ret_done = true;
    if (output.consumed == 0)
        return NULL;
    append_new(append, note,
               &(struct log_note_intent){.kind = LOG_NOTE_FRAMES,
                                         .stream = stream,
                                         .to = slot->rdone[stream] + output.consumed,
                                         .length = output.length,
                                         .timestamp_ns = input.timestamp_ns,
                                         .mid_after = output.mid},
               ret_done);
    return NULL;
}

struct error *append_marker(struct append *append, struct note *note, uint32_t stream, bool *ret_done)
{
    uint64_t to = note->memory->dropped[stream];
    int64_t now = clock_realtime_ns();
    size_t length = frame_marker(stream, now, to - note_slot(note)->dropped_reported[stream], append->buffer);

    append_new(append, note,
               &(struct log_note_intent){
                   .kind = LOG_NOTE_MARKER, .stream = stream, .to = to, .length = length, .timestamp_ns = now},
               ret_done);
    return NULL;
}

/* Makes the bytes of an open intent once more. DATA_LOSS: they are not what was noted, so nothing may be written. */
static struct error *intent_frame(struct append *append, struct note *note)
{
    const struct log_note_slot *slot = note_slot(note);
    const struct log_note_intent *intent = &slot->intent;
    uint64_t done = slot->rdone[intent->stream];
    struct frame_output output = {0};
    uint8_t *bytes;

    if (intent->kind == LOG_NOTE_MARKER) {
        uint64_t count = intent->to - slot->dropped_reported[intent->stream];
        output.length = frame_marker(intent->stream, intent->timestamp_ns, count, append->buffer);
        output.mid = intent->mid_after;
    } else {
        TRY(note_ring_at(note, intent->stream, done, &bytes));
        frame_bytes(&(struct frame_input){.bytes = bytes,
                                          .size = intent->to - done,
                                          .stream = intent->stream,
                                          .timestamp_ns = intent->timestamp_ns,
                                          .flush = true,
                                          .mid = slot->mid[intent->stream] != 0},
                    append->buffer, &output);
        if (output.consumed != intent->to - done)
            return error_new(ERROR_DATA_LOSS, "framing again took %zu bytes, not %llu", output.consumed,
                             (unsigned long long)(intent->to - done));
    }
    if (output.length != intent->length || output.mid != (intent->mid_after != 0))
        return error_new(ERROR_DATA_LOSS, "framing again gave %zu bytes, not %llu", output.length,
                         (unsigned long long)intent->length);
    return NULL;
}

struct error *append_finish(struct append *append, struct note *note, bool *ret_done)
{
    struct log_note_intent intent = note_slot(note)->intent;
    uint64_t size;

    *ret_done = true;
    if (intent.kind == LOG_NOTE_NONE)
        return NULL;
    TRY(intent_frame(append, note));
    *ret_done = file_size(append, &size);
    if (!*ret_done)
        return NULL;
    if (size < intent.file_offset) { /* somebody cut the file: all of it again, from the new end */
        append_new(append, note, &intent, ret_done);
        return NULL;
    }
    uint64_t written = size - intent.file_offset;
    if (written < intent.length)
        *ret_done = write_all(append, append->buffer + written, intent.length - written);
    if (*ret_done)
        intent_done(note);
    return NULL;
}

struct error *append_undo(struct append *append, struct note *note)
{
    struct log_note_slot slot = *note_slot(note);
    uint64_t size;

    if (slot.intent.kind == LOG_NOTE_NONE)
        return NULL;
    if (!file_size(append, &size))
        return error_errno(append->errnum, "ask for the log file's size");
    if (size > slot.intent.file_offset && ftruncate(append->file, (off_t)slot.intent.file_offset) < 0)
        return error_errno(errno, "cut the log file back to its last whole line");
    FAILPOINT("logd.undo.cut");
    return NULL;
}
