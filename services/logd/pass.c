/* What logd does for a container each time its turn comes: claim, recover, rotate, take, append, and when to come again. */
#include "services/logd/pass.h"

#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "services/logd/append.h"
#include "services/logd/thread_id.h"

#define MS 1000000LL

static const int64_t UNFINISHED_NS = 20 * MS;   /* then an unfinished line goes out as P */
static const int64_t RETRY_NS = 50 * MS;        /* of a file that takes nothing */
static const int64_t DROP_AFTER_NS = 2000 * MS; /* a container waits for a full disk so long, then its output is dropped */
static const int64_t CLAIM_RETRY_NS = 100 * MS; /* while a predecessor's thread still hangs in the kernel */
static const int64_t PAUSE_NS = 200000;         /* after a small batch: saves most of the CPU of writers of single lines */
enum { SMALL_BATCH = 4096 };

struct pass {
    struct container *container;
    const struct container_orders *orders;
    struct pass_result *result;
    struct append append;
    int64_t now;
    bool blocked;      /* the file takes nothing now */
    size_t taken;      /* bytes of all streams */
    bool unfinished;   /* some stream has more to give or to write, as far as is known */
};

static void due_by(struct pass_result *result, int64_t due_ns)
{
    if (result->due_ns == 0 || due_ns < result->due_ns)
        result->due_ns = due_ns;
}

static bool has_unreported(const struct container *container, uint32_t stream)
{
    return container->note.memory->dropped[stream] > note_slot(&container->note)->dropped_reported[stream];
}

static uint64_t unwritten(const struct container *container)
{
    const struct log_note *memory = container->note.memory;
    uint64_t count = 0;

    for (uint32_t i = 0; i < LOG_NOTE_STREAMS; i++)
        count += note_ring_size(&container->note, i) + memory->dropped[i] - note_slot(&container->note)->dropped_reported[i];
    return count;
}

/* All of the ring, then the marker for what was dropped after it. */
static struct error *write_backlog(struct pass *pass, uint32_t stream)
{
    struct note *note = &pass->container->note;
    bool done = true;

    while (done && note_ring_size(note, stream) > 0)
        TRY(append_ring(&pass->append, note, stream, true, &done));
    if (done && has_unreported(pass->container, stream))
        TRY(append_marker(&pass->append, note, stream, &done));
    pass->blocked = !done;
    return NULL;
}

/* ---- rotation */

static void file_replace(struct container *container, int file, uint64_t generation)
{
    int old = container->file;

    container->file = file;
    container->file_generation = generation;
    if (old >= 0)
        close(old);
    FAILPOINT("logd.rotate.closed");
}

/* From here on the new file is written; what the old one lacks of an open intent goes to the new. */
static struct error *generation_commit(struct pass *pass, uint64_t generation)
{
    struct container *container = pass->container;
    bool done;

    FAILPOINT("logd.rotate.before");
    TRY(append_finish(&pass->append, &container->note, &done));
    if (!done)
        TRY(append_undo(&pass->append, &container->note));
    struct log_note_slot slot = *note_slot(&container->note);
    slot.generation = generation;
    slot.intent = (struct log_note_intent){0};
    note_commit(&container->note, &slot);
    FAILPOINT("logd.rotate.committed");
    return NULL;
}

static struct error *rotate(struct pass *pass)
{
    struct container *container = pass->container;
    uint64_t generation = pass->orders->next_generation, current = note_slot(&container->note)->generation;

    if (generation < current || (generation == current && container->file_generation == current)) {
        close(pass->orders->next_file); /* it has gone over before */
    } else if (generation == current) {
        file_replace(container, pass->orders->next_file, generation);
    } else {
        struct error *failure = container->file_generation == current
            ? generation_commit(pass, generation)
            : error_new(ERROR_FAILED_PRECONDITION, "the log file of generation %llu is needed first",
                        (unsigned long long)current);
        if (failure) {
            close(pass->orders->next_file);
            return failure;
        }
        file_replace(container, pass->orders->next_file, generation);
        container->retry_ns = 0;
    }
    pass->append.file = container->file;
    pass->result->file_is = true;
    return NULL;
}

/* ADD brought a newer file than the note knows: the shim rotated while there was no logd. */
static struct error *file_catch_up(struct pass *pass)
{
    struct container *container = pass->container;

