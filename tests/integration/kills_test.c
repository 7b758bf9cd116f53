/* Each process of the tree is killed in the middle of each call of a pod's life: the call, or for criapi its retry,
 * succeeds, the pod goes on, and afterwards nothing is left. */
#include <pthread.h>

#include "tests/integration/node_fixture.h"

enum { KILL_DELAY_MAX_US = 40000 };

/* One pod's life in the node. */
struct life {
    struct workload work;
    const char *name;
    char *pod;
    char *container;
};

static struct error *step_run(struct life *life)
{
    return workload_pod_run(&life->work, life->name, 0, false, NULL, &life->pod);
}

static struct error *step_create(struct life *life)
{
    static const char *const command[] = {
        "/bin/sh", "-c", "trap 'exit 7' TERM; n=0; while :; do echo line $n; n=$((n+1)); sleep 0.02; done", NULL};

    return workload_create(&life->work, life->pod, false,
                           &(struct workload_container){.name = "counter", .image = busybox, .command = command},
                           &life->container);
}

static struct error *step_start(struct life *life)
{
    return workload_start(&life->work, life->container);
}

/* At most once: a call that died with criapi has run, and its retry runs another; both print the same. */
static struct error *step_exec(struct life *life)
{
    static const char *const command[] = {"/bin/sh", "-c", "sleep 0.03; echo done; exit 3", NULL};
    autofree char *output = NULL;
    int code = -1;

    TRY(workload_exec(&life->work, life->container, command, &code, &output));
    if (code != 3 || strcmp(output, "done\n") != 0)
        return error_new(ERROR_INTERNAL, "exec ended with %d and \"%s\"", code, output);
    return NULL;
}

static struct error *step_reopen(struct life *life)
{
    return workload_reopen_log(&life->work, life->container);
}

static struct error *step_status(struct life *life)
{
    struct workload_state state;

    TRY(workload_status(&life->work, life->container, &state));
    if (state.state != RUNTIME__V1__CONTAINER_STATE__CONTAINER_RUNNING)
        return error_new(ERROR_INTERNAL, "the container is in state %d", state.state);
    return NULL;
}

static struct error *step_stop(struct life *life)
{
    struct workload_state state;

    TRY(workload_stop(&life->work, life->container, 10));
    TRY(workload_status(&life->work, life->container, &state));
    if (state.state != RUNTIME__V1__CONTAINER_STATE__CONTAINER_EXITED || state.exit_code != 7)
        return error_new(ERROR_INTERNAL, "state %d, exit code %d, %s", state.state, state.exit_code, state.reason);
    return NULL;
}

static struct error *step_remove(struct life *life)
{
    return workload_remove(&life->work, life->container);
}

static struct error *step_pod_stop(struct life *life)
{
    return workload_pod_stop(&life->work, life->pod);
}

static struct error *step_pod_remove(struct life *life)
{
    return workload_pod_remove(&life->work, life->pod);
}

static const struct step {
    const char *name;
    struct error *(*run)(struct life *life);
} steps[] = {
    {"RunPodSandbox", step_run},           {"CreateContainer", step_create}, {"StartContainer", step_start},
    {"ContainerStatus", step_status},      {"ExecSync", step_exec},          {"ReopenContainerLog", step_reopen},
    {"StopContainer", step_stop},          {"RemoveContainer", step_remove}, {"StopPodSandbox", step_pod_stop},
    {"RemovePodSandbox", step_pod_remove},
};
enum { STEP_COUNT = sizeof(steps) / sizeof(steps[0]) };

struct kill {
    struct node *node;
    const char *program;
    unsigned delay_us;
    struct error *error;
};

static void *kill_later(void *argument)
{
    struct kill *kill = argument;

    usleep(kill->delay_us);
    kill->error = node_kill(kill->node, kill->program);
    return NULL;
}

static void step_under_kill(struct fixture *fixture, struct life *life, const struct step *step, const char *program)
{
    struct kill kill = {.node = &fixture->node, .program = program, .delay_us = (unsigned)random() % KILL_DELAY_MAX_US};
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, kill_later, &kill), 0);
    struct error *error = step->run(life);
    pthread_join(thread, NULL);
    error_free(kill.error); /* no such process: the call was over before it, or it has ended */
    if (error)
        fail_msg("%s with %s killed after %u us: %s: %s", step->name, program, kill.delay_us,
                 error_code_name(error->code), error->text);
    if (strcmp(program, "criapi") != 0 && life->work.unavailable)
        fail_msg("%s with %s killed after %u us: ended UNAVAILABLE", step->name, program, kill.delay_us);
}

