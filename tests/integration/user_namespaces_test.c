/* Pods with a user namespace: who is who inside and on the host, in their root, their volumes and their namespaces. */
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sys/ioctl.h>

#include "tests/integration/user_scene.h"

static void the_containers_root_is_nobody_on_the_host(void **state)
{
    struct fixture *fixture = *state;
    struct scene scene;

    scene_open(&scene, fixture, "root");
    autofree char *id = container_begin(fixture, &scene.container);
    script_prints(fixture, id, "id -u; id -g; tr -s ' ' < /proc/self/uid_map; tr -s ' ' < /proc/1/gid_map; cat /proc/self/setgroups",
                  "0\n0\n 0 700000 65536\n 0 800000 65536\nallow\n");
    autofree char *process = xasprintf("/proc/%d", container_pid(&scene, id));
    owner_is(process, UID_FIRST, GID_FIRST);
    scene_close(&scene);
}

/* The image's files are root's, as without a user namespace; what is written is, on the host, the pod's root's. */
static void the_root_file_system_is_the_containers(void **state)
{
    struct fixture *fixture = *state;
    struct scene scene;

    scene_open(&scene, fixture, "rootfs");
    autofree char *id = container_begin(fixture, &scene.container);
    script_prints(fixture, id, "stat -c '%u:%g %a %n' / /bin /bin/busybox /etc/passwd /dev/shm",
                  "0:0 755 /\n0:0 755 /bin\n0:0 755 /bin/busybox\n0:0 644 /etc/passwd\n0:0 1777 /dev/shm\n");
    free(script_output(fixture, id, "echo x >> /etc/passwd; touch /new; mkdir /dir; chown 1000:1000 /dir; touch /dev/shm/x", 0));
    autofree char *upper = xasprintf("%s/shim/%s/%s/upper", fixture->node.root, scene.pod_id, id);
    autofree char *passwd = xasprintf("%s/etc/passwd", upper), *new = xasprintf("%s/new", upper), *dir = xasprintf("%s/dir", upper);
    owner_is(passwd, UID_FIRST, GID_FIRST);
    owner_is(new, UID_FIRST, GID_FIRST);
    owner_is(dir, UID_FIRST + 1000, GID_FIRST + 1000);
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_EACH_RUNTIME(the_containers_root_is_nobody_on_the_host),
        WITH_EACH_RUNTIME(the_root_file_system_is_the_containers),
    };

    return cmocka_run_group_tests(tests, fixture_open_with_failpoints, fixture_close_with_failpoints);
}
