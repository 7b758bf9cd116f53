/* The systemd cgroup driver: a container is a scope of the slice that the kubelet names, over the death of its makers, and no unit is left.
 * Where the node has the other driver (all but scripts/test-vm) there is nothing to see, and all is skipped. */
#include <signal.h>
#include <sys/wait.h>

#include "tests/integration/container_scene.h"
#include "tests/integration/node_failpoints.h"

static const char *const sleeping[] = {"/bin/sleep", "1000", NULL};

/* Its child lives on in the scope. */
static const char *const leaving[] = {"/bin/sh", "-c", "sleep 1000 & exit 5", NULL};

enum { OUTPUT_MAX = 4096 };

static bool has_driver(void **state)
{
    return ((struct fixture *)*state)->node.has_systemd_driver;
}

static void scene_open(struct scene *scene, struct fixture *fixture, const char *cgroup_parent, const char *const *command)
{
    *scene = (struct scene){.fixture = fixture};
    pod_request_init(&scene->pod, &fixture->node, "sliced", true);
    if (cgroup_parent)
        scene->pod.system.cgroup_parent = (char *)cgroup_parent;
    scene->pod_id = pod_begin(fixture, &scene->pod);
    container_request_init(&scene->container, &scene->pod, scene->pod_id, "main", busybox, command);
}

/* A command's output, without the newline at its end; the caller frees it. */
static char *output_of(const char *command)
{
    char text[OUTPUT_MAX] = "";
    FILE *output = popen(command, "r");

    assert_non_null(output);
    size_t size = fread(text, 1, sizeof(text) - 1, output);
    pclose(output);
    text[size > 0 && text[size - 1] == '\n' ? size - 1 : size] = '\0';
    return xstrdup(text);
}

static void unit_has(const char *id, const char *property, const char *expected)
{
    autofree char *command = xasprintf("systemctl show --value -p %s cri-bulkhead-%s.scope", property, id);
    autofree char *value = output_of(command);

    if (strcmp(value, expected) != 0)
        fail_msg("%s is \"%s\", not \"%s\"", property, value, expected);
}

/* Of this container, in whatever state. systemd forgets a unit a moment after its end. */
static void no_unit_is_left(const char *id)
{
    autofree char *command = xasprintf("systemctl list-units --all --plain --no-legend 'cri-bulkhead-%s*'", id ? id : "");

    for (unsigned i = 0; i < 200; i++) {
        autofree char *units = output_of(command);
        if (units[0] == '\0')
            return;
        usleep(100000);
    }
    autofree char *units = output_of(command);
    fail_msg("units are left: %s", units);
}

static void a_container_is_a_scope_of_its_pods_slice(void **state)
{
    struct scene scene;

    if (!has_driver(state))
        skip();
    scene_open(&scene, *state, NULL, sleeping);
    scene.id = container_begin(scene.fixture, &scene.container);
    autofree char *group = xasprintf("%s/cri-bulkhead-%s.scope", scene.pod.cgroup, scene.id);
    unit_has(scene.id, "ActiveState", "active");
    unit_has(scene.id, "Slice", strrchr(scene.pod.cgroup, '/') + 1);
    unit_has(scene.id, "ControlGroup", group);
    script_prints(scene.fixture, scene.id, "cat /proc/self/cgroup", "0::/\n"); /* an exec is in the scope too */
    check(workload_remove(&scene.fixture->work, scene.id));
    no_unit_is_left(scene.id);
    scene_close(&scene);
}

/* As a client other than the kubelet may name it, and as CRI-O treats one that names none. */
static void a_slice_is_known_by_its_name_alone_and_is_the_systems_by_default(void **state)
{
    struct fixture *fixture = *state;
    struct scene scene;

    if (!has_driver(state))
        skip();
    autofree char *name = xasprintf("%.*s-new.slice", (int)strcspn(fixture->node.cgroup + 1, "."), fixture->node.cgroup + 1);
    const char *const parents[] = {name, ""}, *const slices[] = {name, "system.slice"};
    for (size_t i = 0; i < 2; i++) {
        scene_open(&scene, fixture, parents[i], sleeping);
        scene.id = container_begin(fixture, &scene.container);
        unit_has(scene.id, "Slice", slices[i]);
        scene_close(&scene);
    }
}

