/* What a whole node costs: memory idle and with 20 pods, the time of each call over 50 pods, and how many processes a
 * pod and a container take; with crun, with runc, and, where $BULKHEAD_BENCH_CONTAINERD has its programs, beside
 * containerd. */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/memory.h"
#include "tests/bench/peer.h"
#include "tests/bench/process_events.h"
#include "cli/clients/cri_client.h"
#include "tests/support/request.h"
#include "tests/support/workload.h"

enum { PODS = 50, MEMORY_PODS = 20, TIMEOUT_MS = 60000, RUNS_MAX = 3, ROWS_MAX = 16, SETTLE_US = 1500000 };

enum call {
    CALL_RUN_POD,
    CALL_CREATE,
    CALL_START,
    CALL_EXEC,
    CALL_STATUS,
    CALL_LIST_PODS,
    CALL_LIST_CONTAINERS,
    CALL_LIST_STATS,
    CALL_STOP,
    CALL_REMOVE,
    CALL_STOP_POD,
    CALL_REMOVE_POD,
    CALL_PULL,
    CALL_COUNT,
};

static const char *const call_names[CALL_COUNT] = {
    "RunPodSandbox (CNI)", "CreateContainer",     "StartContainer",          "ExecSync (/bin/true)", "ContainerStatus",
    "ListPodSandbox (50)", "ListContainers (50)", "ListContainerStats (50)", "StopContainer (0 s)",  "RemoveContainer",
    "StopPodSandbox",      "RemovePodSandbox",    "PullImage (up to date)"};

static const char image[] = "docker.io/library/busybox:test";
static const char *const sleeping[] = {"/bin/sleep", "100000", NULL};

struct row {
    const char *name;
    size_t count;
    long idle_kb, busy_kb; /* of all its processes */
};

/* One runtime, with what was measured of it. */
struct run {
    const char *name, *handler;
    const struct node *node;
    struct workload work;
    struct process_events *events;
    double times_us[CALL_COUNT][PODS];
    struct process_counts counts[CALL_COUNT];
    char *pods[PODS], *containers[PODS];
    struct pod_request requests[PODS];
    char names[PODS][16];
};

/* ---- calls ---- */

static struct error *pod_run_one(struct run *run, size_t i)
{
    snprintf(run->names[i], sizeof(run->names[i]), "%.4s%zu", run->name, i);
    pod_request_init(&run->requests[i], run->node, run->names[i], false);
    run->requests[i].request.runtime_handler = (char *)run->handler;
    return pod_request_send(&run->requests[i], run->work.client, &run->pods[i]);
}

static struct error *container_create_one(struct run *run, size_t i)
{
    struct container_request request;

    container_request_init(&request, &run->requests[i], run->pods[i], "main", image, sleeping);
    struct error *error = container_request_send(&request, run->work.client, &run->containers[i]);
    container_request_fini(&request);
    return error;
}

static struct error *container_start_one(struct run *run, size_t i)
{
    return workload_start(&run->work, run->containers[i]);
}

static struct error *exec_one(struct run *run, size_t i)
{
    static const char *const command[] = {"/bin/true", NULL};
    autofree char *output = NULL;
    int code = -1;

    TRY(workload_exec(&run->work, run->containers[i], command, &code, &output));
    return code == 0 ? NULL : error_new(ERROR_INTERNAL, "/bin/true ended with %d", code);
}

static struct error *status_one(struct run *run, size_t i)
{
    struct workload_state state;

    return workload_status(&run->work, run->containers[i], &state);
}

