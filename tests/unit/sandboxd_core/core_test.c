/* sandboxd's promises against scripted peers: joins, refusals, undo, exits, stops, and a kill in the middle of a creation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/memory.h"
#include "proto/bulkhead.pb-c.h"
#include "services/sandboxd/container_create.h"
#include "services/sandboxd/container_exec.h"
#include "services/sandboxd/container_remove.h"
#include "services/sandboxd/container_start.h"
#include "services/sandboxd/container_stop.h"
#include "services/sandboxd/events.h"
#include "services/sandboxd/handlers.h"
#include "services/sandboxd/pod_run.h"
#include "services/sandboxd/pod_stop.h"
#include "tests/unit/sandboxd_core/stand_in.h"

/* One node: its directory and its configuration; sandboxds come and go on it. Threads of a test's sandboxd may outlive it, so
 * nothing of it is freed. */
struct node {
    char directory[64];
    struct config config;
    struct config_runtime runtime;
};

static char *no_directories[] = {NULL};

static struct sandboxd *node_start(struct node *node)
{
    struct sandboxd *d = xcalloc(1, sizeof(*d));
    struct service_context context = {.config = &node->config, .generation = 1};
    autofree char *root = config_root_path(&node->config, "sandboxd");

    mkdir(node->config.root, 0755);
    mkdir(node->config.state, 0755);
    mkdir(root, 0755);
    context.root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    d->host = (struct spec_host){.cgroup_version = 1, .hostname = "host", .oom_score_adj_min = -1000};
    assert_null(sandboxd_recover(d, &context));
    return d;
}

static int node_set_up(void **state)
{
    struct node *node = xcalloc(1, sizeof(*node));

    strcpy(node->directory, "/tmp/sdc-XXXXXX");
    assert_non_null(mkdtemp(node->directory));
    node->config.root = xasprintf("%s/root", node->directory);
    node->config.state = xasprintf("%s/s", node->directory);
    node->config.cni_conf_dir = (char *)"/nowhere";
    node->config.cni_bin_dirs = no_directories;
    node->config.cni_timeout_s = 10;
    node->config.cgroup_driver = (char *)"cgroupfs";
    node->runtime = (struct config_runtime){.name = (char *)"runc", .path = (char *)"/bin/sh"};
    node->config.runtimes = &node->runtime;
    node->config.runtime_count = 1;
    stand_in_reset(node->config.state);
    *state = node;
    return 0;
}

static int node_tear_down(void **state)
{
    struct node *node = *state;
    autofree char *command = xasprintf("rm -rf %s", node->directory);

    return system(command);
}

static struct ipc_call call_new(int64_t limit_ms)
{
    static atomic_bool never;

    return (struct ipc_call){.method = "test",
                             .request_id = "00112233445566778899aabbccddeeff",
                             .deadline_ns = clock_boottime_ns() + limit_ms * 1000000,
                             .cancelled = &never};
}

/* A pod on the host's network. */
struct pod_order {
    Runtime__V1__RunPodSandboxRequest request;
    Runtime__V1__PodSandboxConfig config;
    Runtime__V1__PodSandboxMetadata metadata;
    Runtime__V1__LinuxPodSandboxConfig linux;
    Runtime__V1__LinuxSandboxSecurityContext security;
    Runtime__V1__NamespaceOption options;
};

static void pod_order_init(struct pod_order *order, const char *log_directory)
{
    runtime__v1__run_pod_sandbox_request__init(&order->request);
    runtime__v1__pod_sandbox_config__init(&order->config);
    runtime__v1__pod_sandbox_metadata__init(&order->metadata);
    runtime__v1__linux_pod_sandbox_config__init(&order->linux);
    runtime__v1__linux_sandbox_security_context__init(&order->security);
    runtime__v1__namespace_option__init(&order->options);
    order->metadata.name = (char *)"web";
    order->metadata.namespace_ = (char *)"default";
    order->metadata.uid = (char *)"uid-1";
    order->options.network = RUNTIME__V1__NAMESPACE_MODE__NODE;
    order->security.namespace_options = &order->options;
    order->linux.security_context = &order->security;
    order->config.linux = &order->linux;
    order->config.metadata = &order->metadata;
    order->config.log_directory = (char *)log_directory;
    order->request.config = &order->config;
}

