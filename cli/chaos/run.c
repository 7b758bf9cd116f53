/* Which threads there are, and in which order they begin and end. */
#include "cli/chaos/run.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/chaos/background.h"
#include "cli/chaos/census.h"
#include "cli/chaos/killer.h"
#include "cli/chaos/report.h"
#include "common/clock.h"
#include "common/memory.h"

enum { READY_TRY_MS = 5000, PAUSE_US = 50000, THREADS_MAX = 70, PROGRESS_S = 10 };
static const int64_t ready_limit_ns = 90000000000;

/* Slots: a worker each, the lister, the puller, and this thread. */
static size_t slots_of(const struct options *options)
{
    return options->pods + 3;
}

static size_t own_slot(const struct options *options)
{
    return options->pods + 2;
}

/* ---- before ---- */

static struct error *status_look(struct cri_client *client, bool *ret_ready)
{
    Runtime__V1__StatusRequest request = RUNTIME__V1__STATUS_REQUEST__INIT;
    Runtime__V1__StatusResponse *reply = NULL;

    TRY(CRI_CALL(client, "RuntimeService", "Status", &request.base, READY_TRY_MS, status_response, &reply));
    *ret_ready = reply->status && reply->status->n_conditions >= 2;
    for (size_t i = 0; reply->status && i < reply->status->n_conditions; i++)
        *ret_ready = *ret_ready && reply->status->conditions[i]->status;
    runtime__v1__status_response__free_unpacked(reply, NULL);
    return NULL;
}

/* Not in the record: that it is not there yet is no failure. */
static struct error *ready_await(struct caller *caller)
{
    int64_t end = clock_boottime_ns() + ready_limit_ns;
    bool ready = false;

    for (;;) {
        struct error *error = status_look(caller->client, &ready);
        if (!error && ready)
            return NULL;
        if (clock_boottime_ns() > end)
            return error ? error_wrap(error, "the runtime at %s", caller->chaos->config->address)
                         : error_new(ERROR_DEADLINE_EXCEEDED, "the runtime or its network does not become ready");
        error_free(error);
        usleep(PAUSE_US);
    }
}

/* Without kills all must go well; then the record begins anew. */
static struct error *warm_up(struct chaos *chaos)
{
    struct worker worker = {.chaos = chaos, .slot = own_slot(chaos->options)};
    struct record record;

    worker_warm_up(&worker);
    recorder_read(chaos->recorder, &record);
    if (record.violation_total)
        return error_new(ERROR_FAILED_PRECONDITION, "the runtime fails before any kill: %s", record.violations[0].text);
    recorder_free(chaos->recorder);
    chaos->recorder = recorder_new(slots_of(chaos->options));
    return NULL;
}

static struct error *run_begin(struct chaos *chaos, struct caller *caller, struct census *ret_before)
{
    chaos->recorder = recorder_new(slots_of(chaos->options));
    TRY(ready_await(caller));
    TRY(call_pull(caller, chaos->options->image, &chaos->image));
    TRY(warm_up(chaos));
    return census_take_at_rest(caller, ret_before);
}

/* ---- threads ---- */

struct threads {
    pthread_t all[THREADS_MAX], killer;
    struct worker workers[THREADS_MAX];
    size_t count;
};

static void thread_start(pthread_t *thread, void *(*function)(void *argument), void *argument)
{
    if (pthread_create(thread, NULL, function, argument) != 0) {
        fprintf(stderr, "chaos: no thread\n");
        exit(2);
    }
}

static void worker_start(struct threads *threads, struct chaos *chaos, void *(*function)(void *argument))
{
    threads->workers[threads->count] = (struct worker){.chaos = chaos, .slot = threads->count};
    thread_start(&threads->all[threads->count], function, &threads->workers[threads->count]);
    threads->count++;
}

static void threads_start(struct threads *threads, struct chaos *chaos)
{
    for (uint32_t i = 0; i < chaos->options->pods; i++)
        worker_start(threads, chaos, worker_run);
    worker_start(threads, chaos, lister_run);
    if (chaos->options->pull)
        worker_start(threads, chaos, puller_run);
    thread_start(&threads->killer, killer_run, chaos);
}

static void threads_join(struct threads *threads)
{
    pthread_join(threads->killer, NULL);
    for (size_t i = 0; i < threads->count; i++)
        pthread_join(threads->all[i], NULL);
}

static void progress_print(struct chaos *chaos)
{
    struct record record;

    recorder_read(chaos->recorder, &record);
    fprintf(stderr, "chaos: %lld s: %zu calls, %zu kills, %zu pods, %zu violations\n",
            (long long)((clock_boottime_ns() - chaos->start_ns) / 1000000000), record.call_count, record.kill_count,
            record.tally.pods, record.violation_total);
}

static void duration_wait(struct chaos *chaos)
{
    int64_t end = chaos->start_ns + chaos->options->duration_ms * 1000000;
    struct timespec second = {.tv_sec = 1};
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    for (unsigned seconds = 1; clock_boottime_ns() < end; seconds++) {
        int64_t left = end - clock_boottime_ns();
        if (left < 1000000000)
            second = (struct timespec){.tv_nsec = left > 0 ? left : 0};
        if (sigtimedwait(&signals, NULL, &second) > 0)
            return;
        if (seconds % PROGRESS_S == 0)
            progress_print(chaos);
    }
}

/* ---- after ---- */

static struct error *reports_write(struct chaos *chaos, const char *command, const struct census *before,
                                   const struct census *after, int64_t end_ns, size_t *ret_violations)
{
    struct record record;
    struct report report = {.chaos = chaos,
                            .record = &record,
                            .before = before,
                            .after = after,
                            .end_ns = end_ns,
                            .command = (char *)command};

    recorder_read(chaos->recorder, &record);
    *ret_violations = record.violation_total;
    report_print(&report, stdout);
    TRY(report_json_write(&report, chaos->options->json));
    TRY(report_html_write(&report, chaos->options->html));
    printf("report: %s, %s\n", chaos->options->html, chaos->options->json);
    return NULL;
}

static struct error *run_with(struct chaos *chaos, struct caller *caller, const char *command, size_t *ret_violations)
{
    struct threads threads = {0};
    struct census before, after;

    TRY(run_begin(chaos, caller, &before));
    after = before;
    chaos->start_ns = clock_boottime_ns();
    threads_start(&threads, chaos);
    duration_wait(chaos);
    atomic_store(&chaos->is_over, true);
    threads_join(&threads);
    int64_t end_ns = clock_boottime_ns();
    autoptr(error) uncounted = census_compare(caller, &before, &after);
    if (uncounted)
        recorder_violation(chaos->recorder, VIOLATION_REMAINS, "cannot be counted: %s", uncounted->text);
    return reports_write(chaos, command, &before, &after, end_ns, ret_violations);
}

struct error *run(struct chaos *chaos, const char *command, size_t *ret_violations)
{
    struct caller caller;

    TRY(caller_open(chaos, own_slot(chaos->options), &caller));
    struct error *error = run_with(chaos, &caller, command, ret_violations);
    caller_close(&caller);
    return error;
}
