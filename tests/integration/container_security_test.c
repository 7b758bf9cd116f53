/* What confines a container and what it is given of the host, seen from inside: groups, seccomp profiles, devices by path and by CDI's
 * names, stop signals, limits. */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "tests/integration/container_scene.h"

static const char *const sleeping[] = {"/bin/sleep", "1000", NULL};

/* A pod with one container, on the host's network. */
static void scene_open(struct scene *scene, struct fixture *fixture, const char *name)
{
    *scene = (struct scene){.fixture = fixture};
    pod_request_init(&scene->pod, &fixture->node, name, true);
    scene->pod_id = pod_begin(fixture, &scene->pod);
    container_request_init(&scene->container, &scene->pod, scene->pod_id, "main", busybox, sleeping);
}

static void scene_start(struct scene *scene)
{
    scene->id = container_begin(scene->fixture, &scene->container);
}

/* Another container of the pod, as the request is by now. */
static void scene_start_next(struct scene *scene, const char *name)
{
    free(scene->id);
    scene->container.metadata.name = (char *)name;
    scene_start(scene);
}

static void prints(struct scene *scene, const char *script, const char *expected)
{
    script_prints(scene->fixture, scene->id, script, expected);
}

static char *file_make(const struct fixture *fixture, const char *name, const char *text)
{
    char *path = xasprintf("%s/%s", fixture->node.directory, name);
    autoclose int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    check(fd_write_all(fd, text, strlen(text)));
    return path;
}

static Runtime__V1__ContainerStatusResponse *status_get(const struct scene *scene)
{
    Runtime__V1__ContainerStatusRequest request = RUNTIME__V1__CONTAINER_STATUS_REQUEST__INIT;
    Runtime__V1__ContainerStatusResponse *reply = NULL;

    request.container_id = scene->id;
    check(CRI_CALL(scene->fixture->node.client, "RuntimeService", "ContainerStatus", &request.base, 30000,
                   container_status_response, &reply));
    return reply;
}

/* What ContainerStatus tells of the user, as `id` would. */
static void status_says(const struct scene *scene, const char *expected)
{
    Runtime__V1__ContainerStatusResponse *reply = status_get(scene);
    const Runtime__V1__LinuxContainerUser *user = reply->status->user->linux;
    char *text = xasprintf("%d %d:", (int)user->uid, (int)user->gid);

    for (size_t i = 0; i < user->n_supplemental_groups; i++) {
        char *longer = xasprintf("%s %d", text, (int)user->supplemental_groups[i]);
        free(text);
        text = longer;
    }
    assert_string_equal(text, expected);
    free(text);
    runtime__v1__container_status_response__free_unpacked(reply, NULL);
}

static void groups_of_the_image_count_unless_the_policy_is_strict(void **state)
{
    static int64_t groups[] = {6000};
    struct scene scene;

    scene_open(&scene, *state, "groups");
    scene.container.context.run_as_username = (char *)"user";
    scene.container.context.supplemental_groups = groups, scene.container.context.n_supplemental_groups = 1;
    scene_start(&scene);
    prints(&scene, "grep ^Groups /proc/1/status | tr '\t' ' '", "Groups: 1000 5000 6000 \n");
    status_says(&scene, "1000 1000: 1000 5000 6000");
    scene.container.context.supplemental_groups_policy = RUNTIME__V1__SUPPLEMENTAL_GROUPS_POLICY__Strict;
    scene_start_next(&scene, "strict");
    prints(&scene, "grep ^Groups /proc/1/status | tr '\t' ' '; id -G", "Groups: 1000 6000 \n1000 6000\n");
    status_says(&scene, "1000 1000: 1000 6000");
    scene_close(&scene);
}

static void the_runtime_says_that_it_knows_the_groups_policy(void **state)
{
    struct fixture *fixture = *state;
    Runtime__V1__StatusRequest request = RUNTIME__V1__STATUS_REQUEST__INIT;
    Runtime__V1__StatusResponse *reply = NULL;

    check(CRI_CALL(fixture->node.client, "RuntimeService", "Status", &request.base, 30000, status_response, &reply));
    assert_non_null(reply->features);
    assert_true(reply->features->supplemental_groups_policy);
    runtime__v1__status_response__free_unpacked(reply, NULL);
}

