/* What a pod goes through: its beginning, a few random acts, its end; every answer is checked. */
#include "cli/chaos/life.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/chaos/container_life.h"
#include "cli/chaos/session.h"
#include "common/clock.h"
#include "common/memory.h"

enum { CONTAINERS_MAX = 3, ACTS_MAX = 8, EXEC_CODES = 120 };

struct life {
    struct caller *caller;
    struct random *random;
    char name[48];
    char *logs;
    char *pod; /* id */
    bool has_shared_pids;
    struct container_life containers[CONTAINERS_MAX];
    unsigned container_count;
    struct tally tally;
    json_t *acts; /* what was decided */
};

static struct pod_plan pod_plan_of(const struct life *life)
{
    return (struct pod_plan){.name = life->name, .logs = life->logs, .has_shared_pids = life->has_shared_pids};
}

/* ---- its beginning ---- */

/* The retries of one RunPodSandbox have made one pod. */
static struct error *pod_must_be_one(struct life *life)
{
    char **ids = NULL;
    size_t count = 0;

    TRY(call_list_pods(life->caller, life->name, &ids, &count));
    if (count != 1 || strcmp(ids[0], life->pod) != 0)
        recorder_violation(life->caller->chaos->recorder, VIOLATION_LIST, "RunPodSandbox of %s answered %.13s, and %zu pods "
                           "are listed, the first %.13s", life->name, life->pod, count, count ? ids[0] : "-");
    ids_free(ids, count);
    return NULL;
}

static struct error *pod_begin(struct life *life)
{
    struct chaos *chaos = life->caller->chaos;
    struct pod_plan plan = pod_plan_of(life);
    autofree char *address = NULL;
    bool ready = false;

    TRY(call_run_pod(life->caller, &plan, &life->pod));
    life->caller->pod = life->pod;
    TRY(call_pod_status(life->caller, life->pod, &ready, &address));
    if (!ready)
        recorder_violation(chaos->recorder, VIOLATION_STUCK, "pod %.13s is not ready after RunPodSandbox", life->pod);
    if (!*address)
        recorder_violation(chaos->recorder, VIOLATION_ADDRESS, "pod %.13s has no address", life->pod);
    autoptr(error) shared = book_add_pod(chaos->book, life->pod, address);
    if (shared)
        recorder_violation(chaos->recorder, VIOLATION_ADDRESS, "%s", shared->text);
    return pod_must_be_one(life);
}

static struct error *containers_begin(struct life *life)
{
    struct pod_plan plan = pod_plan_of(life);
    unsigned count = 1 + random_below(life->random, CONTAINERS_MAX);

    for (unsigned i = 0; i < count; i++) {
        struct container_life *container = &life->containers[life->container_count++];
        container_life_plan(container, life->random, life->name, i, life->has_shared_pids,
                            recorder_number(life->caller->chaos->recorder));
        TRY(container_life_begin(container, life->caller, &plan, life->has_shared_pids));
    }
    return NULL;
}

/* ---- its acts ---- */

/* A container that certainly runs: it ends only when it is told to. NULL: there is none. */
static struct container_life *running_choose(struct life *life)
{
    unsigned first = random_below(life->random, life->container_count);

    for (unsigned i = 0; i < life->container_count; i++) {
        struct container_life *container = &life->containers[(first + i) % life->container_count];
        bool is_told = container->writer.end == WRITER_TRAPS || container->writer.end == WRITER_KILLED;
        if (is_told && container->is_started && !container->is_ended)
            return container;
    }
    return NULL;
}

static void act_note(struct life *life, const char *what, const struct container_life *container)
{
    json_array_append_new(life->acts, json_pack("{s:s, s:s}", "act", what, "container", container ? container->name : ""));
}

/* An exec whose runtime was killed may have been killed with it; its output has two holders. */
static bool exec_is_excused(struct life *life, int64_t start_ns)
{
    struct recorder *recorder = life->caller->chaos->recorder;
    bool were_both_killed = recorder_is_excused(recorder, TARGET_SHIM, life->pod, start_ns) &&
                            recorder_is_excused(recorder, TARGET_KEEPER, NULL, start_ns);

    return were_both_killed || recorder_is_excused(recorder, TARGET_OCI, life->pod, start_ns);
}