static struct error *run_pod(struct sandboxd *d, const char *log_directory, int64_t limit_ms, char **ret_id)
{
    struct pod_order order;
    struct ipc_call call = call_new(limit_ms);

    pod_order_init(&order, log_directory);
    *ret_id = NULL;
    return pod_run(d, &call, &order.request, ret_id);
}

static char *must_run_pod(struct sandboxd *d)
{
    char *id = NULL;
    struct error *error = run_pod(d, "/var/log/pod", 10000, &id);

    if (error)
        fail_msg("%s", error->text);
    return id;
}

static void assert_code(struct error *error, enum error_code code)
{
    if (!error)
        fail_msg("no error, but %s was to come", error_code_name(code));
    if (error->code != code)
        fail_msg("%s: %s", error_code_name(error->code), error->text);
    error_free(error);
}

static struct error *create_container(struct sandboxd *d, const char *pod, uint32_t attempt, const char *argument,
                                      char **ret_id)
{
    Runtime__V1__CreateContainerRequest request = RUNTIME__V1__CREATE_CONTAINER_REQUEST__INIT;
    Runtime__V1__ContainerConfig config = RUNTIME__V1__CONTAINER_CONFIG__INIT;
    Runtime__V1__ContainerMetadata metadata = RUNTIME__V1__CONTAINER_METADATA__INIT;
    Runtime__V1__ImageSpec image = RUNTIME__V1__IMAGE_SPEC__INIT;
    struct ipc_call call = call_new(10000);
    char *arguments[] = {(char *)argument};

    metadata.name = (char *)"main";
    metadata.attempt = attempt;
    image.image = (char *)"example.test/busybox:1";
    config.metadata = &metadata;
    config.image = &image;
    config.args = arguments;
    config.n_args = 1;
    config.log_path = (char *)"main.log";
    request.pod_sandbox_id = (char *)pod;
    request.config = &config;
    return container_run(d, &call, &request, ret_id);
}

static char *must_create_container(struct sandboxd *d, const char *pod, uint32_t attempt)
{
    char *id = NULL;
    struct error *error = create_container(d, pod, attempt, "argument", &id);

    if (error)
        fail_msg("%s", error->text);
    return id;
}

static void must_start(struct sandboxd *d, const char *id)
{
    auto_container container = NULL;
    struct ipc_call call = call_new(10000);

    assert_null(table_find_container(d, id, &container));
    assert_null(container_start(container, &call));
}

/* The container's status as clients get it; freed by the caller. */
static Runtime__V1__ContainerStatusResponse *container_status(struct sandboxd *d, const char *id)
{
    Runtime__V1__ContainerStatusRequest request = RUNTIME__V1__CONTAINER_STATUS_REQUEST__INIT;
    struct ipc_call call = call_new(1000);
    struct ipc_reply reply = {0};
    uint8_t payload[256];

    request.container_id = (char *)id;
    call.payload = payload;
    call.payload_size = runtime__v1__container_status_request__pack(&request, payload);
    assert_null(handle_container_status(d, &call, &reply));
    Runtime__V1__ContainerStatusResponse *response =
        runtime__v1__container_status_response__unpack(NULL, reply.size, reply.data);
    free(reply.data);
    return response;
}

static void await_container_state(struct sandboxd *d, const char *id, uint32_t state)
{
    auto_container container = NULL;

    assert_null(table_find_container(d, id, &container));
    for (unsigned i = 0; i < 500 && container_state_get(container) != state; i++)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    assert_int_equal(container_state_get(container), state);
}

static size_t pods_listed(struct sandboxd *d)
{
    struct ipc_call call = call_new(1000);
    struct ipc_reply reply = {0};

    assert_null(handle_list_pod_sandbox(d, &call, &reply));
    Runtime__V1__ListPodSandboxResponse *response =
        runtime__v1__list_pod_sandbox_response__unpack(NULL, reply.size, reply.data);
    size_t count = response->n_items;
    runtime__v1__list_pod_sandbox_response__free_unpacked(response, NULL);
    free(reply.data);
    return count;
}

