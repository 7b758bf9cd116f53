/* A container that joins the PID namespace of another of its pod, as an ephemeral container for debugging does. */
#include <pthread.h>
#include <signal.h>

#include "tests/integration/node_failpoints.h"

/* Ends with 7 when asked to; a namespace's first process reaps what is left to it. */
static const char *const target_command[] = {
    "/bin/sh", "-c", "trap 'exit 7' TERM; sleep 1000 & wait", NULL};
static const char *const debugger_command[] = {"/bin/sh", "-c", "trap 'exit 9' TERM; sleep 1000 & wait", NULL};

/* A pod with a container that runs, and another's request that names it. */
struct scene {
    struct fixture *fixture;
    struct pod_request pod;
    struct container_request target, debugger;
    char *pod_id;
    char *target_id;
};

static void debugger_init(struct scene *scene, const char *target_id)
{
    container_request_init(&scene->debugger, &scene->pod, scene->pod_id, "debugger", busybox, debugger_command);
    scene->debugger.namespaces.pid = RUNTIME__V1__NAMESPACE_MODE__TARGET;
    scene->debugger.namespaces.target_id = (char *)target_id;
}

static void scene_open(struct scene *scene, struct fixture *fixture, const char *name)
{
    *scene = (struct scene){.fixture = fixture};
    scene->pod_id = pod_begin_plain(fixture, &scene->pod, name, true);
    container_request_init(&scene->target, &scene->pod, scene->pod_id, "target", busybox, target_command);
    scene->target_id = container_begin(fixture, &scene->target);
    debugger_init(scene, scene->target_id);
}

static void scene_close(struct scene *scene)
{
    container_request_fini(&scene->target);
    container_request_fini(&scene->debugger);
    pod_end(scene->fixture, scene->pod_id);
    pod_request_fini(&scene->pod);
    free(scene->target_id);
}

static void is_exited(struct scene *scene, const char *id, int code)
{
    struct workload_state now;

    check(workload_wait_exit(&scene->fixture->work, id, &now));
    if (now.exit_code != code)
        fail_msg("container %s ended with %d (%s), not %d", id, now.exit_code, now.reason, code);
}

static void is_running(struct scene *scene, const char *id)
{
    struct workload_state now;

    check(workload_status(&scene->fixture->work, id, &now));
    assert_int_equal(now.state, RUNTIME__V1__CONTAINER_STATE__CONTAINER_RUNNING);
}

/* Has the debugger the target's namespace, where the target is the first process? */
static void sees_its_target(struct scene *scene, const char *id)
{
    struct fixture *fixture = scene->fixture;
    autofree char *own = script_output(fixture, id, "readlink /proc/self/ns/pid", 0);
    char host[64] = "";

    script_prints(fixture, scene->target_id, "readlink /proc/self/ns/pid", own);
    script_prints(fixture, id, "grep -c 'exit 7' /proc/1/cmdline; readlink /proc/1/ns/pid", strcat(strcpy(host, "1\n"), own));
    script_prints(fixture, id, "ps -o args | grep -q '[e]xit 9' && echo seen", "seen\n");
    script_prints(fixture, scene->target_id, "ps -o args | grep -q '[e]xit 9' && echo seen", "seen\n");
}

static void a_container_joins_its_targets_pid_namespace_and_leaves_it_alone(void **state)
{
    struct scene scene;

    scene_open(&scene, *state, "joins");
    autofree char *id = container_begin(scene.fixture, &scene.debugger);
    sees_its_target(&scene, id);
    check(workload_stop(&scene.fixture->work, id, 10));
    is_exited(&scene, id, 9);
    is_running(&scene, scene.target_id);
    script_prints(scene.fixture, scene.target_id, "ps -o args | grep -c '[e]xit 9'; true", "0\n");
    check(workload_remove(&scene.fixture->work, id));
    is_running(&scene, scene.target_id);
    scene_close(&scene);
}

static void the_targets_end_is_the_end_of_who_joined_it(void **state)
{
    struct scene scene;

    scene_open(&scene, *state, "ends");
    autofree char *id = container_begin(scene.fixture, &scene.debugger);
    check(workload_stop(&scene.fixture->work, scene.target_id, 10));
    is_exited(&scene, scene.target_id, 7);
    is_exited(&scene, id, 137); /* the kernel ends all that is in the namespace */
    scene_close(&scene);
}

static void who_joined_may_be_joined(void **state)
{
    struct scene scene;

    scene_open(&scene, *state, "chain");
    autofree char *id = container_begin(scene.fixture, &scene.debugger);
    container_request_fini(&scene.debugger);
    debugger_init(&scene, id);
    scene.debugger.metadata.name = (char *)"second";
    autofree char *second = container_begin(scene.fixture, &scene.debugger);
    script_prints(scene.fixture, second, "grep -c 'exit 7' /proc/1/cmdline; ps -o args | grep -q '[e]xit 9' && echo seen", "1\nseen\n");
    check(workload_stop(&scene.fixture->work, id, 10));
    is_running(&scene, second);
    scene_close(&scene);
}