    if (container->file_generation <= note_slot(&container->note)->generation)
        return NULL;
    if (note_slot(&container->note)->intent.kind != LOG_NOTE_NONE)
        return error_new(ERROR_FAILED_PRECONDITION, "the log file of generation %llu is needed first",
                         (unsigned long long)note_slot(&container->note)->generation);
    return generation_commit(pass, container->file_generation);
}

/* ---- streams */

static struct error *take(struct pass *pass, uint32_t stream, ssize_t *ret_taken)
{
    struct container *container = pass->container;

    *ret_taken = STREAM_TAKE_END;
    if (container->ended[stream])
        return NULL;
    *ret_taken = STREAM_TAKE_EMPTY;
    if (note_ring_room(&container->note, stream) == 0) {
        pass->unfinished = true;
        return NULL;
    }
    TRY(stream_take(&container->note, &container->pipes, stream, ret_taken));
    container->ended[stream] = *ret_taken == STREAM_TAKE_END;
    if (*ret_taken > 0) {
        container->news_ns[stream] = pass->now;
        pass->taken += (size_t)*ret_taken;
        pass->unfinished = true;
    }
    return NULL;
}

/* Takes a batch and appends it. */
static struct error *stream_log(struct pass *pass, uint32_t stream)
{
    struct container *container = pass->container;
    struct note *note = &container->note;
    bool done;
    ssize_t taken;

    if (has_unreported(container, stream)) {
        TRY(write_backlog(pass, stream));
        if (pass->blocked)
            return NULL;
    }
    TRY(take(pass, stream, &taken));
    size_t before = note_ring_size(note, stream);
    bool flush = taken <= 0 && (container->ended[stream] || pass->orders->drain ||
                                pass->now - container->news_ns[stream] >= UNFINISHED_NS);
    TRY(append_ring(&pass->append, note, stream, flush, &done));
    pass->blocked = !done;
    size_t after = note_ring_size(note, stream);
    if (after > 0 && (after < before || flush))
        pass->unfinished = true;
    if (after > 0)
        due_by(pass->result, container->news_ns[stream] + UNFINISHED_NS);
    return NULL;
}

/* While the file takes nothing: fills the ring, and when the container has waited long enough, drops. */
static struct error *stream_hold(struct pass *pass, uint32_t stream)
{
    struct container *container = pass->container;
    int64_t since = container->note.memory->blocked_since_ns;
    ssize_t taken = STREAM_TAKE_EMPTY;

    if (container->ended[stream])
        return NULL;
    if (!has_unreported(container, stream) && note_ring_room(&container->note, stream) > 0)
        return take(pass, stream, &taken);
    if (since == 0 || pass->now - since < DROP_AFTER_NS)
        return NULL;
    TRY(stream_drop(&container->note, &container->pipes, stream, &taken));
    container->ended[stream] = taken == STREAM_TAKE_END;
    if (taken > 0) {
        pass->taken += (size_t)taken;
        pass->unfinished = true;
    }
    return NULL;
}

static void blocked_note(struct pass *pass)
{
    struct container *container = pass->container;
    struct log_note *memory = container->note.memory;

    if (!pass->blocked && memory->blocked_since_ns != 0) {
        memory->blocked_since_ns = 0;
        log_info("the log file takes output again", "container=%s", container->id);
    }
    if (!pass->blocked)
        return;
    if (memory->blocked_since_ns == 0) {
        memory->blocked_since_ns = pass->now;
        log_warn("the log file takes no output", "container=%s error=%s", container->id,
                 log_quote(strerror(pass->append.errnum)));
    }
    if (pass->now >= container->retry_ns)
        container->retry_ns = pass->now + RETRY_NS;
    due_by(pass->result, container->retry_ns);
}

static bool is_drained(const struct pass *pass)
{
    const struct container *container = pass->container;

    return pass->orders->drain && !pass->blocked && pass->taken == 0 && !pass->unfinished && unwritten(container) == 0;
}

static void next_turn(struct pass *pass)
{
    struct pass_result *result = pass->result;

    result->drained = is_drained(pass);
    if (pass->unfinished && (pass->taken == 0 || pass->taken >= SMALL_BATCH || pass->orders->drain))
        result->again = true;
    else if (pass->unfinished)
        due_by(result, pass->now + PAUSE_NS);
    else
        result->arm = !pass->blocked;
}

