/* What a container finds in its file system: mounts, the pod's files, shared memory, what is hidden and what is
 * read-only. */
#include "tests/integration/volume_scene.h"

static void directories_and_files_are_mounted_to_be_written_or_only_read(void **state)
{
    struct fixture *fixture = *state;
    struct mount_list mounts = {.count = 0};
    struct scene scene;

    scene_open(&scene, fixture, "mounts");
    mount_add(&mounts, &scene, "", "/deep/made/for/it", false);
    mount_add(&mounts, &scene, "", "/readonly", true);
    mount_add(&mounts, &scene, "file", "/etc/one-file", false);
    mount_add(&mounts, &scene, "file", "/etc/passwd", true);
    mount_add(&mounts, &scene, "missing/dir", "/missing", false);
    mount_add(&mounts, &scene, "", "/readonly/missing", false); /* below another mount, and later than it */
    autofree char *id = container_begin(fixture, &scene.container);
    script_prints(fixture, id, "cat /deep/made/for/it/file /readonly/file /etc/one-file /etc/passwd",
                  "from the host\nfrom the host\nfrom the host\nfrom the host\n");
    script_prints(fixture, id, "echo written > /deep/made/for/it/new; cat /readonly/new", "written\n");
    autofree char *written = host_read(&scene, "new");
    assert_string_equal(written, "written\n");
    script_fails(fixture, id, "echo x > /readonly/file");
    script_fails(fixture, id, "echo x > /etc/passwd");
    script_prints(fixture, id, "echo changed > /etc/one-file; cat /readonly/file", "changed\n");
    script_prints(fixture, id, "echo x > /missing/x && ls /missing /readonly/missing/missing/dir",
                  "/missing:\nx\n\n/readonly/missing/missing/dir:\nx\n");
    scene_close(&scene);
    mount_list_fini(&mounts);
}

/* A mount of the host's that appears later is not in a private one. */
static void a_private_mount_neither_gives_nor_takes_mounts(void **state)
{
    struct fixture *fixture = *state;
    struct mount_list mounts = {.count = 0};
    struct scene scene;

    scene_open(&scene, fixture, "private");
    mount_add(&mounts, &scene, "", "/v", false);
    autofree char *id = container_begin(fixture, &scene.container);
    autofree char *later = xasprintf("mkdir %s/later && mount -t tmpfs none %s/later && touch %s/later/hidden",
                                     scene.volume, scene.volume, scene.volume);
    assert_int_equal(system(later), 0);
    script_prints(fixture, id, "ls /v/later; grep -c /v/later /proc/mounts; true", "0\n");
    autofree char *undo = xasprintf("umount %s/later", scene.volume);
    assert_int_equal(system(undo), 0);
    scene_close(&scene);
    mount_list_fini(&mounts);
}

static void the_pods_files_say_what_the_pod_is(void **state)
{
    static char *servers[] = {(char *)"10.96.0.10", (char *)"fd00::10"},
                *searches[] = {(char *)"a.test", (char *)"b.test"}, *options[] = {(char *)"ndots:5"};
    struct fixture *fixture = *state;
    struct pod_request pod;
    struct container_request container;
    autofree char *ip = NULL;

    pod_request_init(&pod, &fixture->node, "files", false);
    pod.config.hostname = (char *)"a-name-of-its-own";
    pod.dns.servers = servers, pod.dns.n_servers = 2;
    pod.dns.searches = searches, pod.dns.n_searches = 2;
    pod.dns.options = options, pod.dns.n_options = 1;
    pod.config.dns_config = &pod.dns;
    char *pod_id = pod_begin(fixture, &pod);
    container_request_init(&container, &pod, pod_id, "main", busybox, sleeping);
    autofree char *id = container_begin(fixture, &container);
    check(workload_pod_ip(&fixture->work, pod_id, &ip));
    script_prints(fixture, id, "cat /etc/resolv.conf",
                  "search a.test b.test\nnameserver 10.96.0.10\nnameserver fd00::10\noptions ndots:5\n");
    script_prints(fixture, id, "hostname; cat /etc/hostname; echo $HOSTNAME",
                  "a-name-of-its-own\na-name-of-its-own\na-name-of-its-own\n");
    autofree char *line = xasprintf("%s a-name-of-its-own\n", ip);
    script_prints(fixture, id, "grep a-name /etc/hosts | tr '\\t' ' '", line);
    script_prints(fixture, id,
                  "grep -c '^127.0.0.1.localhost' /etc/hosts; ping -c 1 a-name-of-its-own > /dev/null && echo found",
                  "1\nfound\n");
    script_prints(fixture, id, "echo 1.2.3.4 more >> /etc/hosts && grep -c more /etc/hosts", "1\n");
    pod_end(fixture, pod_id);
    container_request_fini(&container);
    pod_request_fini(&pod);
}