static size_t entries_below(const struct node *node, const char *name)
{
    autofree char *path = xasprintf("%s/sandboxd/%s", node->config.root, name);
    DIR *directory = opendir(path);
    struct dirent *entry;
    size_t count = 0;

    while ((entry = readdir(directory)))
        count += entry->d_name[0] != '.';
    closedir(directory);
    return count;
}

/* --- tests --------------------------------------------------------------------------------------------------------- */

struct runner {
    pthread_t thread;
    struct sandboxd *d;
    const char *log_directory;
    char *id;
    struct error *error;
};

static void *runner_run(void *argument)
{
    struct runner *runner = argument;

    runner->error = run_pod(runner->d, runner->log_directory, 10000, &runner->id);
    return NULL;
}

static void runner_start(struct runner *runner, struct sandboxd *d, const char *log_directory)
{
    *runner = (struct runner){.d = d, .log_directory = log_directory};
    pthread_create(&runner->thread, NULL, runner_run, runner);
}

static void a_retry_joins_the_creation_under_way(void **state)
{
    struct sandboxd *d = node_start(*state);
    struct runner runners[4];

    stand_in.delay_ms[SHIM_POD_SETUP] = 300;
    for (size_t i = 0; i < 4; i++)
        runner_start(&runners[i], d, "/var/log/pod");
    nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    assert_int_equal(pods_listed(d), 0); /* unfinished: in no list */
    char *other = NULL;
    assert_code(run_pod(d, "/var/log/other", 10000, &other), ERROR_ALREADY_EXISTS);
    for (size_t i = 0; i < 4; i++) {
        pthread_join(runners[i].thread, NULL);
        assert_null(runners[i].error);
        assert_string_equal(runners[i].id, runners[0].id);
    }
    assert_int_equal(stand_in_count(SHIM_POD_SETUP), 1);
    assert_int_equal(pods_listed(d), 1);
}

static void the_same_key_gets_the_finished_pod_until_it_is_stopped(void **state)
{
    struct sandboxd *d = node_start(*state);
    struct ipc_call call = call_new(10000);
    char *id = must_run_pod(d), *again = must_run_pod(d), *none = NULL;

    assert_string_equal(id, again);
    assert_code(run_pod(d, "/var/log/other", 10000, &none), ERROR_ALREADY_EXISTS);
    assert_null(pod_stop(d, &call, id));
    assert_null(pod_stop(d, &call, id));
    assert_code(run_pod(d, "/var/log/pod", 10000, &none), ERROR_FAILED_PRECONDITION);
    assert_null(pod_remove(d, &call, id));
    assert_null(pod_remove(d, &call, id));
    again = must_run_pod(d);
    assert_string_not_equal(id, again);
}