/* Numbers run from 0 without a gap, and no line is torn. The log was reopened in place, so one file has it all. */
static void log_check(const struct fixture *fixture, const char *name)
{
    autofree char *path = xasprintf("%s/logs/%s/counter.log", fixture->node.directory, name);
    char line[512];
    int expected = 0, number;
    FILE *file = fopen(path, "r");

    assert_non_null(file);
    while (fgets(line, sizeof(line), file)) {
        const char *text = strstr(line, " stdout F line ");
        if (!text || sscanf(text, " stdout F line %d\n", &number) != 1 || number != expected++)
            fail_msg("line %d of %s is wrong: %s", expected, path, line);
    }
    fclose(file);
    if (expected == 0)
        fail_msg("%s is empty", path);
}

static void life_under_kill(struct fixture *fixture, size_t target, const char *program)
{
    autofree char *name = xasprintf("%s-%zu", program, target);
    struct life life = {.work = {.node = &fixture->node, .client = fixture->node.client}, .name = name};

    for (size_t i = 0; i < STEP_COUNT; i++) {
        if (i == target)
            step_under_kill(fixture, &life, &steps[i], program);
        else
            check(steps[i].run(&life));
    }
    log_check(fixture, name);
    free(life.pod);
    free(life.container);
}

static void kill_in_each_call(void **state, const char *program)
{
    struct fixture *fixture = *state;

    for (size_t target = 0; target < STEP_COUNT; target++)
        life_under_kill(fixture, target, program);
    check(node_wait_ready(
        &fixture->node)); /* a connection that died with the last criapi is no failure of the next test */
    check(node_wait_census(&fixture->node, fixture->census));
}

#define KILL_TEST(program)                                                                                             \
    static void program##_may_die_in_each_call(void **state)                                                           \
    {                                                                                                                  \
        kill_in_each_call(state, #program);                                                                            \
    }

KILL_TEST(criapi)
KILL_TEST(sandboxd)
KILL_TEST(imaged)
KILL_TEST(logd)
KILL_TEST(shim)
KILL_TEST(supervisor)
KILL_TEST(keeper)
KILL_TEST(backstop)

/* What follows its peers, waits and retries after their deaths must come to rest. */
static void a_tree_that_was_killed_over_and_over_is_at_rest_afterwards(void **state)
{
    static const char *const programs[] = {"keeper", "supervisor", "criapi", "sandboxd", "imaged", "logd"};
    enum { COUNT = sizeof(programs) / sizeof(programs[0]), WINDOW_S = 2, MOST = 1500 };
    const struct fixture *fixture = *state;
    unsigned long before[COUNT];

    for (size_t i = 0; i < COUNT; i++)
        before[i] = node_activity(&fixture->node, programs[i]);
    sleep(WINDOW_S);
    for (size_t i = 0; i < COUNT; i++) {
        unsigned long now = node_activity(&fixture->node, programs[i]);
        unsigned long events = now > before[i] ? now - before[i] : 0; /* a thread that ends takes its counts along */
        print_message("%s: %lu events in %d s\n", programs[i], events, WINDOW_S);
        if (events > MOST)
            fail_msg("%s does %lu reads, writes and changes of context in %d s", programs[i], events, WINDOW_S);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(criapi_may_die_in_each_call),
        cmocka_unit_test(sandboxd_may_die_in_each_call),
        cmocka_unit_test(imaged_may_die_in_each_call),
        cmocka_unit_test(logd_may_die_in_each_call),
        cmocka_unit_test(shim_may_die_in_each_call),
        cmocka_unit_test(supervisor_may_die_in_each_call),
        cmocka_unit_test(keeper_may_die_in_each_call),
        cmocka_unit_test(backstop_may_die_in_each_call),
        cmocka_unit_test(a_tree_that_was_killed_over_and_over_is_at_rest_afterwards),
    };

    const char *given = getenv("BULKHEAD_TEST_SEED");
    unsigned seed = given ? (unsigned)atoi(given) : (unsigned)getpid();

    srandom(seed);
    printf("BULKHEAD_TEST_SEED=%u\n", seed);
    return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
