/* The order of splice, note and read that makes taking bytes from a container exact over kills. */
#include "services/logd/stream_take.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/failpoint.h"

/* On a pty master the end is EIO. */
static struct error *splice_some(const struct stream_pipes *pipes, uint32_t stream, size_t limit, ssize_t *ret)
{
    for (;;) {
        ssize_t count = splice(pipes->from[stream], NULL, pipes->private_write, NULL, limit,
                               SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0 && errno != EAGAIN && errno != EIO)
            return error_errno(errno, "splice from stream %u", stream);
        *ret = count > 0 ? count : count < 0 && errno == EAGAIN ? STREAM_TAKE_EMPTY : STREAM_TAKE_END;
        return NULL;
    }
}

/* Empties S of `count` bytes. Asks for all of them each time: where the container made its pipe one of packets (O_DIRECT), a read drops the
 * rest of a packet that it has no room for. */
static struct error *private_read(const struct stream_pipes *pipes, uint8_t *to, size_t count)
{
    while (count > 0) {
        ssize_t got = read(pipes->private_read, to, count);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return error_errno(got < 0 ? errno : EPIPE, "read the private pipe");
        to += got;
        count -= (size_t)got;
        FAILPOINT("logd.take.part_read");
    }
    return NULL;
}

static struct error *private_size(const struct stream_pipes *pipes, size_t *ret)
{
    int size = 0;

    if (ioctl(pipes->private_read, FIONREAD, &size) < 0)
        return error_errno(errno, "ask for the private pipe's size");
    *ret = (size_t)size;
    return NULL;
}

/* Before they are noted: a kill in between copies them twice, rather than never. */
static struct error *copy_taken(struct note *note, const struct stream_pipes *pipes, uint32_t stream, uint64_t target)
{
    uint64_t from = note->memory->rin[stream];
    uint8_t *at;

    if (!pipes->attach || from >= target)
        return NULL;
    TRY(note_ring_at(note, stream, from, &at));
    attach_copy(pipes->attach, stream, at, (size_t)(target - from));
    return NULL;
}

/* The last `size` bytes before target come from S; those before are in the ring. */
static struct error *take_finish(struct note *note, const struct stream_pipes *pipes, uint32_t stream, uint64_t target,
                                 size_t size)
{
    uint8_t *at;

    TRY(note_ring_at(note, stream, target - size, &at));
    TRY(private_read(pipes, at, size));
    FAILPOINT("logd.take.read");
    TRY(copy_taken(note, pipes, stream, target));
    note_set_in(note, stream, target);
    FAILPOINT("logd.take.done");
    return NULL;
}

struct error *stream_take(struct note *note, const struct stream_pipes *pipes, uint32_t stream, ssize_t *ret_taken)
{
    size_t room = note_ring_room(note, stream);
    size_t limit = room < LOG_NOTE_BATCH_SIZE ? room : LOG_NOTE_BATCH_SIZE;

    note_set_word(note, LOG_NOTE_SPLICE, stream, 0);
    FAILPOINT("logd.take.before_splice");
    TRY(splice_some(pipes, stream, limit, ret_taken));
    if (*ret_taken <= 0)
        return NULL;
    FAILPOINT("logd.take.spliced");
    uint64_t target = note->memory->rin[stream] + (uint64_t)*ret_taken;
    note_set_word(note, LOG_NOTE_READ, stream, target);
    FAILPOINT("logd.take.noted");
    return take_finish(note, pipes, stream, target, (size_t)*ret_taken);
}

/* Throws away what S holds; dropped becomes target. */
static struct error *drop_finish(struct note *note, const struct stream_pipes *pipes, uint32_t stream, uint64_t target,
                                 size_t size)
{
    uint8_t nowhere[16384]; /* larger than any packet */

    while (size > 0) {
        ssize_t got = read(pipes->private_read, nowhere, sizeof(nowhere));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return error_errno(got < 0 ? errno : EPIPE, "empty the private pipe");
        if (pipes->attach)
            attach_copy(pipes->attach, stream, nowhere, (size_t)got);
        size -= (size_t)got;
        FAILPOINT("logd.drop.part_read");
    }
    note_set_dropped(note, stream, target);
    FAILPOINT("logd.drop.done");
    return NULL;
}

struct error *stream_drop(struct note *note, const struct stream_pipes *pipes, uint32_t stream, ssize_t *ret_taken)
{
    note_set_word(note, LOG_NOTE_SPLICE_DROP, stream, 0);
    FAILPOINT("logd.drop.before_splice");
    TRY(splice_some(pipes, stream, LOG_NOTE_BATCH_SIZE, ret_taken));
    if (*ret_taken <= 0)
        return NULL;
    FAILPOINT("logd.drop.spliced");
    uint64_t target = note->memory->dropped[stream] + (uint64_t)*ret_taken;
    note_set_word(note, LOG_NOTE_DROP, stream, target);
    FAILPOINT("logd.drop.noted");
    return drop_finish(note, pipes, stream, target, (size_t)*ret_taken);
}

static struct error *recover_taken(struct note *note, const struct stream_pipes *pipes, uint32_t stream, size_t size)
{
    uint64_t target = note->memory->rin[stream] + size;

    if (size > note_ring_room(note, stream))
        return error_new(ERROR_DATA_LOSS, "the private pipe holds more than the ring has room for");
    note_set_word(note, LOG_NOTE_READ, stream, target);
    FAILPOINT("logd.recover.noted");
    return take_finish(note, pipes, stream, target, size);
}

static struct error *recover_dropped(struct note *note, const struct stream_pipes *pipes, uint32_t stream, size_t size)
{
    uint64_t target = note->memory->dropped[stream] + size;

    note_set_word(note, LOG_NOTE_DROP, stream, target);
    FAILPOINT("logd.recover.drop_noted");
    return drop_finish(note, pipes, stream, target, size);
}

struct error *stream_recover(struct note *note, const struct stream_pipes *pipes)
{
    uint64_t word = note->memory->word, target = word & ((1ULL << 61) - 1);
    uint32_t stream = word >> 61 & 1;
    size_t size = 0;

    TRY(private_size(pipes, &size));
    FAILPOINT("logd.recover.begun");
    switch (word >> 62) {
    case LOG_NOTE_SPLICE:
        return size > 0 ? recover_taken(note, pipes, stream, size) : NULL;
    case LOG_NOTE_SPLICE_DROP:
        return size > 0 ? recover_dropped(note, pipes, stream, size) : NULL;
    case LOG_NOTE_DROP:
        return drop_finish(note, pipes, stream, target, size);
    default:
        if (size > target - note->memory->rin[stream])
            return error_new(ERROR_DATA_LOSS, "the private pipe holds more than was noted");
        return take_finish(note, pipes, stream, target, size);
    }
}