static void a_failed_creation_leaves_nothing(void **state)
{
    struct sandboxd *d = node_start(*state);
    char *id = NULL;

    stand_in.code[SHIM_POD_SETUP] = ERROR_RESOURCE_EXHAUSTED;
    assert_code(run_pod(d, "/var/log/pod", 10000, &id), ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(stand_in_count(SHIM_POD_TEARDOWN), 1);
    assert_int_equal(stand_in_count(SHIM_QUIT), 1);
    assert_int_equal(entries_below(*state, "pods"), 0);
    stand_in.code[SHIM_POD_SETUP] = 0;
    free(must_run_pod(d));
}

/* Waits until that much was published, and says what. */
static void expect_events(const char *expected)
{
    for (unsigned i = 0; i < 500 && strlen(stand_in.events) < strlen(expected); i++)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    pthread_mutex_lock(&stand_in.lock);
    assert_string_equal(stand_in.events, expected);
    pthread_mutex_unlock(&stand_in.lock);
}

/* The answer to EventSnapshot; freed by the caller. */
static Bulkhead__EventSnapshotReply *event_snapshot(struct sandboxd *d)
{
    struct ipc_call call = call_new(1000);
    struct ipc_reply reply = {0};

    assert_null(handle_event_snapshot(d, &call, &reply));
    Bulkhead__EventSnapshotReply *snapshot = bulkhead__event_snapshot_reply__unpack(NULL, reply.size, reply.data);
    free(reply.data);
    assert_non_null(snapshot);
    return snapshot;
}

static void expect_phases(struct sandboxd *d, unsigned sequence, enum event_phase pod, enum event_phase container,
                          bool was_started)
{
    Bulkhead__EventSnapshotReply *snapshot = event_snapshot(d);

    assert_int_equal(snapshot->sequence, sequence);
    assert_int_equal(snapshot->n_pods, 1);
    assert_int_equal(snapshot->pods[0]->phase, pod);
    assert_true(snapshot->pods[0]->status.len > 0 && snapshot->pods[0]->stub.len > 0);
    assert_int_equal(snapshot->pods[0]->n_containers, container != EVENT_PHASE_NONE);
    if (container != EVENT_PHASE_NONE) {
        assert_int_equal(snapshot->pods[0]->containers[0]->phase, container);
        assert_int_equal(snapshot->pods[0]->containers[0]->was_started, was_started);
        assert_true(snapshot->pods[0]->containers[0]->status.len > 0);
    }
    bulkhead__event_snapshot_reply__free_unpacked(snapshot, NULL);
}

static void each_move_that_clients_may_see_is_an_event(void **state)
{
    struct sandboxd *d = node_start(*state);
    struct ipc_call call = call_new(10000);
    char *pod = must_run_pod(d);

    expect_events("Pc Ps");
    expect_phases(d, 2, EVENT_PHASE_STARTED, EVENT_PHASE_NONE, false);
    char *id = must_create_container(d, pod, 0);
    expect_events("Pc Ps Cc");
    expect_phases(d, 3, EVENT_PHASE_STARTED, EVENT_PHASE_CREATED, false);
    must_start(d, id);
    expect_events("Pc Ps Cc Cs");
    stand_in_exit(id, 3 << 8);
    await_container_state(d, id, CONTAINER_EXITED);
    expect_events("Pc Ps Cc Cs Cx");
    expect_phases(d, 5, EVENT_PHASE_STARTED, EVENT_PHASE_STOPPED, true);
    assert_null(container_remove(d, &call, id));
    expect_events("Pc Ps Cc Cs Cx Cd");
    assert_null(pod_stop(d, &call, pod));
    expect_events("Pc Ps Cc Cs Cx Cd Px");
    assert_null(pod_remove(d, &call, pod));
    expect_events("Pc Ps Cc Cs Cx Cd Px Pd");
    Bulkhead__EventSnapshotReply *snapshot = event_snapshot(d);
    assert_int_equal(snapshot->n_pods, 0);
    bulkhead__event_snapshot_reply__free_unpacked(snapshot, NULL);
}

static void what_could_not_be_made_is_no_event(void **state)
{
    struct sandboxd *d = node_start(*state);
    char *id = NULL;

    stand_in.code[SHIM_POD_SETUP] = ERROR_RESOURCE_EXHAUSTED;
    assert_code(run_pod(d, "/var/log/pod", 10000, &id), ERROR_RESOURCE_EXHAUSTED);
    stand_in.code[SHIM_POD_SETUP] = 0;
    expect_events("");
    char *pod = must_run_pod(d);
    stand_in.code[SHIM_CREATE] = ERROR_INVALID_ARGUMENT;
    assert_code(create_container(d, pod, 0, "argument", &id), ERROR_INVALID_ARGUMENT);
    stand_in.code[SHIM_CREATE] = 0;
    expect_phases(d, 2, EVENT_PHASE_STARTED, EVENT_PHASE_NONE, false);
    must_create_container(d, pod, 1);
    expect_events("Pc Ps Cc");
}

static void a_removal_tells_all_that_it_ends(void **state)
{
    struct sandboxd *d = node_start(*state);
    struct ipc_call call = call_new(10000);
    char *pod = must_run_pod(d), *id = must_create_container(d, pod, 0);

    must_start(d, id);
    assert_null(pod_remove(d, &call, pod));
    expect_events("Pc Ps Cc Cs Px Cx Cd Pd");
}

static void a_creation_that_nobody_waits_for_is_undone(void **state)
{
    struct sandboxd *d = node_start(*state);
    char *id = NULL;

    stand_in.delay_ms[SHIM_POD_SETUP] = 1000;
    assert_code(run_pod(d, "/var/log/pod", 300, &id), ERROR_DEADLINE_EXCEEDED);
    nanosleep(&(struct timespec){.tv_sec = 3}, NULL);
    assert_int_equal(pods_listed(d), 0); /* made, but shown to nobody */
    assert_int_equal(entries_below(*state, "pods"), 1);
    nanosleep(&(struct timespec){.tv_sec = JOIN_GRACE_S - 1}, NULL);
    assert_int_equal(entries_below(*state, "pods"), 0);
}

/* A shim of the release before knows no user namespaces, and would give the pod the host's. */
static void a_pod_does_not_go_without_the_user_namespace_that_it_asks_for(void **state)
{
    struct sandboxd *d = node_start(*state);
    Runtime__V1__IDMapping mapping = RUNTIME__V1__IDMAPPING__INIT, *mappings[] = {&mapping};
    Runtime__V1__UserNamespace user = RUNTIME__V1__USER_NAMESPACE__INIT;
    struct ipc_call call = call_new(10000);
    struct pod_order order;
    char *id = NULL;

    pod_order_init(&order, "/var/log/pod");
    mapping.host_id = mapping.length = 65536;
    user.uids = user.gids = mappings;
    user.n_uids = user.n_gids = 1;
    order.options.network = RUNTIME__V1__NAMESPACE_MODE__POD;
    order.options.userns_options = &user;
    struct error *error = pod_run(d, &call, &order.request, &id);
    assert_non_null(error);
    assert_non_null(strstr(error->text, "the shim made no user namespace"));
    error_free(error);
    assert_int_equal(pods_listed(d), 0);
}

static void a_late_retry_gets_the_pod_that_was_given_up(void **state)
{
    struct sandboxd *d = node_start(*state);
    char *id = NULL;

    stand_in.delay_ms[SHIM_POD_SETUP] = 1000;
    assert_code(run_pod(d, "/var/log/pod", 300, &id), ERROR_DEADLINE_EXCEEDED);
    nanosleep(&(struct timespec){.tv_sec = 2}, NULL);
    free(must_run_pod(d));
    assert_int_equal(stand_in_count(SHIM_POD_SETUP), 1);
}

static void an_exit_is_recorded_once_and_then_acknowledged(void **state)
{
    struct sandboxd *d = node_start(*state);
    char *pod = must_run_pod(d), *id = must_create_container(d, pod, 0);

    must_start(d, id);
    assert_int_equal(stand_in.leases, 1);
    stand_in_exit(id, 42 << 8);
    await_container_state(d, id, CONTAINER_EXITED);
    Runtime__V1__ContainerStatusResponse *response = container_status(d, id);
    assert_int_equal(response->status->exit_code, 42);
    assert_string_equal(response->status->reason, "Error");
    assert_int_equal(response->status->finished_at, 1234567890123456789);
    assert_int_equal(response->status->started_at, 1234567890000000000);
    for (unsigned i = 0; i < 100 && !stand_in_count(SHIM_ACK_EXIT); i++)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    assert_int_equal(stand_in_count(SHIM_ACK_EXIT), 1);
    auto_container container = NULL;
    struct ipc_call call = call_new(1000);
    assert_null(table_find_container(d, id, &container));
    assert_null(container_start(container, &call)); /* the same request, which came again as its sandboxd died */
    call.request_id = "ffeeddccbbaa99887766554433221100";
    assert_code(container_start(container, &call), ERROR_FAILED_PRECONDITION);
}

static void a_stop_signals_then_kills_at_the_deadline(void **state)
{
    struct sandboxd *d = node_start(*state);
    char *pod = must_run_pod(d), *id = must_create_container(d, pod, 0);
    auto_container container = NULL;
    struct ipc_call call = call_new(10000);

    must_start(d, id);
    stand_in.ignores_term = true;
    int64_t begin_ns = clock_boottime_ns();
    assert_null(table_find_container(d, id, &container));
    assert_null(container_stop(container, &call, 1));
    int64_t took_ms = (clock_boottime_ns() - begin_ns) / 1000000;
    assert_in_range(took_ms, 950, 2500);
    assert_int_equal(stand_in_count(SHIM_SIGNAL), 2);
    assert_int_equal(stand_in.last_signal, SIGKILL);
    Runtime__V1__ContainerStatusResponse *response = container_status(d, id);
    assert_int_equal(response->status->exit_code, 137);
    assert_null(container_stop(container, &call, 1));
    assert_null(container_remove(d, &call, id));
    assert_null(container_remove(d, &call, id));
    assert_int_equal(stand_in.leases, 0);
    assert_int_equal(entries_below(*state, "containers"), 0);
}

static void a_created_container_makes_way_for_a_later_attempt(void **state)
{
    struct sandboxd *d = node_start(*state);
    char *pod = must_run_pod(d), *id = must_create_container(d, pod, 0), *none = NULL;

    assert_string_equal(must_create_container(d, pod, 0), id);
    assert_code(create_container(d, pod, 0, "another", &none), ERROR_ALREADY_EXISTS);
    char *later = must_create_container(d, pod, 1);
    assert_string_not_equal(later, id);
    for (unsigned i = 0; i < 300 && entries_below(*state, "containers") != 1; i++)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    assert_int_equal(entries_below(*state, "containers"), 1);
}

static void *starter_run(void *argument)
{
    struct ipc_call call = call_new(10000);

    return container_start(argument, &call);
}

static void starts_at_once_are_one_step_whose_result_all_get(void **state)
{
    struct sandboxd *d = node_start(*state);
    char *pod = must_run_pod(d), *id = must_create_container(d, pod, 0);
    auto_container container = NULL;
    pthread_t threads[4];

    stand_in.delay_ms[SHIM_START] = 200;
    assert_null(table_find_container(d, id, &container));
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, starter_run, container), 0);
    for (size_t i = 0; i < 4; i++) {
        void *error = NULL;
        pthread_join(threads[i], &error);
        assert_null(error);
    }
    assert_int_equal(stand_in_count(SHIM_START), 1);
}

