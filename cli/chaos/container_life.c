/* Plans, and the comparison with what became of them. */
#include "cli/chaos/container_life.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/memory.h"

enum { CODES = 200, LOG_MAX = 256 << 20, POLL_US = 20000, GRACE_S = 60 };

static const int64_t late_lines_limit_ns = 15000000000;
static const int64_t exit_limit_ns = 90000000000, first_line_limit_ns = 30000000000;

/* ---- the plan ---- */

static enum writer_end end_choose(struct random *random, bool shared_pids)
{
    uint32_t choice = random_below(random, 10);

    if (shared_pids && choice < 3)
        return WRITER_SIGNALS;
    if (choice < 5)
        return WRITER_EXITS;
    return choice < 8 ? WRITER_TRAPS : WRITER_KILLED;
}

void container_life_plan(struct container_life *life, struct random *random, const char *pod_name, unsigned index,
                         bool shared_pids, unsigned number)
{
    static const int signals[] = {1, 2, 6, 9, 10, 12, 15};

    *life = (struct container_life){0};
    snprintf(life->name, sizeof(life->name), "%s-c%u", pod_name, index);
    life->writer = (struct writer){.tag = life->name,
                                   .end = end_choose(random, shared_pids),
                                   .lines = 1 + random_below(random, 4000),
                                   .width = 64u << random_below(random, 3),
                                   .pause_every = random_chance(random, 25) ? 0 : 20 + random_below(random, 200),
                                   .code = (int)(number % CODES),
                                   .signal = signals[random_below(random, sizeof(signals) / sizeof(signals[0]))]};
    if (life->writer.end != WRITER_KILLED && random_chance(random, 20)) { /* longer than a log's line may be */
        life->writer.width = 32768;
        life->writer.lines = 1 + life->writer.lines % 64;
    }
}

json_t *container_life_describe(const struct container_life *life)
{
    static const char *const ends[] = {"exit", "signal", "trap", "kill"};
    const struct writer *writer = &life->writer;

    return json_pack("{s:s, s:s, s:s, s:i, s:i, s:i, s:i}", "name", life->name, "id", life->id ? life->id : "", "end",
                     ends[writer->end], "exitCode", writer_exit_code(writer), "lines", (int)writer->lines, "width",
                     (int)writer->width, "rotations", (int)life->rotations);
}

void container_life_fini(struct container_life *life)
{
    free(life->id);
    free(life->log_path);
}

/* ---- its beginning ---- */

struct error *container_life_begin(struct container_life *life, struct caller *caller, const struct pod_plan *pod,
                                   bool shared_pids)
{
    autofree char *script = writer_script(&life->writer);
    struct container_plan plan = {.name = life->name, .script = script, .has_shared_pids = shared_pids};

    life->log_path = xasprintf("%s/%s.log", pod->logs, life->name);
    TRY(call_create(caller, caller->pod, pod, &plan, &life->id));
    struct error *error = call_start(caller, life->id);
    if (error && !caller->was_excused)
        return error;
    life->is_begun_badly = error != NULL;
    life->is_started = !error;
    error_free(error);
    book_add_container(caller->chaos->book, life->id, caller->pod);
    return NULL;
}

/* ---- its log ---- */

static char *rotated_path(const struct container_life *life, unsigned number)
{
    return xasprintf("%s.%u", life->log_path, number);
}

static bool has_first_line(const struct container_life *life)
{
    struct stat status;

    return life->rotations > 0 || (stat(life->log_path, &status) == 0 && status.st_size > 0);
}

/* A line in the log says that the shell has set its trap. */
static struct error *first_line_await(const struct container_life *life)
{
    int64_t end = clock_boottime_ns() + first_line_limit_ns;

    while (!has_first_line(life)) {
        if (clock_boottime_ns() > end)
            return error_new(ERROR_DEADLINE_EXCEEDED, "container %.13s has written nothing", life->id);
        usleep(POLL_US);
    }
    return NULL;
}

struct error *container_life_rotate(struct container_life *life, struct caller *caller)
{
    if (!life->is_started || (life->writer.end != WRITER_TRAPS && life->writer.end != WRITER_KILLED))
        return NULL; /* it may have ended */
    TRY(first_line_await(life));
    autofree char *path = rotated_path(life, life->rotations + 1);
    if (rename(life->log_path, path) < 0)
        return error_errno(errno, "rename %s", life->log_path);
    life->rotations++;
    return call_reopen_log(caller, life->id);
}

static struct error *log_append(const char *path, char **text, size_t *size)
{
    autofree char *more = NULL;
    size_t more_size = 0;

    TRY(file_read_all(path, LOG_MAX, &more, &more_size));
    *text = xrealloc(*text, *size + more_size + 1);
    memcpy(*text + *size, more, more_size);
    *size += more_size;
    (*text)[*size] = '\0';
    return NULL;
}

static struct error *log_read(const struct container_life *life, char **ret, size_t *ret_size)
{
    autofree char *text = NULL;
    size_t size = 0;