static struct error *streams(struct pass *pass)
{
    struct container *container = pass->container;
    bool done = true;

    if (container->note.memory->blocked_since_ns != 0 && pass->now < container->retry_ns)
        done = false;
    else
        TRY(append_finish(&pass->append, &container->note, &done));
    pass->blocked = !done;
    for (uint32_t i = 0; i < LOG_NOTE_STREAMS; i++) {
        if (!pass->blocked)
            TRY(stream_log(pass, i));
        if (pass->blocked)
            TRY(stream_hold(pass, i));
    }
    blocked_note(pass);
    next_turn(pass);
    return NULL;
}

/* ---- removal */

/* What was taken is written, or, where the file takes nothing, given up. */
static struct error *finish(struct pass *pass)
{
    struct container *container = pass->container;
    bool done;

    if (container->file_generation != note_slot(&container->note)->generation)
        return NULL;
    TRY(append_finish(&pass->append, &container->note, &done));
    pass->blocked = !done;
    for (uint32_t i = 0; i < LOG_NOTE_STREAMS && !pass->blocked; i++)
        TRY(write_backlog(pass, i));
    return pass->blocked ? append_undo(&pass->append, &container->note) : NULL;
}

static void remove_container(struct pass *pass)
{
    struct container *container = pass->container;

    if (!container->broken) {
        autoptr(error) failure = finish(pass);
        if (failure)
            log_warn("the end of a container's output is not in its log", "container=%s error=%s", container->id,
                     log_quote(failure->text));
    }
    pass->result->dropped_bytes = unwritten(container);
    close(container->file);
    container->file = -1;
    pass->result->removed = true;
}

/* ---- one turn */

static struct error *turn(struct pass *pass)
{
    struct container *container = pass->container;

    if (!container->recovered)
        TRY(stream_recover(&container->note, &container->pipes));
    container->recovered = true;
    if (pass->orders->next_file >= 0)
        TRY(rotate(pass));
    TRY(file_catch_up(pass));
    if (pass->orders->remove)
        remove_container(pass);
    else if (container->file_generation == note_slot(&container->note)->generation)
        TRY(streams(pass)); /* else it waits for the file, by NEXT_FILE */
    return NULL;
}

static bool claim(struct container *container, const struct worker_self *self)
{
    const struct log_note *memory = container->note.memory;

    if (memory->worker_tid != self->tid && thread_id_is_alive(memory->worker_tid, memory->worker_start_ticks))
        return false;
    note_set_worker(&container->note, self->tid, self->start_ticks);
    return true;
}

static void turn_broken(struct pass *pass)
{
    if (pass->orders->next_file >= 0)
        close(pass->orders->next_file);
    if (pass->orders->remove)
        remove_container(pass);
    else if (pass->orders->next_file >= 0 || pass->orders->drain)
        pass->result->failure = error_new(ERROR_DATA_LOSS, "this container's log has stopped");
}

/* A predecessor's thread hangs in the kernel with this log, and may yet write: nothing is done, but letting go. */
static void turn_unclaimed(struct pass *pass)
{
    struct container *container = pass->container;

    pass->result->unclaimed = true;
    due_by(pass->result, pass->now + CLAIM_RETRY_NS);
    if (!pass->orders->remove)
        return;
    pass->result->dropped_bytes = unwritten(container);
    pass->result->removed = true; /* container_free() closes the file apart */
}

void container_pass(struct container *container, const struct container_orders *orders, const struct worker_self *self,
                    struct pass_result *ret)
{
    struct pass pass = {.container = container,
                        .orders = orders,
                        .result = ret,
                        .append = {.file = container->file, .buffer = self->buffer},
                        .now = clock_boottime_ns()};

    *ret = (struct pass_result){0};
    if (container->broken) {
        turn_broken(&pass);
        return;
    }
    if (!claim(container, self)) {
        turn_unclaimed(&pass);
        return;
    }
    ret->failure = turn(&pass);
    container->broken = ret->failure != NULL;
    if (container->broken && orders->remove && !ret->removed)
        remove_container(&pass);
    ret->generation = note_slot(&container->note)->generation;
    if (!ret->removed)
        ret->dropped_bytes = container->note.memory->dropped[0] + container->note.memory->dropped[1];
    note_set_worker(&container->note, 0, 0);
}