/* As kubelet does with /etc/hosts, and as it could with the others. */
static void a_clients_own_mount_takes_the_place_of_a_pods_file(void **state)
{
    struct fixture *fixture = *state;
    struct mount_list mounts = {.count = 0};
    struct scene scene;

    scene_open(&scene, fixture, "own");
    mount_add(&mounts, &scene, "file", "/etc/hosts", false);
    mount_add(&mounts, &scene, "file", "/etc/resolv.conf", false);
    mount_add(&mounts, &scene, "", "/dev/shm", false);
    autofree char *id = container_begin(fixture, &scene.container);
    script_prints(fixture, id, "cat /etc/hosts /etc/resolv.conf /dev/shm/file",
                  "from the host\nfrom the host\nfrom the host\n");
    script_prints(fixture, id, "grep -c ' /etc/hosts ' /proc/mounts; grep -c ' /dev/shm ' /proc/mounts", "1\n1\n");
    scene_close(&scene);
    mount_list_fini(&mounts);
}

static void shared_memory_is_the_pods_and_64_megabytes(void **state)
{
    struct fixture *fixture = *state;
    struct scene scene;

    scene_open(&scene, fixture, "memory");
    autofree char *first = container_begin(fixture, &scene.container);
    scene.container.metadata.name = (char *)"second";
    autofree char *second = container_begin(fixture, &scene.container);
    scene.container.metadata.name = (char *)"alone";
    scene.container.namespaces.ipc = RUNTIME__V1__NAMESPACE_MODE__CONTAINER;
    autofree char *alone = container_begin(fixture, &scene.container);
    script_prints(fixture, first, "echo shared > /dev/shm/x; df -m /dev/shm | tail -1 | tr -s ' ' | cut -d' ' -f2",
                  "64\n");
    script_prints(fixture, first, "stat -c %a /dev/shm", "1777\n");
    script_prints(fixture, second, "cat /dev/shm/x", "shared\n");
    script_prints(fixture, alone, "ls /dev/shm; df -m /dev/shm | tail -1 | tr -s ' ' | cut -d' ' -f2", "64\n");
    scene_close(&scene);
}

static void a_read_only_root_can_be_written_nowhere_but_in_mounts(void **state)
{
    struct fixture *fixture = *state;
    struct mount_list mounts = {.count = 0};
    struct scene scene;

    scene_open(&scene, fixture, "readonly");
    mount_add(&mounts, &scene, "", "/v", false);
    scene.container.context.readonly_rootfs = true;
    autofree char *id = container_begin(fixture, &scene.container);
    script_fails(fixture, id, "echo x > /x");
    script_fails(fixture, id, "mkdir /etc/x");
    script_fails(fixture, id, "echo x >> /etc/hosts");
    script_prints(fixture, id, "echo x > /v/x && echo y > /dev/shm/y && echo z > /dev/null && echo fine", "fine\n");
    scene.container.metadata.name = (char *)"writable";
    scene.container.context.readonly_rootfs = false;
    autofree char *writable = container_begin(fixture, &scene.container);
    script_prints(fixture, writable, "echo x > /x && rm /bin/ls && ! test -e /bin/ls && echo fine", "fine\n");
    script_prints(fixture, id, "test -e /bin/ls && ! test -e /x && echo untouched", "untouched\n");
    scene_close(&scene);
    mount_list_fini(&mounts);
}