    for (unsigned i = 1; i <= life->rotations; i++) {
        autofree char *path = rotated_path(life, i);
        TRY(log_append(path, &text, &size));
    }
    TRY(log_append(life->log_path, &text, &size));
    *ret = TAKE(text);
    *ret_size = size;
    return NULL;
}

static struct error *log_look(const struct container_life *life, struct log_findings *ret, size_t *ret_size)
{
    autofree char *text = NULL;

    TRY(log_read(life, &text, ret_size));
    writer_log_check(&life->writer, text, *ret_size, ret);
    return NULL;
}

/* The exit waits two seconds for a logd that does not write: then lines may come yet, once it is healed. */
static struct error *log_look_again(const struct container_life *life, struct recorder *recorder, int64_t exit_ns,
                                    struct log_findings *ret, size_t *ret_size)
{
    TRY(log_look(life, ret, ret_size));
    while (ret->lost && recorder_is_excused(recorder, TARGET_LOGD, NULL, exit_ns) &&
           clock_boottime_ns() < exit_ns + late_lines_limit_ns) {
        usleep(POLL_US);
        TRY(log_look(life, ret, ret_size));
    }
    return NULL;
}

static void log_check(const struct container_life *life, struct recorder *recorder, struct tally *tally)
{
    size_t size = 0;
    struct log_findings findings;
    autoptr(error) unreadable = log_look_again(life, recorder, clock_boottime_ns(), &findings, &size);

    if (unreadable) {
        recorder_violation(recorder, VIOLATION_LOG, "of container %.13s: %s", life->id, unreadable->text);
        return;
    }
    tally->log_lines += findings.lines;
    if (findings.lost || findings.doubled || findings.torn)
        recorder_violation(recorder, VIOLATION_LOG,
                           "container %.13s (%s): %zu lines well, %zu lost, %zu doubled, %zu torn, the first at byte %zu of "
                           "%zu, after %u rotations",
                           life->id, life->name, findings.lines, findings.lost, findings.doubled, findings.torn,
                           findings.first_bad, size, life->rotations);
}

/* ---- its end ---- */

static struct error *exit_await(const struct container_life *life, struct caller *caller, struct container_state *ret)
{
    int64_t end = clock_boottime_ns() + exit_limit_ns;

    for (;;) {
        TRY(call_container_status(caller, life->id, ret));
        if (ret->state == RUNTIME__V1__CONTAINER_STATE__CONTAINER_EXITED)
            return NULL;
        if (clock_boottime_ns() > end)
            return error_new(ERROR_DEADLINE_EXCEEDED, "container %.13s (%s) does not end: its state is %d", life->id,
                             life->name, (int)ret->state);
        usleep(POLL_US);
    }
}

static void exit_check(const struct container_life *life, const struct container_state *state, struct recorder *recorder)
{
    int expected = writer_exit_code(&life->writer);

    if (state->exit_code != expected || !strcmp(state->reason, "ContainerStatusUnknown"))
        recorder_violation(recorder, VIOLATION_EXIT, "container %.13s (%s) ended with %d (%s), not %d", life->id, life->name,
                           state->exit_code, state->reason, expected);
    else if (state->started_at_ns <= 0 || state->finished_at_ns < state->started_at_ns)
        recorder_violation(recorder, VIOLATION_EXIT, "container %.13s (%s) started at %lld and finished at %lld", life->id,
                           life->name, (long long)state->started_at_ns, (long long)state->finished_at_ns);
}

/* As planned: a writer that ends by itself is awaited, the others are stopped. */
static struct error *writer_end(const struct container_life *life, struct caller *caller)
{
    bool is_trap = life->writer.end == WRITER_TRAPS;

    if (life->is_started && !is_trap && life->writer.end != WRITER_KILLED)
        return NULL;
    if (life->is_started && is_trap)
        TRY(first_line_await(life));
    return call_stop(caller, life->id, life->is_started && is_trap ? GRACE_S : 0);
}

static struct error *removal_check(const struct container_life *life, struct caller *caller)
{
    bool gone = false;

    TRY(call_container_is_gone(caller, life->id, &gone));
    if (!gone)
        recorder_violation(caller->chaos->recorder, VIOLATION_LIST, "container %.13s was removed, and has a status", life->id);
    return NULL;
}

struct error *container_life_end(struct container_life *life, struct caller *caller, struct tally *tally)
{
    struct container_state state;

    life->is_ended = true;
    TRY(writer_end(life, caller));
    TRY(exit_await(life, caller, &state));
    if (life->is_started) {
        exit_check(life, &state, caller->chaos->recorder);
        log_check(life, caller->chaos->recorder, tally);
        tally->containers++;
    }
    book_leave(caller->chaos->book, life->id);
    TRY(call_remove(caller, life->id));
    book_gone(caller->chaos->book, life->id);
    return removal_check(life, caller);
}