static void exec_check(struct life *life, int code, int expected_code, const char *output, const char *expected,
                       int64_t start_ns)
{
    struct recorder *recorder = life->caller->chaos->recorder;

    life->tally.execs++;
    if (code == expected_code && !strcmp(output, expected))
        return;
    if (!exec_is_excused(life, start_ns))
        recorder_violation(recorder, VIOLATION_OUTPUT, "ExecSync in pod %.13s ended with %d, not %d, and printed \"%.100s\"",
                           life->pod, code, expected_code, output);
}

static struct error *act_exec(struct life *life)
{
    struct container_life *container = running_choose(life);
    int expected_code = (int)random_below(life->random, EXEC_CODES), code = -1;
    uint64_t word = random_next(life->random);
    autofree char *expected = xasprintf("word %016llx\n", (unsigned long long)word);
    autofree char *script = xasprintf("echo word %016llx; exit %d", (unsigned long long)word, expected_code);
    autofree char *output = NULL;
    int64_t start_ns = clock_boottime_ns();

    act_note(life, "exec", container);
    if (!container)
        return NULL;
    TRY(call_exec_sync(life->caller, container->id, script, &code, &output));
    exec_check(life, code, expected_code, output, expected, start_ns);
    return NULL;
}

static bool session_is_excused(struct life *life, int64_t start_ns)
{
    struct recorder *recorder = life->caller->chaos->recorder;

    return recorder_is_excused(recorder, TARGET_STREAM, NULL, start_ns) ||
           recorder_is_excused(recorder, TARGET_OCI, life->pod, start_ns);
}

static struct error *act_session(struct life *life)
{
    struct recorder *recorder = life->caller->chaos->recorder;
    struct container_life *container = running_choose(life);
    struct session_plan plan = {.is_spdy = random_chance(life->random, 50),
                                .lines = 1 + random_below(life->random, 10),
                                .pause_ms = random_below(life->random, 100),
                                .code = (int)random_below(life->random, EXEC_CODES)};
    autofree char *script = session_script(&plan);
    autofree char *url = NULL;
    int64_t start_ns = clock_boottime_ns();

    act_note(life, plan.is_spdy ? "session by SPDY" : "session by WebSocket", container);
    if (!container)
        return NULL;
    TRY(call_exec(life->caller, container->id, script, &url));
    recorder_begin(recorder, life->caller->slot, RPC_SESSION, life->pod);
    autoptr(error) failure = session_run(url, &plan);
    bool is_excused = failure && session_is_excused(life, start_ns);
    recorder_end_session(recorder, life->caller->slot, failure ? failure->code : ERROR_OK, is_excused);
    life->tally.sessions += !failure;
    life->tally.cut_sessions += is_excused;
    if (failure && !is_excused)
        recorder_violation(recorder, VIOLATION_SESSION, "by %s in pod %.13s: %s", plan.is_spdy ? "SPDY" : "WebSocket",
                           life->pod, failure->text);
    return NULL;
}

static struct error *act_rotate(struct life *life)
{
    struct container_life *container = running_choose(life);

    act_note(life, "rotate", container);
    return container ? container_life_rotate(container, life->caller) : NULL;
}

static struct error *act_look(struct life *life)
{
    struct container_life *container = running_choose(life);
    autofree char *address = NULL;
    struct container_state state;
    bool ready = false;

    act_note(life, "look", container);
    TRY(call_pod_status(life->caller, life->pod, &ready, &address));
    if (!ready)
        recorder_violation(life->caller->chaos->recorder, VIOLATION_STUCK, "pod %.13s is no longer ready", life->pod);
    if (!container)
        return NULL;
    TRY(call_container_status(life->caller, container->id, &state));
    if (state.state != RUNTIME__V1__CONTAINER_STATE__CONTAINER_RUNNING)
        recorder_violation(life->caller->chaos->recorder, VIOLATION_EXIT, "container %.13s (%s) runs, and its state is %d",
                           container->id, container->name, (int)state.state);
    return NULL;
}

static struct error *act_end(struct life *life)
{
    struct container_life *container = &life->containers[random_below(life->random, life->container_count)];

    act_note(life, "end", container);
    return container->is_ended ? NULL : container_life_end(container, life->caller, &life->tally);
}

static struct error *acts_play(struct life *life)
{
    static struct error *(*const acts[])(struct life *life) = {act_exec,   act_exec,    act_exec, act_session,
                                                               act_session, act_rotate, act_look, act_end};
    unsigned count = 1 + random_below(life->random, ACTS_MAX);

    for (unsigned i = 0; i < count; i++)
        TRY(acts[random_below(life->random, sizeof(acts) / sizeof(acts[0]))](life));
    return NULL;
}

