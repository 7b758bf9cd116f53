/* Mounts that are more than a private bind: propagation, read-only all the way down, options, sources that are links. */
#include <sys/mount.h>

#include "tests/integration/volume_scene.h"

static void tmpfs_mount(const char *path)
{
    assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
    assert_int_equal(mount("none", path, "tmpfs", 0, "size=1m"), 0);
}

/* The scene's volume becomes a mount of its own, of the wanted propagation. */
static void volume_mount(const struct scene *scene, unsigned long propagation)
{
    tmpfs_mount(scene->volume);
    assert_int_equal(mount(NULL, scene->volume, NULL, propagation, NULL), 0);
}

static void volume_unmount(const struct scene *scene)
{
    while (umount2(scene->volume, MNT_DETACH) == 0)
        continue;
}

static struct mount_list *mounts_of(struct mount_list *mounts, struct scene *scene, const char *target,
                                    Runtime__V1__MountPropagation propagation)
{
    *mounts = (struct mount_list){.count = 0};
    mount_add(mounts, scene, "", target, false);
    mounts->mounts[0].propagation = propagation;
    return mounts;
}

static bool host_has_mount(const char *path)
{
    autofree char *text = NULL, *wanted = xasprintf(" %s ", path);
    size_t size = 0;

    check(file_read_all("/proc/self/mountinfo", 1 << 20, &text, &size));
    return strstr(text, wanted) != NULL;
}

static void a_mount_of_the_hosts_comes_into_a_slave_and_none_goes_out(void **state)
{
    struct fixture *fixture = *state;
    struct mount_list mounts;
    struct scene scene;

    scene_open(&scene, fixture, "slave");
    volume_mount(&scene, MS_SHARED);
    mounts_of(&mounts, &scene, "/v", RUNTIME__V1__MOUNT_PROPAGATION__PROPAGATION_HOST_TO_CONTAINER);
    autofree char *id = container_begin(fixture, &scene.container);
    autofree char *later = xasprintf("%s/later", scene.volume);
    tmpfs_mount(later);
    script_prints(fixture, id, "grep -c ' /v/later ' /proc/mounts", "1\n");
    assert_int_equal(umount2(later, 0), 0);
    script_prints(fixture, id, "grep -c ' /v/later ' /proc/mounts; true", "0\n");
    mount_list_fini(&mounts);
    volume_unmount(&scene);
    scene_close(&scene);
}

static void a_containers_mount_goes_out_of_a_shared_one(void **state)
{
    struct fixture *fixture = *state;
    struct mount_list mounts;
    struct scene scene;

    scene_open_privileged(&scene, fixture, "shared");
    volume_mount(&scene, MS_SHARED);
    mounts_of(&mounts, &scene, "/v", RUNTIME__V1__MOUNT_PROPAGATION__PROPAGATION_BIDIRECTIONAL);
    autofree char *id = container_begin(fixture, &scene.container);
    autofree char *inner = xasprintf("%s/inner", scene.volume), *later = xasprintf("%s/later", scene.volume);
    script_prints(fixture, id, "mkdir /v/inner && mount -t tmpfs none /v/inner && echo mounted", "mounted\n");
    assert_true(host_has_mount(inner));
    tmpfs_mount(later);
    script_prints(fixture, id, "grep -c ' /v/later ' /proc/mounts; umount /v/later; umount /v/inner", "1\n");
    assert_false(host_has_mount(inner));
    assert_false(host_has_mount(later));
    mount_list_fini(&mounts);
    volume_unmount(&scene);
    scene_close(&scene);
}

static void what_cannot_propagate_is_refused(void **state)
{
    static const struct {
        Runtime__V1__MountPropagation wanted;
        unsigned long propagation;
        const char *words; /* NULL: it is taken */
    } cases[] = {
        {RUNTIME__V1__MOUNT_PROPAGATION__PROPAGATION_BIDIRECTIONAL, MS_PRIVATE, ", which is not shared"},
        {RUNTIME__V1__MOUNT_PROPAGATION__PROPAGATION_HOST_TO_CONTAINER, MS_PRIVATE, ", which is neither shared nor a slave"},
        {RUNTIME__V1__MOUNT_PROPAGATION__PROPAGATION_HOST_TO_CONTAINER, MS_SHARED, NULL},
        {RUNTIME__V1__MOUNT_PROPAGATION__PROPAGATION_BIDIRECTIONAL, MS_SLAVE, ", which is not shared"},
        {RUNTIME__V1__MOUNT_PROPAGATION__PROPAGATION_HOST_TO_CONTAINER, MS_SLAVE, NULL},
    };
    struct fixture *fixture = *state;
    struct mount_list mounts;
    struct scene scene;

    scene_open_privileged(&scene, fixture, "refused");
    volume_mount(&scene, MS_SHARED);
    mounts_of(&mounts, &scene, "/v", RUNTIME__V1__MOUNT_PROPAGATION__PROPAGATION_PRIVATE);
    autofree char *below = xasprintf("%s/below", scene.volume);
    assert_int_equal(mkdir(below, 0755), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *id = NULL;
        assert_int_equal(mount(NULL, scene.volume, NULL, MS_SHARED, NULL), 0);
        assert_int_equal(mount(scene.volume, below, NULL, MS_BIND, NULL), 0); /* a peer, so that a slave has a master */
        assert_int_equal(mount(NULL, scene.volume, NULL, cases[i].propagation, NULL), 0);
        mounts.mounts[0].propagation = cases[i].wanted;
        struct error *error = container_request_send(&scene.container, fixture->node.client, &id);
        if (cases[i].words)
            check_refused(error, ERROR_FAILED_PRECONDITION, cases[i].words);
        else
            check(error);
        if (id)
            container_end(fixture, id);
        umount2(below, MNT_DETACH);
    }
    mount_list_fini(&mounts);
    volume_unmount(&scene);
    scene_close(&scene);
}