/* Before the next look: a profile counts as it was when the container was made. */
static void a_localhost_seccomp_profile_is_read_where_it_lies(void **state)
{
    static const char oci[] = "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"chmod\",\"fchmod\",\"fchmodat\"],"
                              "\"action\":\"SCMP_ACT_ERRNO\"}]}";
    static const char docker[] = "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"archMap\":[{\"architecture\":\"SCMP_ARCH_X86_64\","
                                 "\"subArchitectures\":[\"SCMP_ARCH_X86\"]}],\"syscalls\":[{\"name\":\"mkdir\",\"action\":"
                                 "\"SCMP_ACT_ERRNO\",\"errnoRet\":38},{\"names\":[\"chmod\"],\"action\":\"SCMP_ACT_ERRNO\","
                                 "\"includes\":{\"caps\":[\"CAP_SYS_BOOT\"]}}]}";
    Runtime__V1__SecurityProfile profile = RUNTIME__V1__SECURITY_PROFILE__INIT;
    struct fixture *fixture = *state;
    struct scene scene;
    autofree char *directory = xasprintf("%s/seccomp", fixture->node.directory);
    mkdir(directory, 0700);
    autofree char *path = file_make(fixture, "chmod.json", oci), *relative = file_make(fixture, "seccomp/mkdir.json", docker);

    scene_open(&scene, fixture, "seccomp");
    profile.profile_type = RUNTIME__V1__PROFILE_TYPE__Localhost, profile.localhost_ref = path;
    scene.container.context.seccomp = &profile;
    scene_start(&scene);
    prints(&scene, "grep ^Seccomp: /proc/1/status; chmod 700 / 2>&1; mkdir /made && echo made",
           "Seccomp:\t2\nchmod: /: Operation not permitted\nmade\n");
    scene.container.context.seccomp = NULL;
    scene.container.context.seccomp_profile_path = (char *)"localhost/mkdir.json";
    scene_start_next(&scene, "docker");
    prints(&scene, "chmod 755 / && mkdir /made 2>&1; test -d /made || echo none",
           "mkdir: can't create directory '/made': Function not implemented\nnone\n");
    scene_close(&scene);
}

static void a_privileged_container_has_no_seccomp_profile(void **state)
{
    Runtime__V1__SecurityProfile profile = RUNTIME__V1__SECURITY_PROFILE__INIT;
    struct fixture *fixture = *state;
    struct scene scene = {.fixture = fixture};

    pod_request_init(&scene.pod, &fixture->node, "privileged", true);
    scene.pod.context.privileged = true;
    scene.pod_id = pod_begin(fixture, &scene.pod);
    container_request_init(&scene.container, &scene.pod, scene.pod_id, "main", busybox, sleeping);
    profile.profile_type = RUNTIME__V1__PROFILE_TYPE__Localhost, profile.localhost_ref = (char *)"/absent.json";
    scene.container.context.seccomp = &profile;
    scene.container.context.privileged = true;
    scene_start(&scene);
    prints(&scene, "grep ^Seccomp: /proc/1/status", "Seccomp:\t0\n");
    scene_close(&scene);
}

/* A device that no container may open by itself, to be read alone; and a directory with one more below it. */
static void devices_are_had_under_the_path_and_with_the_rights_that_are_asked_for(void **state)
{
    Runtime__V1__Device device = RUNTIME__V1__DEVICE__INIT, directory = RUNTIME__V1__DEVICE__INIT;
    Runtime__V1__Device *devices[] = {&device, &directory};
    struct fixture *fixture = *state;
    struct scene scene;
    autofree char *deep = xasprintf("%s/devices/deep", fixture->node.directory), *top = xasprintf("%s/devices", fixture->node.directory),
                  *zero = xasprintf("%s/zero", deep), *fuse = xasprintf("%s/fuse", fixture->node.directory);
    mkdir(top, 0700), mkdir(deep, 0700);
    assert_int_equal(mknod(zero, S_IFCHR | 0640, makedev(1, 5)), 0);
    assert_int_equal(mknod(fuse, S_IFCHR | 0604, makedev(10, 229)), 0);

    scene_open(&scene, fixture, "devices");
    device.host_path = fuse, device.container_path = (char *)"/dev/mine", device.permissions = (char *)"r";
    directory.host_path = top, directory.container_path = (char *)"/dev/many", directory.permissions = (char *)"rwm";
    scene.container.config.devices = devices, scene.container.config.n_devices = 2;
    scene_start(&scene);
    prints(&scene, "stat -c '%n %F %t %T %a' /dev/mine /dev/many/deep/zero",
           "/dev/mine character special file a e5 604\n/dev/many/deep/zero character special file 1 5 640\n");
    prints(&scene, "head -c 3 /dev/many/deep/zero | wc -c; exec 3< /dev/mine && echo open", "3\nopen\n");
    script_fails(fixture, scene.id, "exec 3> /dev/mine");
    scene.container.config.n_devices = 0;
    scene_start_next(&scene, "without");
    script_fails(fixture, scene.id, "test -e /dev/mine");
    script_fails(fixture, scene.id, "mknod /dev/mine c 10 229 && exec 3< /dev/mine");
    scene_close(&scene);
    unlink(zero), unlink(fuse), rmdir(deep), rmdir(top);
}

