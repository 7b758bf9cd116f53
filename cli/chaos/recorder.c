/* One lock over growing arrays. */
#include "cli/chaos/recorder.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "cli/chaos/excuse.h"
#include "common/clock.h"
#include "common/memory.h"

enum { VIOLATIONS_KEPT = 1000 };

/* Before a call: how far back a kill may lie that it still meets, as that of a stopped process is healed within seconds. */
static const int64_t look_back_ns = 20000000000;

struct under_way {
    bool is_active;
    enum rpc rpc;
    int64_t start_ns;
    char pod[POD_ID_SIZE];
};

struct recorder {
    pthread_mutex_t lock;
    struct call_record *calls;
    size_t call_room;
    struct kill_record *kills;
    size_t kill_room;
    struct violation *violations;
    struct record record; /* its arrays are those above */
    struct under_way *slots;
    size_t slot_count;
    int64_t last_success_ns;
    unsigned number;
};

static const char *const violation_names[VIOLATION_COUNT] = {
    [VIOLATION_CALL] = "failed RPCs",
    [VIOLATION_REFUSAL] = "refused retries",
    [VIOLATION_EXIT] = "wrong exit codes",
    [VIOLATION_OUTPUT] = "wrong exec answers",
    [VIOLATION_LOG] = "log lines lost, doubled or torn",
    [VIOLATION_STUCK] = "pods and containers stuck",
    [VIOLATION_ADDRESS] = "addresses wrong or shared",
    [VIOLATION_LIST] = "wrong lists",
    [VIOLATION_SESSION] = "broken sessions",
    [VIOLATION_REPLACED] = "processes not replaced in time",
    [VIOLATION_REMAINS] = "remains",
};

const char *violation_name(enum violation_kind kind)
{
    return violation_names[kind];
}

struct recorder *recorder_new(size_t slots)
{
    struct recorder *recorder = xcalloc(1, sizeof(*recorder));

    pthread_mutex_init(&recorder->lock, NULL);
    recorder->slots = xcalloc(slots, sizeof(*recorder->slots));
    recorder->slot_count = slots;
    recorder->violations = xcalloc(VIOLATIONS_KEPT, sizeof(*recorder->violations));
    recorder->record.lives = json_array();
    return recorder;
}

void recorder_free(struct recorder *recorder)
{
    if (!recorder)
        return;
    for (size_t i = 0; i < recorder->record.violation_count; i++)
        free(recorder->violations[i].text);
    json_decref(recorder->record.lives);
    free(recorder->violations);
    free(recorder->calls);
    free(recorder->kills);
    free(recorder->slots);
    pthread_mutex_destroy(&recorder->lock);
    free(recorder);
}

static void violation_add(struct recorder *recorder, enum violation_kind kind, const char *format, va_list arguments)
{
    struct record *record = &recorder->record;
    autofree char *text = xvasprintf(format, arguments);

    record->by_kind[kind]++;
    record->violation_total++;
    if (record->violation_count == VIOLATIONS_KEPT)
        return;
    fprintf(stderr, "chaos: violation (%s): %s\n", violation_names[kind], text);
    recorder->violations[record->violation_count++] =
        (struct violation){.at_ns = clock_boottime_ns(), .kind = kind, .text = TAKE(text)};
}

__attribute__((format(printf, 3, 4))) static void violate(struct recorder *recorder, enum violation_kind kind,
                                                          const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    violation_add(recorder, kind, format, arguments);
    va_end(arguments);
}

void recorder_violation(struct recorder *recorder, enum violation_kind kind, const char *format, ...)
{
    va_list arguments;

    pthread_mutex_lock(&recorder->lock);
    va_start(arguments, format);
    violation_add(recorder, kind, format, arguments);
    va_end(arguments);
    pthread_mutex_unlock(&recorder->lock);
}

/* ---- calls ---- */

void recorder_begin(struct recorder *recorder, size_t slot, enum rpc rpc, const char *pod)
{
    struct under_way *under_way = &recorder->slots[slot];

    pthread_mutex_lock(&recorder->lock);
    *under_way = (struct under_way){.is_active = true, .rpc = rpc, .start_ns = clock_boottime_ns()};
    snprintf(under_way->pod, sizeof(under_way->pod), "%s", pod ? pod : "");
    pthread_mutex_unlock(&recorder->lock);
}

static bool is_excused(const struct recorder *recorder, const struct call_record *call, const struct error *failure,
                       const char *pod)
{
    for (size_t i = recorder->record.kill_count; i > 0; i--) {
        const struct kill_record *kill = &recorder->kills[i - 1];
        if (kill->at_ns < call->start_ns - look_back_ns)
            break;
        if (kill_covers(kill, call->start_ns, call->end_ns) && kill_excuses(kill, call->rpc, failure, pod))
            return true;
    }
    return false;
}

static void call_add(struct recorder *recorder, const struct call_record *call)
{
    struct record *record = &recorder->record;

    if (record->call_count == recorder->call_room) {
        recorder->call_room = 2 * recorder->call_room + 1024;
        recorder->calls = xreallocarray(recorder->calls, recorder->call_room, sizeof(*recorder->calls));
    }
    recorder->calls[record->call_count++] = *call;
}

static bool is_refusal(const struct error *failure)
{
    return failure->code == ERROR_ALREADY_EXISTS || strstr(failure->text, "is reserved") != NULL;
}