/* ---- its end ---- */

static struct error *containers_end(struct life *life)
{
    for (unsigned i = 0; i < life->container_count; i++)
        if (!life->containers[i].is_ended)
            TRY(container_life_end(&life->containers[i], life->caller, &life->tally));
    return NULL;
}

static struct error *pod_end(struct life *life)
{
    book_leave(life->caller->chaos->book, life->pod);
    if (random_chance(life->random, 80))
        TRY(call_stop_pod(life->caller, life->pod));
    TRY(call_remove_pod(life->caller, life->pod));
    book_gone(life->caller->chaos->book, life->pod);
    life->tally.pods++;
    return NULL;
}

/* After a failure: what is there still goes with the pod. */
static void remains_end(struct life *life)
{
    struct book *book = life->caller->chaos->book;

    for (unsigned i = 0; i < life->container_count; i++)
        if (life->containers[i].id)
            book_leave(book, life->containers[i].id);
    if (!life->pod)
        return;
    book_leave(book, life->pod);
    error_free(call_stop_pod(life->caller, life->pod));
    error_free(call_remove_pod(life->caller, life->pod));
}

static void stuck_note(const struct life *life, const struct error *stuck)
{
    recorder_violation(life->caller->chaos->recorder, VIOLATION_STUCK, "pod %s (%.13s): %s", life->name,
                       life->pod ? life->pod : "-", stuck->text);
}

/* An act that fails does not keep the exit codes and logs from being looked at. */
static struct error *life_play(struct life *life)
{
    TRY(pod_begin(life));
    TRY(containers_begin(life));
    autoptr(error) failure = acts_play(life);
    if (failure)
        stuck_note(life, failure);
    TRY(containers_end(life));
    return pod_end(life);
}

static void life_note(struct life *life)
{
    json_t *containers = json_array();

    for (unsigned i = 0; i < life->container_count; i++)
        json_array_append_new(containers, container_life_describe(&life->containers[i]));
    recorder_life(life->caller->chaos->recorder,
                  json_pack("{s:s, s:s, s:b, s:o, s:O}", "name", life->name, "id", life->pod ? life->pod : "",
                            "sharedPids", life->has_shared_pids, "containers", containers, "acts", life->acts));
    recorder_tally(life->caller->chaos->recorder, &life->tally);
}

static void logs_remove(const struct life *life)
{
    for (unsigned i = 0; i < life->container_count; i++) {
        const struct container_life *container = &life->containers[i];
        for (unsigned j = 1; j <= container->rotations; j++) {
            autofree char *path = xasprintf("%s.%u", container->log_path, j);
            unlink(path);
        }
        if (container->log_path)
            unlink(container->log_path);
    }
    rmdir(life->logs);
}

static void life_run(struct caller *caller, struct random *random, unsigned number)
{
    struct life life = {.caller = caller, .random = random, .acts = json_array()};

    snprintf(life.name, sizeof(life.name), "%s-%zu-%u", caller->chaos->name, caller->slot, number);
    life.logs = xasprintf("%s/%s", caller->chaos->logs, life.name);
    life.has_shared_pids = random_chance(random, 30);
    mkdir(life.logs, 0755);
    autoptr(error) stuck = life_play(&life);
    if (stuck) {
        stuck_note(&life, stuck);
        remains_end(&life);
    } else {
        logs_remove(&life);
    }
    life_note(&life);
    for (unsigned i = 0; i < life.container_count; i++)
        container_life_fini(&life.containers[i]);
    json_decref(life.acts);
    caller->pod = "";
    free(life.pod);
    free(life.logs);
}

void worker_warm_up(struct worker *worker)
{
    struct random random = random_stream(worker->chaos->options->seed, worker->slot);
    struct caller caller;
    autoptr(error) error = caller_open(worker->chaos, worker->slot, &caller);

    if (error)
        return;
    life_run(&caller, &random, 0);
    caller_close(&caller);
}

void *worker_run(void *argument)
{
    struct worker *worker = argument;
    struct random random = random_stream(worker->chaos->options->seed, worker->slot);
    struct caller caller;
    autoptr(error) error = caller_open(worker->chaos, worker->slot, &caller);

    if (error)
        return NULL;
    for (unsigned number = 0; !atomic_load(&worker->chaos->is_over); number++)
        life_run(&caller, &random, number);
    caller_close(&caller);
    return NULL;
}
