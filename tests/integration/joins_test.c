/* Many clients that ask for the same thing at once: all get the one object, and all are told that it is gone. */
#include <pthread.h>

#include "tests/integration/node_fixture.h"

enum { CALLERS = 8 };

static const char *const sleeping[] = {"/bin/sleep", "1000", NULL};

/* One of the callers. */
struct caller {
    pthread_t thread;
    struct fixture *fixture;
    struct error *(*ask)(struct caller *caller, char **ret_id);
    struct pod_request *pod;
    struct container_request *container;
    const char *target;
    char *id;
    struct error *error;
};

static void *caller_run(void *argument)
{
    struct caller *caller = argument;

    caller->error = caller->ask(caller, &caller->id);
    return NULL;
}

static struct error *ask_for_pod(struct caller *caller, char **ret_id)
{
    return pod_request_send(caller->pod, caller->fixture->node.client, ret_id);
}

static struct error *ask_for_container(struct caller *caller, char **ret_id)
{
    return container_request_send(caller->container, caller->fixture->node.client, ret_id);
}

#define ASK(name)                                                                                                      \
    static struct error *ask_##name(struct caller *caller, char **ret_id)                                              \
    {                                                                                                                  \
        struct workload work = {.node = &caller->fixture->node, .client = caller->fixture->node.client};               \
                                                                                                                       \
        *ret_id = NULL;                                                                                                \
        return workload_##name(&work, caller->target);                                                                 \
    }

ASK(start)
ASK(remove)
ASK(pod_stop)
ASK(pod_remove)

static struct error *ask_stop(struct caller *caller, char **ret_id)
{
    struct workload work = {.node = &caller->fixture->node, .client = caller->fixture->node.client};

    *ret_id = NULL;
    return workload_stop(&work, caller->target, 1);
}

/* All must succeed, with one id; it is the caller's, NULL where the call has none. */
static char *all_ask(const struct caller *like)
{
    struct caller callers[CALLERS];
    char *id;

    for (size_t i = 0; i < CALLERS; i++) {
        callers[i] = *like;
        assert_int_equal(pthread_create(&callers[i].thread, NULL, caller_run, &callers[i]), 0);
    }
    for (size_t i = 0; i < CALLERS; i++)
        pthread_join(callers[i].thread, NULL);
    id = callers[0].id;
    for (size_t i = 0; i < CALLERS; i++) {
        check(callers[i].error);
        if (id)
            assert_string_equal(callers[i].id, id);
        if (i > 0)
            free(callers[i].id);
    }
    return id;
}

static void callers_at_once_share_one_pod_and_one_container(void **state)
{
    struct fixture *fixture = *state;
    struct pod_request pod;
    struct container_request container;
    struct workload_state now;

    pod_request_init(&pod, &fixture->node, "crowd", false);
    pod.request.runtime_handler = (char *)fixture->handler;
    struct caller caller = {.fixture = fixture, .pod = &pod, .container = &container, .ask = ask_for_pod};
    char *pod_id = all_ask(&caller);
    assert_int_equal(node_process_count(&fixture->node, "shim"), 1);
    container_request_init(&container, &pod, pod_id, "main", busybox, sleeping);
    caller.ask = ask_for_container;
    autofree char *id = all_ask(&caller);
    caller.target = id;
    caller.ask = ask_start;
    all_ask(&caller);
    check(workload_status(&fixture->work, id, &now));
    assert_int_equal(now.state, RUNTIME__V1__CONTAINER_STATE__CONTAINER_RUNNING);
    script_prints(fixture, id, "echo one", "one\n");
    caller.ask = ask_stop;
    all_ask(&caller);
    check(workload_status(&fixture->work, id, &now));
    assert_int_equal(now.exit_code, 137);
    caller.ask = ask_remove;
    all_ask(&caller);
    caller.target = pod_id;
    caller.ask = ask_pod_stop;
    all_ask(&caller);
    caller.ask = ask_pod_remove;
    all_ask(&caller);
    container_request_fini(&container);
    pod_request_fini(&pod);
    pod_end(fixture, pod_id);
}

/* The order in which a client writes a map is nothing that it configured. */
static void the_same_key_with_another_configuration_already_exists(void **state)
{
    static Runtime__V1__PodSandboxConfig__LabelsEntry a = RUNTIME__V1__POD_SANDBOX_CONFIG__LABELS_ENTRY__INIT,
                                                      b = RUNTIME__V1__POD_SANDBOX_CONFIG__LABELS_ENTRY__INIT;
    static Runtime__V1__PodSandboxConfig__LabelsEntry *orders[2][2] = {{&a, &b}, {&b, &a}};
    struct fixture *fixture = *state;
    struct pod_request pod;
    struct container_request container;
    char *none = NULL, *id = NULL;

    a.key = (char *)"a", a.value = (char *)"1", b.key = (char *)"b", b.value = (char *)"2";
    pod_request_init(&pod, &fixture->node, "same", true);
    pod.config.labels = orders[0], pod.config.n_labels = 2;
    char *pod_id = pod_begin(fixture, &pod);
    pod.config.labels = orders[1];
    autofree char *again = pod_begin(fixture, &pod);
    assert_string_equal(again, pod_id);
    pod.config.n_labels = 1;
    check_refused(pod_request_send(&pod, fixture->node.client, &none), ERROR_ALREADY_EXISTS, "another configuration");
    container_request_init(&container, &pod, pod_id, "main", busybox, sleeping);
    check(container_request_send(&container, fixture->node.client, &id));
    container.config.tty = true;
    check_refused(container_request_send(&container, fixture->node.client, &none), ERROR_ALREADY_EXISTS,
                  "another configuration");
    container.metadata.attempt = 1; /* the next attempt takes the place of what was never started */
    autofree char *next = container_begin(fixture, &container);
    assert_string_not_equal(next, id);
    struct workload_state now;
    check_refused(workload_status(&fixture->work, id, &now), ERROR_NOT_FOUND, id);
    free(id);
    pod_end(fixture, pod_id);
    container_request_fini(&container);
    pod_request_fini(&pod);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_EACH_RUNTIME(callers_at_once_share_one_pod_and_one_container),
        NODE_TEST(the_same_key_with_another_configuration_already_exists),
    };

    return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