static void cdi_devices_come_with_all_that_their_files_say(void **state)
{
    static const char yaml[] = "cdiVersion: 0.6.0\nkind: test.org/box\ncontainerEdits:\n  env: [BOX=yes]\ndevices:\n- name: one\n"
                               "  containerEdits:\n    env: [ONE=1]\n    deviceNodes:\n    - {path: /dev/one, hostPath: /dev/zero}\n"
                               "    mounts:\n    - {hostPath: %s/cdi, containerPath: /cdi, options: [ro]}\n    additionalGids: [4444]\n";
    static const char json[] = "{\"cdiVersion\":\"0.5.0\",\"kind\":\"test.org/json\",\"devices\":[{\"name\":\"two\",\"containerEdits\":"
                               "{\"env\":[\"TWO=2\"]}}]}";
    Runtime__V1__CDIDevice device = RUNTIME__V1__CDIDEVICE__INIT, *devices[] = {&device};
    Runtime__V1__ContainerConfig__AnnotationsEntry note = RUNTIME__V1__CONTAINER_CONFIG__ANNOTATIONS_ENTRY__INIT,
                                                   *notes[] = {&note};
    struct fixture *fixture = *state;
    struct scene scene;
    autofree char *directory = xasprintf("%s/cdi", fixture->node.directory);
    mkdir(directory, 0700);
    autofree char *text = xasprintf(yaml, fixture->node.directory);
    autofree char *first = file_make(fixture, "cdi/box.yaml", text), *second = file_make(fixture, "cdi/two.json", json);

    scene_open(&scene, fixture, "cdi");
    device.name = (char *)"test.org/box=one";
    scene.container.config.cdi_devices = devices, scene.container.config.n_cdi_devices = 1;
    note.key = (char *)"cdi.k8s.io/plugin", note.value = (char *)"test.org/json=two";
    scene.container.config.annotations = notes, scene.container.config.n_annotations = 1;
    scene_start(&scene);
    prints(&scene, "echo $BOX $ONE $TWO; stat -c '%F %t %T' /dev/one; head -c 2 /dev/one | wc -c; id -G",
           "yes 1 2\ncharacter special file 1 5\n2\n0 4444\n");
    prints(&scene, "ls /cdi; touch /cdi/x 2>&1 | grep -o 'Read-only'", "box.yaml\ntwo.json\nRead-only\n");
    scene_close(&scene);
    unlink(first), unlink(second), rmdir(directory);
}

/* Writes which signal came to its log's end: its exit code. */
static const char *const trapping[] = {"/bin/sh", "-c",
                                       "trap 'exit 41' USR1; trap 'exit 42' TERM; trap 'exit 43' INT; touch /ready; while :; do sleep 0.1; done",
                                       NULL};

static void stops_with(struct scene *scene, const char *name, Runtime__V1__Signal told, int code)
{
    struct workload_state now;

    scene_start_next(scene, name);
    Runtime__V1__ContainerStatusResponse *reply = status_get(scene);
    assert_int_equal(reply->status->stop_signal, told);
    runtime__v1__container_status_response__free_unpacked(reply, NULL);
    free(script_output(scene->fixture, scene->id, "until test -e /ready; do sleep 0.1; done", 0));
    check(workload_stop(&scene->fixture->work, scene->id, 60));
    check(workload_wait_exit(&scene->fixture->work, scene->id, &now));
    assert_int_equal(now.exit_code, code);
}