/* kubelet's lists, in short: a file, a directory, one that is not there; a directory to be read only. */
static void masked_paths_are_empty_and_read_only_ones_refuse_writes(void **state)
{
    static char *masked[] = {(char *)"/proc/version", (char *)"/sys/firmware", (char *)"/proc/no-such-thing"},
                *readonly[] = {(char *)"/proc/sys", (char *)"/proc/sysrq-trigger", (char *)"/proc/nothing"};
    struct fixture *fixture = *state;
    struct scene scene;

    scene_open(&scene, fixture, "masked");
    scene.container.context.masked_paths = masked, scene.container.context.n_masked_paths = 3;
    scene.container.context.readonly_paths = readonly, scene.container.context.n_readonly_paths = 3;
    autofree char *id = container_begin(fixture, &scene.container);
    script_prints(fixture, id, "head -c 1 /proc/version | wc -c; ls /sys/firmware | wc -l", "0\n0\n");
    script_prints(fixture, id,
                  "grep -c ' /proc/version ' /proc/mounts; grep -e ' /sys/firmware ' /proc/mounts | cut -d' ' -f3",
                  "1\ntmpfs\n");
    script_fails(fixture, id, "echo 1 > /proc/sys/vm/drop_caches");
    script_prints(fixture, id, "grep ' /proc/sys ' /proc/mounts | grep -c '[ ,]ro[ ,]'", "1\n");
    scene.container.metadata.name = (char *)"unmasked";
    scene.container.context.n_masked_paths = scene.container.context.n_readonly_paths = 0;
    autofree char *unmasked = container_begin(fixture, &scene.container);
    script_prints(fixture, unmasked, "grep -c -e ' /proc/sys ' -e ' /proc/version ' /proc/mounts; true", "0\n");
    scene_close(&scene);
}

/* What every container has, whatever it asks for. */
static void the_system_directories_are_as_everywhere(void **state)
{
    struct fixture *fixture = *state;
    struct scene scene;

    scene_open(&scene, fixture, "system");
    autofree char *id = container_begin(fixture, &scene.container);
    script_prints(
        fixture, id,
        "for d in /proc /dev /dev/pts /dev/mqueue /sys; do grep \" $d \" /proc/mounts | cut -d' ' -f2,3; done",
        "/proc proc\n/dev tmpfs\n/dev/pts devpts\n/dev/mqueue mqueue\n/sys sysfs\n");
    script_prints(fixture, id, "for n in null zero full random urandom tty; do test -c /dev/$n || echo $n; done", "");
    script_fails(fixture, id, "cd /sys/fs/cgroup; test ! -d memory || cd memory; mkdir x");
    script_fails(fixture, id, "mknod /dev/mem0 c 1 1 && head -c 1 /dev/mem0");
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_EACH_RUNTIME(directories_and_files_are_mounted_to_be_written_or_only_read),
        WITH_EACH_RUNTIME(a_private_mount_neither_gives_nor_takes_mounts),
        WITH_EACH_RUNTIME(the_pods_files_say_what_the_pod_is),
        WITH_EACH_RUNTIME(a_clients_own_mount_takes_the_place_of_a_pods_file),
        WITH_EACH_RUNTIME(shared_memory_is_the_pods_and_64_megabytes),
        WITH_EACH_RUNTIME(a_read_only_root_can_be_written_nowhere_but_in_mounts),
        WITH_EACH_RUNTIME(masked_paths_are_empty_and_read_only_ones_refuse_writes),
        WITH_EACH_RUNTIME(the_system_directories_are_as_everywhere),
    };

    cmocka_set_test_filter(getenv("BULKHEAD_TEST_FILTER"));
    return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
