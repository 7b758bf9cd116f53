/* Images as volumes: their files are in the container, read-only, as long as it lives, whatever is removed or killed meanwhile. */
#include <pthread.h>

#include "tests/integration/node_failpoints.h"
#include "tests/integration/volume_scene.h"

static const char *const data = "docker.io/test/data:1";
static const char *const bare = "docker.io/test/bare:1";

/* Two layers, the upper one with a whiteout; one with a device and a program that is root's; an image without layers. */
static const char image_script[] =
    "mkdir -p root/dir/deep root/run; echo one > root/dir/one; echo two > root/dir/deep/two; echo gone > root/dir/gone; echo late > late\n"
    "cp /bin/busybox root/run/busybox; ln -s busybox root/run/echo; chmod 4755 root/run/busybox\n"
    "ln -s /dir/deep root/inside; ln -s ../../../../etc root/outside; ln -s /proc/1/root root/magic\n"
    "umoci init --layout l; umoci new --image l:x; umoci insert --image l:x root /\n"
    "umoci insert --image l:x late /dir/late; umoci insert --image l:x --whiteout /dir/gone\n"
    "umoci config --image l:x --config.cmd /none --architecture $A --os linux\n"
    "skopeo --insecure-policy copy -q --dest-tls-verify=false oci:l:x docker://$R/test/data:1\n"
    "umoci new --image l:none; umoci config --image l:none --config.cmd /none --architecture $A --os linux\n"
    "skopeo --insecure-policy copy -q --dest-tls-verify=false oci:l:none docker://$R/test/bare:1\n";

static Runtime__V1__ImageSpec spec_of(const char *image)
{
    Runtime__V1__ImageSpec spec = RUNTIME__V1__IMAGE_SPEC__INIT;

    spec.image = (char *)image;
    return spec;
}

static Runtime__V1__Mount *image_mount_add(struct mount_list *mounts, struct scene *scene, Runtime__V1__ImageSpec *image, const char *target)
{
    mount_add(mounts, scene, "", target, false);
    Runtime__V1__Mount *mount = &mounts->mounts[mounts->count - 1];
    mount->host_path = (char *)"";
    mount->image = image;
    return mount;
}

static void an_images_files_are_there_and_nobody_changes_them(void **state)
{
    Runtime__V1__ImageSpec image = spec_of(data), none = spec_of(bare);
    struct fixture *fixture = *state;
    struct mount_list mounts = {.count = 0};
    struct scene scene;

    scene_open(&scene, fixture, "whole");
    image_mount_add(&mounts, &scene, &image, "/data");
    image_mount_add(&mounts, &scene, &none, "/bare");
    autofree char *id = container_begin(fixture, &scene.container);
    script_prints(fixture, id, "ls /data/dir; cat /data/dir/deep/two /data/dir/late; ls /bare | wc -l", "deep\nlate\none\ntwo\nlate\n0\n");
    script_prints(fixture, id, "for f in /data/dir/one /data/new /bare/new; do echo x 2>/dev/null > $f && echo $f; done; true", "");
    script_fails(fixture, id, "mount -o remount,rw /data");
    script_prints(fixture, id, "/data/run/echo runs", "runs\n");
    mount_list_fini(&mounts);
    scene_close(&scene);
}

static void a_sub_path_is_of_the_image_alone(void **state)
{
    static const struct {
        const char *sub_path, *script, *expected; /* no script: NOT_FOUND */
    } cases[] = {
        {"dir", "cat /data/one", "one\n"},
        {"inside/", "cat /data/two", "two\n"},
        {"dir/deep/two", "cat /data", "two\n"},
        {"outside", NULL, NULL},
        {"dir/absent", NULL, NULL},
        {"dir/gone", NULL, NULL},
        {"magic", NULL, NULL},
    };
    Runtime__V1__ImageSpec image = spec_of(data);
    struct fixture *fixture = *state;
    struct mount_list mounts = {.count = 0};
    struct scene scene;

    scene_open(&scene, fixture, "sub");
    Runtime__V1__Mount *mount = image_mount_add(&mounts, &scene, &image, "/data");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *id = NULL;
        mount->image_sub_path = (char *)cases[i].sub_path;
        scene.container.metadata.attempt = (uint32_t)i;
        if (cases[i].script) {
            id = container_begin(fixture, &scene.container);
            script_prints(fixture, id, cases[i].script, cases[i].expected);
            container_end(fixture, id);
        } else {
            autofree char *words = xasprintf("image_sub_path %s", cases[i].sub_path);
            check_refused(container_request_send(&scene.container, fixture->node.client, &id), ERROR_NOT_FOUND, words);
        }
    }
    mount_list_fini(&mounts);
    scene_close(&scene);
}