bool recorder_end(struct recorder *recorder, size_t slot, const struct error *failure, enum error_code expected)
{
    struct under_way *under_way = &recorder->slots[slot];
    bool is_answer = !failure || failure->code == expected;
    struct call_record call = {.rpc = under_way->rpc,
                               .start_ns = under_way->start_ns,
                               .end_ns = clock_boottime_ns(),
                               .code = is_answer ? ERROR_OK : failure->code};

    pthread_mutex_lock(&recorder->lock);
    under_way->is_active = false;
    if (is_answer)
        recorder->last_success_ns = call.end_ns;
    else
        call.is_excused = is_excused(recorder, &call, failure, under_way->pod);
    call_add(recorder, &call);
    if (!is_answer && !call.is_excused)
        violate(recorder, is_refusal(failure) ? VIOLATION_REFUSAL : VIOLATION_CALL, "%s of pod %.13s after %.3f s: %s: %s",
                rpc_name(call.rpc), under_way->pod[0] ? under_way->pod : "-",
                (double)(call.end_ns - call.start_ns) / 1e9, error_code_name(failure->code), failure->text);
    pthread_mutex_unlock(&recorder->lock);
    return call.is_excused;
}

void recorder_end_session(struct recorder *recorder, size_t slot, enum error_code code, bool excused)
{
    struct under_way *under_way = &recorder->slots[slot];

    pthread_mutex_lock(&recorder->lock);
    under_way->is_active = false;
    call_add(recorder, &(struct call_record){.rpc = under_way->rpc,
                                             .start_ns = under_way->start_ns,
                                             .end_ns = clock_boottime_ns(),
                                             .code = code,
                                             .is_excused = excused});
    pthread_mutex_unlock(&recorder->lock);
}

bool recorder_is_excused(struct recorder *recorder, enum target target, const char *pod, int64_t start_ns)
{
    int64_t now = clock_boottime_ns();
    bool found = false;

    pthread_mutex_lock(&recorder->lock);
    for (size_t i = recorder->record.kill_count; i > 0 && !found; i--) {
        const struct kill_record *kill = &recorder->kills[i - 1];
        if (kill->at_ns < start_ns - look_back_ns)
            break;
        found = kill->target == target && kill_covers(kill, start_ns, now) && (!pod || !strcmp(pod, kill->pod));
    }
    pthread_mutex_unlock(&recorder->lock);
    return found;
}

void recorder_under_way(struct recorder *recorder, uint32_t set, const char *pod, char ret[RPC_SET_SIZE])
{
    uint32_t found = 0;
    size_t length = 0;

    pthread_mutex_lock(&recorder->lock);
    for (size_t i = 0; i < recorder->slot_count; i++) {
        const struct under_way *slot = &recorder->slots[i];
        if (slot->is_active && (!pod || !strcmp(pod, slot->pod)))
            found |= set & 1u << slot->rpc;
    }
    pthread_mutex_unlock(&recorder->lock);
    ret[0] = '\0';
    for (enum rpc rpc = 0; rpc < RPC_COUNT; rpc++)
        if (found >> rpc & 1 && length + 32 < RPC_SET_SIZE)
            length += (size_t)snprintf(ret + length, RPC_SET_SIZE - length, "%s%s", length ? " " : "", rpc_name(rpc));
}

int64_t recorder_last_success_ns(struct recorder *recorder)
{
    pthread_mutex_lock(&recorder->lock);
    int64_t last = recorder->last_success_ns;
    pthread_mutex_unlock(&recorder->lock);
    return last;
}

/* ---- kills ---- */

size_t recorder_kill(struct recorder *recorder, const struct kill_record *kill)
{
    struct record *record = &recorder->record;

    pthread_mutex_lock(&recorder->lock);
    if (record->kill_count == recorder->kill_room) {
        recorder->kill_room = 2 * recorder->kill_room + 256;
        recorder->kills = xreallocarray(recorder->kills, recorder->kill_room, sizeof(*recorder->kills));
    }
    size_t number = record->kill_count++;
    recorder->kills[number] = *kill;
    recorder->kills[number].at_ns = clock_boottime_ns();
    pthread_mutex_unlock(&recorder->lock);
    return number;
}

void recorder_kill_dead(struct recorder *recorder, size_t number)
{
    pthread_mutex_lock(&recorder->lock);
    recorder->kills[number].dead_ns = clock_boottime_ns();
    pthread_mutex_unlock(&recorder->lock);
}

void recorder_kill_settled(struct recorder *recorder, size_t number)
{
    pthread_mutex_lock(&recorder->lock);
    recorder->kills[number].settled_ns = clock_boottime_ns();
    pthread_mutex_unlock(&recorder->lock);
}

/* ---- the rest ---- */

void recorder_life(struct recorder *recorder, json_t *life)
{
    pthread_mutex_lock(&recorder->lock);
    json_array_append_new(recorder->record.lives, life);
    pthread_mutex_unlock(&recorder->lock);
}

unsigned recorder_number(struct recorder *recorder)
{
    pthread_mutex_lock(&recorder->lock);
    unsigned number = recorder->number++;
    pthread_mutex_unlock(&recorder->lock);
    return number;
}

void recorder_tally(struct recorder *recorder, const struct tally *more)
{
    struct tally *tally = &recorder->record.tally;

    pthread_mutex_lock(&recorder->lock);
    tally->pods += more->pods;
    tally->containers += more->containers;
    tally->log_lines += more->log_lines;
    tally->execs += more->execs;
    tally->sessions += more->sessions;
    tally->cut_sessions += more->cut_sessions;
    tally->lists += more->lists;
    tally->pulls += more->pulls;
    pthread_mutex_unlock(&recorder->lock);
}

void recorder_read(struct recorder *recorder, struct record *ret)
{
    pthread_mutex_lock(&recorder->lock);
    *ret = recorder->record;
    ret->calls = recorder->calls;
    ret->kills = recorder->kills;
    ret->violations = recorder->violations;
    pthread_mutex_unlock(&recorder->lock);
}