/* What is left in the scope is killed, the exit code is true, and the scope goes by itself. */
static void an_exit_ends_the_scope(void **state)
{
    struct scene scene;
    struct workload_state now;

    if (!has_driver(state))
        skip();
    scene_open(&scene, *state, NULL, leaving);
    scene.id = container_begin(scene.fixture, &scene.container);
    check(workload_wait_exit(&scene.fixture->work, scene.id, &now));
    assert_int_equal(now.exit_code, 5);
    no_unit_is_left(scene.id);
    scene_close(&scene);
}

static void the_scope_lives_on_when_its_makers_die(void **state)
{
    static const char *const programs[] = {"shim", "sandboxd", "keeper", "backstop"};
    struct scene scene;

    if (!has_driver(state))
        skip();
    scene_open(&scene, *state, NULL, sleeping);
    scene.id = container_begin(scene.fixture, &scene.container);
    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
        check(node_kill(&scene.fixture->node, programs[i]));
        script_prints(scene.fixture, scene.id, "echo lives", "lives\n");
        unit_has(scene.id, "ActiveState", "active");
    }
    scene_close(&scene);
    no_unit_is_left(NULL);
}

/* The shim dies where the runtime has the scope, and the shim has not noted the process: the next one undoes it, and the create is done again. */
static void a_create_that_a_shims_death_cuts_short_leaves_no_scope(void **state)
{
    static const char *const points[] = {"shim.create.before_run", "shim.create.before_created", "shim.create.after_created"};
    struct scene scene;

    if (!has_driver(state))
        skip();
    for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
        scene_open(&scene, *state, NULL, sleeping);
        failpoint_set(points[i], "kill");
        scene.id = container_begin(scene.fixture, &scene.container);
        failpoint_wait(points[i]);
        autofree char *group = xasprintf("%s/cri-bulkhead-%s.scope", scene.pod.cgroup, scene.id);
        unit_has(scene.id, "ControlGroup", group);
        scene_close(&scene);
        no_unit_is_left(NULL);
    }
}

/* With what its configuration says now, as systemd does it; containers run on. */
static void node_restart(struct node *node)
{
    assert_int_equal(kill(node->backstop, SIGTERM), 0);
    assert_int_equal(waitpid(node->backstop, NULL, 0), node->backstop);
    check(node_start(node));
    check(node_wait_ready(node));
}

/* A pod keeps the driver that it was made with. */
static void a_pod_of_the_other_driver_goes_on_as_it_was(void **state)
{
    struct fixture *fixture = *state;
    struct node *node = &fixture->node;
    struct scene scene;

    if (!has_driver(state))
        skip();
    scene_open(&scene, fixture, NULL, sleeping);
    autofree char *to_cgroupfs = xasprintf("sed -i 's/\"cgroup_driver\": \"systemd\"/\"cgroup_driver\": \"cgroupfs\"/' %s/config.json", node->directory);
    autofree char *to_systemd = xasprintf("sed -i 's/\"cgroup_driver\": \"cgroupfs\"/\"cgroup_driver\": \"systemd\"/' %s/config.json", node->directory);
    assert_int_equal(system(to_cgroupfs), 0);
    node_restart(node);
    scene.id = container_begin(fixture, &scene.container);
    unit_has(scene.id, "ActiveState", "active");
    script_prints(fixture, scene.id, "echo runs", "runs\n");
    assert_int_equal(system(to_systemd), 0);
    node_restart(node);
    script_prints(fixture, scene.id, "echo runs", "runs\n");
    scene_close(&scene);
    no_unit_is_left(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_EACH_RUNTIME(a_container_is_a_scope_of_its_pods_slice),
        NODE_TEST(a_slice_is_known_by_its_name_alone_and_is_the_systems_by_default),
        WITH_EACH_RUNTIME(an_exit_ends_the_scope),
        WITH_EACH_RUNTIME(the_scope_lives_on_when_its_makers_die),
        WITH_EACH_RUNTIME(a_create_that_a_shims_death_cuts_short_leaves_no_scope),
        NODE_TEST(a_pod_of_the_other_driver_goes_on_as_it_was),
    };

    return cmocka_run_group_tests(tests, fixture_open_with_failpoints, fixture_close_with_failpoints);
}