static void a_container_is_asked_to_end_by_its_own_signal(void **state)
{
    struct scene scene;

    scene_open(&scene, *state, "signals");
    scene.container.config.command = (char **)trapping, scene.container.config.n_command = 3;
    stops_with(&scene, "usual", RUNTIME__V1__SIGNAL__SIGNAL_SIGTERM, 42);
    scene.container.config.stop_signal = RUNTIME__V1__SIGNAL__SIGNAL_SIGUSR1;
    stops_with(&scene, "usr1", RUNTIME__V1__SIGNAL__SIGNAL_SIGUSR1, 41);
    scene.container.config.stop_signal = RUNTIME__V1__SIGNAL__SIGNAL_SIGINT;
    stops_with(&scene, "int", RUNTIME__V1__SIGNAL__SIGNAL_SIGINT, 43);
    scene_close(&scene);
}

static void a_container_may_swap_as_far_as_it_is_asked_for(void **state)
{
    struct scene scene;

    scene_open(&scene, *state, "swap");
    if (access("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes", F_OK) == 0) {
        scene.container.resources.memory_limit_in_bytes = 64 << 20;
        scene.container.resources.memory_swap_limit_in_bytes = 96 << 20;
        scene_start(&scene);
        prints(&scene, "cd /sys/fs/cgroup/memory && cat memory.limit_in_bytes memory.memsw.limit_in_bytes", "67108864\n100663296\n");
    } else {
        autofree char *id = NULL;
        scene.container.resources.memory_limit_in_bytes = 64 << 20;
        scene.container.resources.memory_swap_limit_in_bytes = 96 << 20;
        check_refused(container_request_send(&scene.container, scene.fixture->node.client, &id), ERROR_FAILED_PRECONDITION,
                      "memory_swap_limit_in_bytes");
    }
    scene_close(&scene);
}

/* The kubelet's garbage collection passes such an image over. */
static void an_image_that_the_configuration_names_is_pinned(void **state)
{
    struct fixture *fixture = *state;
    Runtime__V1__ListImagesRequest request = RUNTIME__V1__LIST_IMAGES_REQUEST__INIT;
    Runtime__V1__ListImagesResponse *reply = NULL;
    autofree char *other = NULL;

    check(registry_server_push(&fixture->registry, "library/other", "test", 1));
    check(workload_pull(&fixture->work, "docker.io/library/other:test", &other));
    check(CRI_CALL(fixture->node.client, "ImageService", "ListImages", &request.base, 30000, list_images_response, &reply));
    assert_int_equal(reply->n_images, 2);
    for (size_t i = 0; i < reply->n_images; i++)
        assert_int_equal(reply->images[i]->pinned, strcmp(reply->images[i]->repo_tags[0], busybox) == 0);
    runtime__v1__list_images_response__free_unpacked(reply, NULL);
}

static int set_up(void **state)
{
    return fixture_open_with(state, "\"seccomp_profiles_dir\": \"$DIR/seccomp\", \"cdi_spec_dirs\": [\"$DIR/absent\", \"$DIR/cdi\"], "
                                    "\"pinned_images\": [\"busybox:test\"]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NODE_TEST(the_runtime_says_that_it_knows_the_groups_policy),
        WITH_EACH_RUNTIME(groups_of_the_image_count_unless_the_policy_is_strict),
        WITH_EACH_RUNTIME(a_localhost_seccomp_profile_is_read_where_it_lies),
        WITH_EACH_RUNTIME(a_privileged_container_has_no_seccomp_profile),
        WITH_EACH_RUNTIME(devices_are_had_under_the_path_and_with_the_rights_that_are_asked_for),
        WITH_EACH_RUNTIME(cdi_devices_come_with_all_that_their_files_say),
        NODE_TEST(a_container_is_asked_to_end_by_its_own_signal),
        WITH_EACH_RUNTIME(a_container_may_swap_as_far_as_it_is_asked_for),
        NODE_TEST(an_image_that_the_configuration_names_is_pinned), /* the last: it leaves an image */
    };

    cmocka_set_test_filter(getenv("BULKHEAD_TEST_FILTER"));
    return cmocka_run_group_tests(tests, set_up, fixture_close);
}