static void a_removed_image_stays_a_volume(void **state)
{
    Runtime__V1__ImageSpec image = spec_of(data);
    struct fixture *fixture = *state;
    struct mount_list mounts = {.count = 0};
    struct scene scene;
    autofree char *again = NULL;
    char *id = NULL;

    scene_open(&scene, fixture, "removed");
    image_mount_add(&mounts, &scene, &image, "/data");
    autofree char *user = container_begin(fixture, &scene.container);
    check(workload_image_remove(&fixture->work, data));
    scene.container.metadata.attempt = 1;
    check_refused(container_request_send(&scene.container, fixture->node.client, &id), ERROR_NOT_FOUND, "mount image \"docker.io/test/data:1\" at /data");
    check(node_kill(&fixture->node, "imaged"));
    check(node_kill(&fixture->node, "sandboxd")); /* whose successor tells imaged which leases stay */
    check(workload_pull(&fixture->work, "docker.io/test/bare:1", &again));
    script_prints(fixture, user, "cat /data/dir/deep/two", "two\n");
    free(TAKE(again));
    check(workload_pull(&fixture->work, data, &again));
    mount_list_fini(&mounts);
    scene_close(&scene);
}

struct creator {
    struct scene *scene;
    struct cri_client *client;
    struct error *failure;
    char *id;
};

static void *create_in_thread(void *argument)
{
    struct creator *creator = argument;

    creator->failure = container_request_send(&creator->scene->container, creator->client, &creator->id);
    return NULL;
}

/* While the shim's child is at that point. */
static void create_while_killing(struct fixture *fixture, struct scene *scene, const char *point, const char *killed)
{
    struct creator creator = {.scene = scene, .client = fixture->node.client};
    pthread_t thread;

    failpoint_set(point, "sleep 300");
    assert_int_equal(pthread_create(&thread, NULL, create_in_thread, &creator), 0);
    failpoint_wait(point);
    check(node_kill(&fixture->node, killed));
    pthread_join(thread, NULL);
    check(creator.failure);
    check(workload_start(&fixture->work, creator.id));
    script_prints(fixture, creator.id, "cat /data/two; grep -c ' /data ' /proc/mounts", "two\n1\n");
    container_end(fixture, creator.id);
}

static void a_kill_while_it_is_mounted_changes_nothing(void **state)
{
    static const char *const points[] = {"shim.image_volume.before_mount", "shim.image_volume.after_mount"};
    static const char *const killed[] = {"shim", "sandboxd", "imaged"};
    Runtime__V1__ImageSpec image = spec_of(data);
    struct fixture *fixture = *state;
    struct mount_list mounts = {.count = 0};
    struct scene scene;

    scene_open(&scene, fixture, "kills");
    image_mount_add(&mounts, &scene, &image, "/data")->image_sub_path = (char *)"dir/deep";
    for (size_t i = 0; i < 6; i++) {
        scene.container.metadata.attempt = (uint32_t)i;
        create_while_killing(fixture, &scene, points[i % 2], killed[i / 2]);
    }
    mount_list_fini(&mounts);
    scene_close(&scene);
}

static int images_open(void **state)
{
    autofree char *first = NULL, *second = NULL;

    if (fixture_open_with_failpoints(state) != 0)
        return -1;
    struct fixture *fixture = *state;
    check(registry_server_script(&fixture->registry, image_script));
    check(workload_pull(&fixture->work, data, &first));
    check(workload_pull(&fixture->work, bare, &second));
    free(fixture->census);
    fixture->census = node_census_at_rest(&fixture->node);
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        WITH_EACH_RUNTIME(an_images_files_are_there_and_nobody_changes_them),
        WITH_EACH_RUNTIME(a_sub_path_is_of_the_image_alone),
        WITH_EACH_RUNTIME(a_kill_while_it_is_mounted_changes_nothing),
        WITH_EACH_RUNTIME(a_removed_image_stays_a_volume),
    };

    return cmocka_run_group_tests(tests, images_open, fixture_close_with_failpoints);
}