static void an_exec_runs_once_however_often_it_is_asked(void **state)
{
    struct sandboxd *d = node_start(*state);
    char *pod = must_run_pod(d), *id = must_create_container(d, pod, 0);
    Runtime__V1__ExecSyncRequest request = RUNTIME__V1__EXEC_SYNC_REQUEST__INIT;
    char *command[] = {(char *)"date"};
    struct ipc_call call = call_new(10000);
    auto_container container = NULL;

    must_start(d, id);
    request.cmd = command;
    request.n_cmd = 1;
    assert_null(table_find_container(d, id, &container));
    for (unsigned i = 0; i < 2; i++) {
        struct ipc_reply reply = {0};
        assert_null(container_exec_sync(container, &call, &request, &reply));
        Runtime__V1__ExecSyncResponse *response =
            runtime__v1__exec_sync_response__unpack(NULL, reply.size, reply.data);
        assert_int_equal(response->exit_code, 3);
        assert_int_equal(response->stdout.len, 3);
        assert_memory_equal(response->stderr.data, "err", 3);
    }
    assert_int_equal(stand_in_count(SHIM_EXEC), 1);
}

static void *spawner_run(void *argument)
{
    char name[KEEPER_NAME_SIZE];
    int fd = *(int *)argument;

    while (read(fd, name, sizeof(name)) == (ssize_t)sizeof(name))
        error_free(stand_in_start_shim(name));
    return NULL;
}