static void read_only_goes_all_the_way_down_but_for_mounts_of_their_own(void **state)
{
    static const char *const script =
        "for d in /plain /plain/sub /whole /whole/sub \"/whole/a b\" /whole/own /other; do touch $d/x 2>/dev/null && echo $d; done; true";
    struct fixture *fixture = *state;
    struct mount_list mounts = {.count = 0};
    struct scene scene;

    scene_open(&scene, fixture, "recursive");
    volume_mount(&scene, MS_PRIVATE);
    autofree char *sub = xasprintf("%s/sub", scene.volume), *spaced = xasprintf("%s/a b", scene.volume);
    autofree char *own = xasprintf("%s/own", scene.volume);
    tmpfs_mount(sub);
    tmpfs_mount(spaced);
    assert_int_equal(mkdir(own, 0755), 0);
    mount_add(&mounts, &scene, "", "/plain", true);
    mount_add(&mounts, &scene, "", "/whole", true);
    mount_add(&mounts, &scene, "own", "/whole/own", false);
    mount_add(&mounts, &scene, "", "/other", true);
    mounts.mounts[1].recursive_read_only = true;
    mounts.mounts[3].recursive_read_only = true;
    autofree char *id = container_begin(fixture, &scene.container);
    script_prints(fixture, id, script, "/plain/sub\n/whole/own\n");
    script_prints(fixture, id, "touch /other/sub/x 2>/dev/null || echo refused", "refused\n");
    mount_list_fini(&mounts);
    volume_unmount(&scene);
    scene_close(&scene);
}

static void read_only_stays_when_who_made_it_dies(void **state)
{
    static const char *const killed[] = {"sandboxd", "shim"};
    struct fixture *fixture = *state;

    for (int i = 0; i < 2; i++) {
        struct mount_list mounts = {.count = 0};
        struct scene scene;
        scene_open(&scene, fixture, killed[i]);
        volume_mount(&scene, MS_PRIVATE);
        autofree char *sub = xasprintf("%s/sub", scene.volume);
        tmpfs_mount(sub);
        mount_add(&mounts, &scene, "", "/whole", true);
        mounts.mounts[0].recursive_read_only = true;
        autofree char *id = NULL;
        check(container_request_send(&scene.container, fixture->node.client, &id));
        check(node_kill(&fixture->node, killed[i]));
        check(workload_start(&fixture->work, id));
        script_prints(fixture, id, "touch /whole/sub/x 2>/dev/null || echo refused", "refused\n");
        mount_list_fini(&mounts);
        volume_unmount(&scene);
        scene_close(&scene);
    }
}

static void options_of_a_mount_count_in_the_container(void **state)
{
    static char *options[] = {(char *)"noexec", (char *)"nodev", (char *)"nosuid"};
    struct fixture *fixture = *state;
    struct mount_list mounts = {.count = 0};
    struct scene scene;

    scene_open(&scene, fixture, "options");
    mount_add(&mounts, &scene, "", "/plain", false);
    mount_add(&mounts, &scene, "", "/bare", false);
    mounts.mounts[1].mount_options = options;
    mounts.mounts[1].n_mount_options = 3;
    autofree char *id = container_begin(fixture, &scene.container);
    script_prints(fixture, id, "cp /bin/busybox /plain/ && /plain/busybox echo runs; /bare/busybox echo runs 2>/dev/null || echo refused",
                  "runs\nrefused\n");
    script_prints(fixture, id, "grep ' /bare ' /proc/mounts | cut -d' ' -f4 | tr , '\\n' | grep -E '^(rw|nosuid|nodev|noexec)$' | wc -l", "4\n");
    mount_list_fini(&mounts);
    scene_close(&scene);
}

static void a_source_may_be_a_link_and_one_that_leads_nowhere_is_named(void **state)
{
    struct fixture *fixture = *state;
    struct mount_list mounts = {.count = 0};
    struct scene scene;
    char *id = NULL;

    scene_open(&scene, fixture, "links");
    autofree char *link = xasprintf("%s/link", scene.volume), *broken = xasprintf("%s/broken", scene.volume);
    assert_int_equal(symlink("file", link), 0);
    assert_int_equal(symlink("absent", broken), 0);
    mount_add(&mounts, &scene, "link", "/through", false);
    autofree char *first = container_begin(fixture, &scene.container);
    script_prints(fixture, first, "cat /through", "from the host\n");
    check(workload_remove(&fixture->work, first));
    mount_add(&mounts, &scene, "broken", "/broken", false);
    check_refused(container_request_send(&scene.container, fixture->node.client, &id), ERROR_NOT_FOUND, "/broken leads to what is not there");
    mount_list_fini(&mounts);
    scene_close(&scene);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        WITH_EACH_RUNTIME(a_mount_of_the_hosts_comes_into_a_slave_and_none_goes_out),
        WITH_EACH_RUNTIME(a_containers_mount_goes_out_of_a_shared_one),
        WITH_EACH_RUNTIME(what_cannot_propagate_is_refused),
        WITH_EACH_RUNTIME(read_only_goes_all_the_way_down_but_for_mounts_of_their_own),
        WITH_EACH_RUNTIME(read_only_stays_when_who_made_it_dies),
        WITH_EACH_RUNTIME(options_of_a_mount_count_in_the_container),
        WITH_EACH_RUNTIME(a_source_may_be_a_link_and_one_that_leads_nowhere_is_named),
    };

    return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