#define LIST_ONE(function, method, request_init, lower, items)                                                         \
    static struct error *function(struct run *run, size_t i)                                                           \
    {                                                                                                                  \
        Runtime__V1__##method##Request request = request_init;                                                         \
        Runtime__V1__##method##Response *reply = NULL;                                                                 \
                                                                                                                       \
        (void)i;                                                                                                       \
        TRY(CRI_CALL(run->work.client, "RuntimeService", #method, &request.base, TIMEOUT_MS, lower, &reply));          \
        size_t count = reply->items;                                                                                   \
        runtime__v1__##lower##__free_unpacked(reply, NULL);                                                            \
        return count == PODS ? NULL : error_new(ERROR_INTERNAL, #method " has %zu", count);                            \
    }

LIST_ONE(list_pods_one, ListPodSandbox, RUNTIME__V1__LIST_POD_SANDBOX_REQUEST__INIT, list_pod_sandbox_response, n_items)
LIST_ONE(list_containers_one, ListContainers, RUNTIME__V1__LIST_CONTAINERS_REQUEST__INIT, list_containers_response,
         n_containers)
LIST_ONE(list_stats_one, ListContainerStats, RUNTIME__V1__LIST_CONTAINER_STATS_REQUEST__INIT,
         list_container_stats_response, n_stats)

static struct error *container_stop_one(struct run *run, size_t i)
{
    return workload_stop(&run->work, run->containers[i], 0);
}

static struct error *container_remove_one(struct run *run, size_t i)
{
    return workload_remove(&run->work, run->containers[i]);
}

static struct error *pod_stop_one(struct run *run, size_t i)
{
    return workload_pod_stop(&run->work, run->pods[i]);
}

static struct error *pod_remove_one(struct run *run, size_t i)
{
    return workload_pod_remove(&run->work, run->pods[i]);
}

static struct error *pull_one(struct run *run, size_t i)
{
    autofree char *id = NULL;

    (void)i;
    return workload_pull(&run->work, image, &id);
}

static struct error *(*const calls[CALL_COUNT])(struct run *, size_t) = {pod_run_one,
                                                                         container_create_one,
                                                                         container_start_one,
                                                                         exec_one,
                                                                         status_one,
                                                                         list_pods_one,
                                                                         list_containers_one,
                                                                         list_stats_one,
                                                                         container_stop_one,
                                                                         container_remove_one,
                                                                         pod_stop_one,
                                                                         pod_remove_one,
                                                                         pull_one};

/* Each call once for each pod, one at a time: times, and what was started meanwhile. */
static struct error *phase(struct run *run, enum call call)
{
    struct process_counts before, after;

    TRY(process_events_read(run->events, &before));
    for (size_t i = 0; i < PODS; i++) {
        int64_t begin = clock_boottime_ns();
        TRY_TO(calls[call](run, i), "%s, %s", run->name, call_names[call]);
        run->times_us[call][i] = (double)(clock_boottime_ns() - begin) / 1000;
    }
    TRY(process_events_read(run->events, &after));
    run->counts[call].started = after.started - before.started;
    run->counts[call].executed = after.executed - before.executed;
    return NULL;
}

static void pods_free(struct run *run, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(run->pods[i]);
        free(run->containers[i]);
        pod_request_fini(&run->requests[i]);
    }
}

static struct error *run_measure(struct run *run)
{
    fprintf(stderr, "%s: %d pods\n", run->name, PODS);
    TRY(pull_one(run, 0));
    for (int call = 0; call < CALL_COUNT; call++)
        TRY(phase(run, (enum call)call));
    pods_free(run, PODS);
    return NULL;
}

/* ---- memory ---- */

static long pss_kb(pid_t pid)
{
    autofree char *path = xasprintf("/proc/%d/smaps_rollup", pid);
    autofree char *text = NULL;
    size_t size = 0;
    autoptr(error) gone = file_read_all(path, 64 << 10, &text, &size);
    const char *line = gone ? NULL : strstr(text, "\nPss:");

    return line ? strtol(line + 5, NULL, 10) : 0;
}

/* By the first 15 bytes of the name, as the kernel keeps it. */
static bool is_named(pid_t pid, const char *name)
{
    autofree char *path = xasprintf("/proc/%d/comm", pid);
    autofree char *text = NULL;
    size_t size = 0;
    autoptr(error) gone = file_read_all(path, 64, &text, &size);

    if (gone)
        return false;
    text[strcspn(text, "\n")] = '\0';
    return strncmp(text, name, 15) == 0 && strlen(text) == strnlen(name, 15);
}

/* The row's processes among our descendants. */
static long row_read(const struct process_events *events, const char *name, size_t *ret_count)
{
    DIR *proc = opendir("/proc");
    long sum = 0;

    *ret_count = 0;
    for (struct dirent *entry; proc && (entry = readdir(proc));) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (!process_events_has(events, pid) || !is_named(pid, name))
            continue;
        sum += pss_kb(pid);
        ++*ret_count;
    }
    if (proc)
        closedir(proc);
    return sum;
}

static struct error *rows_read(struct run *run, struct row *rows, bool is_busy)
{
    struct process_counts counts;

    usleep(SETTLE_US); /* what a call left to do behind its answer */
    TRY(process_events_read(run->events, &counts));
    for (struct row *row = rows; row->name; row++)
        *(is_busy ? &row->busy_kb : &row->idle_kb) = row_read(run->events, row->name, &row->count);
    return NULL;
}

static struct error *memory_measure(struct run *run, struct row *rows)
{
    fprintf(stderr, "%s: memory\n", run->name);
    TRY(pull_one(run, 0));
    TRY(rows_read(run, rows, false));
    for (size_t i = 0; i < MEMORY_PODS; i++) {
        TRY(pod_run_one(run, i));
        TRY(container_create_one(run, i));
        TRY(container_start_one(run, i));
    }
    TRY(rows_read(run, rows, true));
    for (size_t i = 0; i < MEMORY_PODS; i++) {
        TRY(pod_stop_one(run, i));
        TRY(pod_remove_one(run, i));
    }
    pods_free(run, MEMORY_PODS);
    return NULL;
}

/* ---- tables ---- */

static void rows_print(const struct row *rows)
{
    long idle = 0, busy = 0;

    for (const struct row *row = rows; row->name; row++) {
        printf("| %-26s | %3zu | %8ld | %8ld |\n", row->name, row->count, row->idle_kb, row->busy_kb);
        idle += row->idle_kb;
        busy += row->busy_kb;
    }
    printf("| %-26s |     | %8ld | %8ld | %.0f KiB a pod\n", "sum", idle, busy, (double)(busy - idle) / MEMORY_PODS);
}

static int by_size(const void *one, const void *other)
{
    double a = *(const double *)one, b = *(const double *)other;

    return (a > b) - (a < b);
}

static void call_print(struct run *const *runs, size_t count, enum call call)
{
    printf("| %-24s |", call_names[call]);
    for (size_t i = 0; i < count; i++) {
        double *times = runs[i]->times_us[call];
        qsort(times, PODS, sizeof(*times), by_size);
        printf(" %7.2f %7.2f %5.2f %5.2f |", times[PODS / 2] / 1000, times[PODS * 95 / 100] / 1000,
               (double)runs[i]->counts[call].started / PODS, (double)runs[i]->counts[call].executed / PODS);
    }
    printf("\n");
}

static void calls_print(struct run *const *runs, size_t count)
{
    printf("\n%d pods, one call at a time: p50 and p95 in ms, processes started and programs executed a call\n", PODS);
    printf("| %-24s |", "call");
    for (size_t i = 0; i < count; i++)
        printf(" %-27s |", runs[i]->name);
    printf("\n");
    for (int call = 0; call < CALL_COUNT; call++)
        call_print(runs, count, (enum call)call);
}

/* ---- who is measured ---- */

struct bench {
    struct process_events *events;
    struct registry_server registry;
    struct node node;
    struct run *runs[RUNS_MAX];
    size_t run_count;
    struct cri_client *peer_client;
    pid_t peer;
};

static struct run *run_add(struct bench *bench, const char *name, const char *handler, struct cri_client *client)
{
    struct run *run = xcalloc(1, sizeof(*run));

    run->name = name;
    run->handler = handler;
    run->node = &bench->node;
    run->events = bench->events;
    run->work = (struct workload){.node = &bench->node, .client = client};
    bench->runs[bench->run_count++] = run;
    return run;
}

static void process_end(pid_t *pid)
{
    if (*pid <= 0)
        return;
    kill(*pid, SIGTERM);
    waitpid(*pid, NULL, 0);
    *pid = 0;
}

static struct error *client_wait_ready(struct workload *work)
{
    Runtime__V1__VersionRequest request = RUNTIME__V1__VERSION_REQUEST__INIT;

    for (int turn = 0; turn < 600; turn++, usleep(100000)) {
        Runtime__V1__VersionResponse *reply = NULL;
        struct error *error =
            CRI_CALL(work->client, "RuntimeService", "Version", &request.base, 1000, version_response, &reply);
        if (!error) {
            printf("beside: %s %s\n", reply->runtime_name, reply->runtime_version);
            runtime__v1__version_response__free_unpacked(reply, NULL);
            return NULL;
        }
        error_free(error);
    }
    return error_new(ERROR_DEADLINE_EXCEEDED, "containerd does not answer");
}

static struct error *own_measure(struct bench *bench)
{
    static struct row rows[] = {{.name = "bulkhead"},
                                {.name = "bulkhead-keeper"},
                                {.name = "bulkhead-supervisor"},
                                {.name = "bulkhead-criapi"},
                                {.name = "bulkhead-sandboxd"},
                                {.name = "bulkhead-imaged"},
                                {.name = "bulkhead-logd"},
                                {.name = "bulkhead-shim"},
                                {.name = "sleep"},
                                {0}};

    TRY(node_open(&bench->node, bench->registry.url, NULL));
    TRY(node_wait_ready(&bench->node));
    struct run *run = run_add(bench, "bulkhead, crun", "crun", bench->node.client);
    TRY(memory_measure(run, rows));
    TRY(run_measure(run));
    TRY(run_measure(run_add(bench, "bulkhead, runc", "runc", bench->node.client)));
    process_end(&bench->node.backstop);
    printf("bulkhead: PSS in KiB, idle and with %d pods (sleep: the containers)\n", MEMORY_PODS);
    rows_print(rows);
    return NULL;
}

/* The same calls, after our own tree has ended. */
static struct error *peer_measure(struct bench *bench, const char *programs)
{
    static struct row rows[] = {{.name = "containerd"}, {.name = "containerd-shim-runc-v2"}, {.name = "sleep"}, {0}};
    autofree char *address = NULL;

    TRY(peer_start(&bench->node, &bench->registry, programs, &bench->peer, &address));
    TRY(cri_client_open(address, &bench->peer_client));
    struct run *run = run_add(bench, "containerd, runc", "runc", bench->peer_client);
    TRY(client_wait_ready(&run->work));
    TRY(memory_measure(run, rows));
    TRY(run_measure(run));
    printf("containerd: PSS in KiB, idle and with %d pods (sleep: %d pauses and %d containers)\n", MEMORY_PODS,
           MEMORY_PODS, MEMORY_PODS);
    rows_print(rows);
    return NULL;
}

static struct error *bench_run(struct bench *bench)
{
    const char *peer = getenv("BULKHEAD_BENCH_CONTAINERD");

    TRY(process_events_open(&bench->events));
    node_isolate();
    TRY(registry_server_start(&bench->registry));
    TRY(registry_server_push(&bench->registry, "library/busybox", "test", 0));
    TRY(own_measure(bench));
    if (peer)
        TRY(peer_measure(bench, peer));
    calls_print(bench->runs, bench->run_count);
    return NULL;
}

int main(void)
{
    struct bench bench = {0};
    autoptr(error) failure = bench_run(&bench);

    if (failure)
        fprintf(stderr, "%s: %s\n", error_code_name(failure->code), failure->text);
    process_end(&bench.peer);
    if (bench.peer_client)
        cri_client_close(bench.peer_client);
    for (size_t i = 0; i < bench.run_count; i++)
        free(bench.runs[i]);
    node_close(&bench.node);
    registry_server_stop(&bench.registry);
    process_events_close(bench.events);
    return failure ? 1 : 0;
}