static void a_wrong_target_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct scene scene, other;
    char *id = NULL;

    scene_open(&scene, fixture, "wrong");
    scene_open(&other, fixture, "others");
    scene.debugger.namespaces.target_id = (char *)"0123456789abcdef";
    check_refused(container_request_send(&scene.debugger, fixture->node.client, &id), ERROR_NOT_FOUND, "target_id");
    scene.debugger.namespaces.target_id = other.target_id;
    check_refused(container_request_send(&scene.debugger, fixture->node.client, &id), ERROR_INVALID_ARGUMENT, "is of another sandbox");
    scene.debugger.namespaces.target_id = scene.target_id;
    check(workload_stop(&fixture->work, scene.target_id, 10));
    check_refused(container_request_send(&scene.debugger, fixture->node.client, &id), ERROR_FAILED_PRECONDITION, "is not running");
    check(workload_pod_remove(&fixture->work, other.pod_id));
    scene_close(&scene);
    container_request_fini(&other.target);
    container_request_fini(&other.debugger);
    pod_request_fini(&other.pod);
    free(other.pod_id);
    free(other.target_id);
}

static void a_target_that_does_not_run_yet_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct scene scene;
    char *id = NULL, *created = NULL;

    scene_open(&scene, fixture, "early");
    scene.target.metadata.name = (char *)"early";
    check(container_request_send(&scene.target, fixture->node.client, &created));
    scene.debugger.namespaces.target_id = created;
    check_refused(container_request_send(&scene.debugger, fixture->node.client, &id), ERROR_FAILED_PRECONDITION, "is not running");
    scene_close(&scene);
    free(created);
}

/* --- deaths ---------------------------------------------------------------------------------------------------------- */

struct creation {
    struct scene *scene;
    char *id;
    struct error *error;
};

static void *creation_run(void *argument)
{
    struct creation *creation = argument;

    creation->error = container_request_send(&creation->scene->debugger, creation->scene->fixture->node.client, &creation->id);
    return NULL;
}

/* The namespace is held, the runtime has not read of it yet: now the target ends. */
static void a_target_that_ends_on_the_way_is_told_as_such(void **state)
{
    struct scene scene;
    struct creation creation = {.scene = &scene};
    pthread_t thread;

    scene_open(&scene, *state, "late");
    failpoint_set("shim.create.before_run", "stop");
    assert_int_equal(pthread_create(&thread, NULL, creation_run, &creation), 0);
    failpoint_wait("shim.create.before_run");
    autofree char *script = xasprintf("p=/sys/fs/cgroup/pids; [ -d $p ] || p=/sys/fs/cgroup; kill -9 $(cat $p%s/%s/%s/cgroup.procs)",
                                      scene.pod.cgroup, scene.pod_id, scene.target_id);
    assert_int_equal(system(script), 0);
    kill(node_process(&scene.fixture->node, "shim"), SIGCONT);
    pthread_join(thread, NULL);
    check_refused(creation.error, ERROR_FAILED_PRECONDITION, "is not running");
    is_exited(&scene, scene.target_id, 137);
    scene_close(&scene);
}

static void killed_at(struct fixture *fixture, const char *point)
{
    autofree char *name = xasprintf("kill-%zu", strlen(point));
    struct scene scene;

    scene_open(&scene, fixture, name);
    failpoint_set(point, "kill");
    autofree char *id = container_begin(fixture, &scene.debugger);
    failpoint_wait(point);
    sees_its_target(&scene, id);
    check(node_kill(&fixture->node, "shim"));
    check(workload_stop(&fixture->work, scene.target_id, 10)); /* both are the keeper's children now */
    is_exited(&scene, scene.target_id, 7);
    is_exited(&scene, id, 137);
    scene_close(&scene);
}

static void a_join_goes_on_when_shim_or_sandboxd_is_killed(void **state)
{
    killed_at(*state, "shim.setup.after_target");
    killed_at(*state, "shim.create.before_run");
    killed_at(*state, "sandboxd.container_create.before_create");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_EACH_RUNTIME(a_container_joins_its_targets_pid_namespace_and_leaves_it_alone),
        WITH_EACH_RUNTIME(the_targets_end_is_the_end_of_who_joined_it),
        WITH_EACH_RUNTIME(who_joined_may_be_joined),
        NODE_TEST(a_wrong_target_is_refused),
        NODE_TEST(a_target_that_does_not_run_yet_is_refused),
        WITH_EACH_RUNTIME(a_target_that_ends_on_the_way_is_told_as_such),
        WITH_EACH_RUNTIME(a_join_goes_on_when_shim_or_sandboxd_is_killed),
    };

    return cmocka_run_group_tests(tests, fixture_open_with_failpoints, fixture_close_with_failpoints);
}
