/* A volume whose file system hangs costs its pod alone, whoever dies meanwhile: a process in D state does not die, so a
 * stop takes until the file system answers again or is ended, and then leaves nothing. */
#include "tests/integration/hanging_pods.h"

enum { SHORT_MS = 3000 };

static const char reading[] = "trap 'exit 7' TERM; >/ready; while :; do cat /volume/file >/dev/null; sleep 0.02; done";

struct stuck_volume {
    struct hanging_fs fs;
    struct member stuck, fine;
    char *name, *fine_name;
};

static void volume_open(struct gated_node *gated, struct stuck_volume *volume, const char *test)
{
    autofree char *path = xasprintf("%s/%s-volume", gated->node.directory, test);
    autofree char *backing = xasprintf("%s/%s-backing", gated->node.directory, test);
    autofree char *file = xasprintf("%s/file", backing);

    check(hanging_fs_open(&volume->fs, path, backing));
    FILE *stream = fopen(file, "w");
    assert_non_null(stream);
    fclose(stream);
    volume->name = xasprintf("%s-stuck", test);
    volume->fine_name = xasprintf("%s-fine", test);
    member_begin(gated, &volume->fine, volume->fine_name, counting, NULL);
}

/* A pod that reads from a volume that hangs by now, and another pod. */
static void stuck_volume_begin(struct gated_node *gated, struct stuck_volume *volume, const char *test)
{
    volume_open(gated, volume, test);
    member_begin(gated, &volume->stuck, volume->name, reading, volume->fs.path);
    hanging_fs_hang(&volume->fs);
    await_waiting(&volume->fs);
    others_must_live(gated, &volume->fine, 2);
}

static void stuck_volume_end(struct gated_node *gated, struct stuck_volume *volume)
{
    member_end(&volume->fine);
    hanging_fs_close(&volume->fs);
    census_must_be_as_before(gated);
    free(volume->name);
    free(volume->fine_name);
}

/* A call that can't be done now ends by its deadline, with that error. */
static void stop_must_be_late(struct gated_node *gated, struct member *member)
{
    Runtime__V1__StopContainerRequest request = RUNTIME__V1__STOP_CONTAINER_REQUEST__INIT;
    Runtime__V1__StopContainerResponse *reply = NULL;

    request.container_id = member->life.container;
    struct error *error = CRI_CALL(gated->node.client, "RuntimeService", "StopContainer", &request.base, SHORT_MS,
                                   stop_container_response, &reply);
    check_refused(error, ERROR_DEADLINE_EXCEEDED, "");
}

static void a_volume_that_hangs_costs_its_pod_alone_whoever_dies(void **state)
{
    static const char *const victims[] = {"logd", "sandboxd", "keeper"};
    struct gated_node *gated = *state;
    struct stuck_volume volume;

    stuck_volume_begin(gated, &volume, "alone");
    for (size_t i = 0; i < sizeof(victims) / sizeof(victims[0]); i++) {
        kill_and_await(gated, victims[i]);
        others_must_live(gated, &volume.fine, 2);
        running_must_be(&volume.stuck);
        check(step_exec(&volume.stuck.life)); /* it does not touch the volume */
    }
    assert_int_equal(kill(shim_of(gated, &volume.stuck), SIGKILL), 0);
    check(step_exec(&volume.stuck.life));
    stop_must_be_late(gated, &volume.stuck);
    others_must_live(gated, &volume.fine, 2);
    hanging_fs_heal(&volume.fs);
    check(workload_stop(&volume.stuck.life.work, volume.stuck.life.container, 0));
    member_end(&volume.stuck);
    stuck_volume_end(gated, &volume);
}

static void a_pod_is_removed_after_its_volume_was_ended(void **state)
{
    struct gated_node *gated = *state;
    struct stuck_volume volume;

    stuck_volume_begin(gated, &volume, "ended");
    stop_must_be_late(gated, &volume.stuck);
    hanging_fs_abort(&volume.fs);
    member_end(&volume.stuck);
    stuck_volume_end(gated, &volume);
}

/* The runtime itself hangs, in the mount of the volume. */
static void a_container_made_on_a_volume_that_hangs_costs_its_pod_alone(void **state)
{
    struct gated_node *gated = *state;
    const char *const command[] = {"/bin/sh", "-c", reading, NULL};
    struct stuck_volume volume;
    struct pod_request pod;
    struct container_request container;
    Runtime__V1__Mount mount = RUNTIME__V1__MOUNT__INIT, *mounts[] = {&mount};
    Runtime__V1__CreateContainerResponse *reply = NULL;
    autofree char *id = NULL;

    volume_open(gated, &volume, "made");
    pod_request_init(&pod, &gated->node, volume.name, false);
    check(pod_request_send(&pod, gated->node.client, &id));
    container_request_init(&container, &pod, id, "main", busybox, command);
    mount.host_path = volume.fs.path;
    mount.container_path = (char *)"/volume";
    container.config.mounts = mounts;
    container.config.n_mounts = 1;
    hanging_fs_hang(&volume.fs);
    check_refused(CRI_CALL(gated->node.client, "RuntimeService", "CreateContainer", &container.request.base, SHORT_MS,
                           create_container_response, &reply),
                  ERROR_DEADLINE_EXCEEDED, "");
    assert_true(hanging_fs_waiting(&volume.fs) > 0);
    kill_and_await(gated, "sandboxd");
    others_must_live(gated, &volume.fine, 1);
    hanging_fs_heal(&volume.fs);
    container.config.n_mounts = 0;
    container_request_fini(&container);
    pod_request_fini(&pod);
    check(workload_pod_stop(&gated->work, id));
    check(workload_pod_remove(&gated->work, id));
    stuck_volume_end(gated, &volume);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_volume_that_hangs_costs_its_pod_alone_whoever_dies),
        cmocka_unit_test(a_pod_is_removed_after_its_volume_was_ended),
        cmocka_unit_test(a_container_made_on_a_volume_that_hangs_costs_its_pod_alone),
    };

    cmocka_set_test_filter(getenv("BULKHEAD_TEST_FILTER"));
    node_isolate();
    return cmocka_run_group_tests(tests, gated_set_up, gated_tear_down);
}