/* A sandboxd in a process of its own, that can be killed; its shims live here. */
static pid_t victim_start(struct node *node, void (*act)(struct sandboxd *d))
{
    static int pipes[2];
    pthread_t thread;

    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        stand_in.spawn_pipe = pipes[1];
        act(node_start(node));
        pause();
    }
    pthread_create(&thread, NULL, spawner_run, &pipes[0]);
    pthread_detach(thread);
    return pid;
}

static void victim_kill(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void act_run_pod(struct sandboxd *d)
{
    char *id = NULL;

    error_free(run_pod(d, "/var/log/pod", 10000, &id));
}

static void a_successor_goes_on_with_a_creation_cut_short(void **state)
{
    char *id = NULL;

    stand_in.delay_ms[SHIM_POD_SETUP] = 1500;
    pid_t pid = victim_start(*state, act_run_pod);
    for (unsigned i = 0; i < 300 && !stand_in_count(SHIM_POD_SETUP); i++)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    victim_kill(pid);
    assert_int_equal(stand_in_count(SHIM_POD_SETUP), 1);
    struct sandboxd *d = node_start(*state);
    assert_int_equal(pods_listed(d), 0);
    assert_null(run_pod(d, "/var/log/pod", 10000, &id));
    assert_int_equal(stand_in_count(SHIM_POD_SETUP), 1); /* the same step: joined, not run again */
    assert_int_equal(entries_below(*state, "pods"), 1);
}

static void act_run_container(struct sandboxd *d)
{
    char *pod = NULL, *id = NULL;

    error_free(run_pod(d, "/var/log/pod", 10000, &pod));
    error_free(create_container(d, pod, 0, "argument", &id));
    must_start(d, id);
}

static void an_exit_while_sandboxd_is_dead_is_known_to_its_successor(void **state)
{
    pid_t pid = victim_start(*state, act_run_container);

    for (unsigned i = 0; i < 300 && stand_in.containers[0].state != SHIM_CONTAINER_RUNNING; i++)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    assert_int_equal(stand_in.containers[0].state, SHIM_CONTAINER_RUNNING);
    nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    victim_kill(pid);
    stand_in_exit(stand_in.containers[0].id, 7 << 8);
    struct sandboxd *d = node_start(*state);
    await_container_state(d, stand_in.containers[0].id, CONTAINER_EXITED);
    Runtime__V1__ContainerStatusResponse *response = container_status(d, stand_in.containers[0].id);
    assert_int_equal(response->status->exit_code, 7);
}

static void unknown_ids_and_bad_requests_get_their_codes(void **state)
{
    struct sandboxd *d = node_start(*state);
    struct ipc_call call = call_new(1000);
    auto_container container = NULL;
    auto_pod pod = NULL;
    char *id = NULL;
    struct pod_order order;

    assert_code(table_find_container(d, "absent", &container), ERROR_NOT_FOUND);
    assert_code(table_find_pod(d, "absent", &pod), ERROR_NOT_FOUND);
    assert_null(pod_stop(d, &call, "absent"));
    assert_null(pod_remove(d, &call, "absent"));
    assert_null(container_remove(d, &call, "absent"));
    assert_code(create_container(d, "absent", 0, "x", &id), ERROR_NOT_FOUND);
    pod_order_init(&order, "/var/log/pod");
    order.request.runtime_handler = (char *)"absent";
    assert_code(pod_run(d, &call, &order.request, &id), ERROR_INVALID_ARGUMENT);
    order.request.runtime_handler = (char *)"";
    order.config.metadata = NULL;
    assert_code(pod_run(d, &call, &order.request, &id), ERROR_INVALID_ARGUMENT);
}

#define NODE_TEST(name) cmocka_unit_test_setup_teardown(name, node_set_up, node_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        NODE_TEST(a_retry_joins_the_creation_under_way),
        NODE_TEST(the_same_key_gets_the_finished_pod_until_it_is_stopped),
        NODE_TEST(a_failed_creation_leaves_nothing),
        NODE_TEST(each_move_that_clients_may_see_is_an_event),
        NODE_TEST(what_could_not_be_made_is_no_event),
        NODE_TEST(a_removal_tells_all_that_it_ends),
        NODE_TEST(a_pod_does_not_go_without_the_user_namespace_that_it_asks_for),
        NODE_TEST(a_late_retry_gets_the_pod_that_was_given_up),
        NODE_TEST(a_creation_that_nobody_waits_for_is_undone),
        NODE_TEST(an_exit_is_recorded_once_and_then_acknowledged),
        NODE_TEST(a_stop_signals_then_kills_at_the_deadline),
        NODE_TEST(a_created_container_makes_way_for_a_later_attempt),
        NODE_TEST(starts_at_once_are_one_step_whose_result_all_get),
        NODE_TEST(an_exec_runs_once_however_often_it_is_asked),
        NODE_TEST(a_successor_goes_on_with_a_creation_cut_short),
        NODE_TEST(an_exit_while_sandboxd_is_dead_is_known_to_its_successor),
        NODE_TEST(unknown_ids_and_bad_requests_get_their_codes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
