/* Pods with a user namespace: who is who inside and on the host, in their root, their volumes and their namespaces.
 * BULKHEAD_TEST_FILTER runs some. */
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>

#include "tests/integration/user_pod.h"

static void the_containers_root_is_nobody_on_the_host(void **state)
{
    struct fixture *fixture = *state;
    struct user_pod user;

    user_pod_open(&user, fixture, "root");
    autofree char *id = container_begin(fixture, &user.container);
    script_prints(fixture, id, "id -u; id -g; tr -s ' ' < /proc/self/uid_map; tr -s ' ' < /proc/1/gid_map; cat /proc/self/setgroups",
                  "0\n0\n 0 700000 65536\n 0 800000 65536\nallow\n");
    autofree char *process = xasprintf("/proc/%d", container_pid(&user, id));
    owner_is(process, UID_FIRST, GID_FIRST);
    user_pod_close(&user);
}

/* --- files ----------------------------------------------------------------------------------------------------------- */

/* The image's files are root's, as without a user namespace; what is written is, on the host, the pod's root's. */
static void the_root_file_system_is_the_containers(void **state)
{
    struct fixture *fixture = *state;
    struct user_pod user;

    user_pod_open(&user, fixture, "rootfs");
    autofree char *id = container_begin(fixture, &user.container);
    script_prints(fixture, id, "stat -c '%u:%g %a %n' / /bin /bin/busybox /etc/passwd /dev/shm",
                  "0:0 755 /\n0:0 755 /bin\n0:0 755 /bin/busybox\n0:0 644 /etc/passwd\n0:0 1777 /dev/shm\n");
    free(script_output(fixture, id, "echo x >> /etc/passwd; touch /new; mkdir /dir; chown 1000:1000 /dir; touch /dev/shm/x", 0));
    autofree char *upper = xasprintf("%s/shim/%s/%s/upper", fixture->node.root, user.pod_id, id);
    autofree char *passwd = xasprintf("%s/etc/passwd", upper), *new = xasprintf("%s/new", upper), *dir = xasprintf("%s/dir", upper);
    owner_is(passwd, UID_FIRST, GID_FIRST);
    owner_is(new, UID_FIRST, GID_FIRST);
    owner_is(dir, UID_FIRST + 1000, GID_FIRST + 1000);
    script_prints(fixture, id, "rm /bin/busybox && echo gone", "gone\n"); /* a whiteout */
    user_pod_close(&user);
}

/* The kubelet asks for mapped owners where the file system has them; else root's files are nobody's. */
static void a_volumes_owners_are_mapped_where_it_is_asked_for(void **state)
{
    struct fixture *fixture = *state;
    struct user_pod user;

    user_pod_open(&user, fixture, "volume");
    volume_make(&user);
    volume_mounts(&user);
    autofree char *id = container_begin(fixture, &user.container);
    script_prints(fixture, id, "stat -c '%u:%g' /mapped /mapped/root /mapped/user", "0:0\n0:0\n1000:1000\n");
    script_prints(fixture, id, "stat -c '%u:%g' /plain /plain/root /plain/user", "65534:65534\n65534:65534\n65534:65534\n");
    script_prints(fixture, id, "touch /mapped/new; touch /mapped/given; chown 5:6 /mapped/given; stat -c '%u:%g' /mapped/given; "
                               "echo more >> /mapped/root; cat /plain/root", "5:6\nroot\nmore\n");
    script_fails(fixture, id, "touch /plain/new");
    script_fails(fixture, id, "echo more >> /plain/root");
    volume_owner_is(&user, "new", 0, 0);
    volume_owner_is(&user, "given", 5, 6);
    volume_owner_is(&user, "root", 0, 0);
    user_pod_close(&user);
}

/* Without a mapping what the pod's root writes is its own on the host. */
static void a_plain_volume_that_is_open_to_all_gets_the_hosts_numbers(void **state)
{
    struct fixture *fixture = *state;
    struct user_pod user;

    user_pod_open(&user, fixture, "open");
    volume_make(&user);
    volume_mounts(&user);
    assert_int_equal(chmod(user.volume, 0777), 0);
    autofree char *id = container_begin(fixture, &user.container);
    script_prints(fixture, id, "touch /plain/new; stat -c '%u:%g' /plain/new", "0:0\n");
    volume_owner_is(&user, "new", UID_FIRST, GID_FIRST);
    user_pod_close(&user);
}

/* A source that only the host's root can reach, a file as a source, and one that is read-only. */
static void sources_may_be_files_and_out_of_reach(void **state)
{
    struct fixture *fixture = *state;
    struct user_pod user;

    user_pod_open(&user, fixture, "reach");
    volume_make(&user);
    volume_mounts(&user);
    autofree char *closed = xasprintf("%s/closed", user.volume), *inside = xasprintf("%s/inside", closed),
                  *file = xasprintf("%s/root", user.volume);
    assert_int_equal(mkdir(closed, 0700), 0);
    assert_int_equal(mkdir(inside, 0755), 0);
    assert_int_equal(chmod(inside, 0777), 0);
    user.mounts[0].host_path = file;
    user.mounts[0].readonly = true;
    user.mounts[1].host_path = inside;
    autofree char *id = container_begin(fixture, &user.container);
    script_prints(fixture, id, "cat /mapped; stat -c %u /mapped; echo x 2>/dev/null > /mapped || echo refused; touch /plain/x && echo made",
                  "root\n0\nrefused\nmade\n");
    user_pod_close(&user);
}

static void the_pods_files_are_the_containers(void **state)
{
    struct fixture *fixture = *state;
    struct user_pod user;

    user_pod_open(&user, fixture, "files");
    autofree char *id = container_begin(fixture, &user.container);
    script_prints(fixture, id, "for f in hosts resolv.conf hostname; do stat -c %u /etc/$f | grep -v 65534 > /dev/null && echo x >> /etc/$f && echo $f; done",
                  "hosts\nresolv.conf\nhostname\n");
    user_pod_close(&user);
}

static size_t mounts_with(const char *text)
{
    FILE *mounts = fopen("/proc/self/mountinfo", "r");
    char line[4096];
    size_t count = 0;

    assert_non_null(mounts);
    while (fgets(line, sizeof(line), mounts))
        count += strstr(line, text) != NULL;
    fclose(mounts);
    return count;
}

/* A volume that stays mounted somewhere can't be unmounted by who gave it. */
static void what_was_staged_is_gone_when_the_container_is_made(void **state)
{
    struct fixture *fixture = *state;
    struct user_pod user;
    char *id = NULL;

    user_pod_open(&user, fixture, "staged");
    volume_make(&user);
    volume_mounts(&user);
    autofree char *staged = xasprintf("shim/%s/mounts", user.pod_id);
    check(container_request_send(&user.container, fixture->node.client, &id));
    assert_int_equal(mounts_with(staged), 0);
    assert_int_equal(mounts_with("volume-staged"), 0);
    free(id);
    user_pod_close(&user);
}

/* Mounts below the volume: they are there, later ones come where that is asked for, read-only is so all the way down, and the
 * host's stay when what was staged goes. */
static void mounts_below_a_volume_are_the_hosts(void **state)
{
    struct fixture *fixture = *state;
    struct user_pod user;

    user_pod_open(&user, fixture, "below");
    volume_make(&user);
    volume_mounts(&user);
    autofree char *prepare = xasprintf("mount --bind %s %s && mount --make-private %s && mount --make-shared %s && cd %s && "
                                       "mkdir sub later && mount -t tmpfs none sub && chmod 777 sub && mkdir sub/deep && mount -t tmpfs none sub/deep",
                                       user.volume, user.volume, user.volume, user.volume, user.volume);
    autofree char *late = xasprintf("mount -t tmpfs -o mode=755 none %s/later", user.volume), *finish = xasprintf("umount -R %s", user.volume);
    assert_int_equal(system(prepare), 0);
    user.mounts[0].propagation = RUNTIME__V1__MOUNT_PROPAGATION__PROPAGATION_HOST_TO_CONTAINER;
    mount_fill(&user, 1, "/still", user.volume);
    mount_map(&user, 1);
    user.mounts[1].readonly = user.mounts[1].recursive_read_only = true;
    autofree char *id = container_begin(fixture, &user.container);
    autofree char *below = xasprintf("%s/sub ", user.volume);
    assert_int_equal(mounts_with(below), 1);
    assert_int_equal(system(late), 0);
    script_prints(fixture, id, "grep -c -e ' /mapped/sub ' -e ' /mapped/sub/deep ' -e ' /mapped/later ' /proc/mounts; touch /mapped/sub/x && echo made; "
                               "touch /still/sub/y 2>/dev/null || echo refused", "3\nmade\nrefused\n");
    check(workload_remove(&fixture->work, id));
    assert_int_equal(mounts_with(below), 1);
    assert_int_equal(system(finish), 0);
    user_pod_close(&user);
}

/* As monitoring has it. */
static void the_hosts_root_may_be_a_volume(void **state)
{
    struct fixture *fixture = *state;
    struct user_pod user;

    user_pod_open(&user, fixture, "host");
    volume_make(&user);
    volume_mounts(&user);
    mount_fill(&user, 1, "/host", "/");
    user.mounts[1].readonly = true;
    autofree char *id = container_begin(fixture, &user.container);
    script_prints(fixture, id, "test -d /host/proc/1 && echo proc; test -c /host/dev/null && echo dev; touch /host/x 2>/dev/null || echo refused",
                  "proc\ndev\nrefused\n");
    user_pod_close(&user);
}

static void an_images_files_are_roots_in_a_volume_too(void **state)
{
    static Runtime__V1__ImageSpec image = RUNTIME__V1__IMAGE_SPEC__INIT;
    struct fixture *fixture = *state;
    struct user_pod user;

    image.image = (char *)busybox;
    user_pod_open(&user, fixture, "image");
    volume_make(&user);
    volume_mounts(&user);
    mount_fill(&user, 1, "/image", "");
    mount_map(&user, 1);
    user.mounts[1].image = &image;
    user.mounts[1].readonly = true;
    autofree char *id = container_begin(fixture, &user.container);
    script_prints(fixture, id, "stat -c '%u:%g %a' /image/etc /image/etc/passwd; touch /image/x 2>/dev/null || echo refused",
                  "0:0 755\n0:0 644\nrefused\n");
    user_pod_close(&user);
}

static void a_file_system_that_cannot_map_is_named_and_nothing_stays(void **state)
{
    struct fixture *fixture = *state;
    struct user_pod user;
    char *id = NULL;

    user_pod_open(&user, fixture, "refused");
    volume_make(&user);
    volume_mounts(&user);
    mount_fill(&user, 1, "/proc-too", "/proc/sys");
    mount_map(&user, 1);
    check_refused(container_request_send(&user.container, fixture->node.client, &id), ERROR_FAILED_PRECONDITION,
                  "map the owners of /proc/sys");
    autofree char *staged = xasprintf("shim/%s/mounts", user.pod_id);
    assert_int_equal(mounts_with(staged), 0);
    user_pod_close(&user);
}

/* --- namespaces ------------------------------------------------------------------------------------------------------ */

static ino_t inode_of_fd(int fd)
{
    struct stat about;

    assert_int_equal(fstat(fd, &about), 0);
    return about.st_ino;
}

/* Whose is it, as the kernel says? */
static void namespace_belongs(pid_t pid, const char *kind)
{
    autofree char *path = xasprintf("/proc/%d/ns/%s", pid, kind), *own = xasprintf("/proc/%d/ns/user", pid);
    autoclose int fd = open(path, O_RDONLY | O_CLOEXEC), user = open(own, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0 && user >= 0);
    autoclose int owner = ioctl(fd, NS_GET_USERNS);
    if (owner < 0 || inode_of_fd(owner) != inode_of_fd(user))
        fail_msg("the %s namespace is not the pod's user namespace's", kind);
}

static void namespaces_are_the_user_namespaces(struct fixture *fixture, const char *name, Runtime__V1__NamespaceMode pid_mode)
{
    static const char *const kinds[] = {"net", "ipc", "uts", "pid", "mnt"};
    struct user_pod user;

    user_pod_make(&user, fixture, name);
    user.pod.namespaces.pid = pid_mode;
    user_pod_begin(&user);
    user.container.namespaces.pid = pid_mode;
    autofree char *id = container_begin(fixture, &user.container);
    pid_t pid = container_pid(&user, id);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        namespace_belongs(pid, kinds[i]);
    user.container.metadata.name = (char *)"second";
    autofree char *second = container_begin(fixture, &user.container);
    autofree char *shown = script_output(fixture, id, "readlink /proc/self/ns/user", 0);
    script_prints(fixture, second, "readlink /proc/self/ns/user", shown);
    autofree char *host = xasprintf("grep -c . /proc/self/uid_map; ps | grep -c '[s]leep 1000'");
    script_prints(fixture, second, host, pid_mode == RUNTIME__V1__NAMESPACE_MODE__POD ? "1\n2\n" : "1\n1\n");
    user_pod_close(&user);
}

static void all_namespaces_belong_to_the_pods_user_namespace(void **state)
{
    namespaces_are_the_user_namespaces(*state, "owned", RUNTIME__V1__NAMESPACE_MODE__CONTAINER);
    namespaces_are_the_user_namespaces(*state, "shared", RUNTIME__V1__NAMESPACE_MODE__POD);
}

/* The first process of a shared PID namespace is no way to the host's root. */
static void a_shared_pid_namespace_has_nobody_of_the_hosts(void **state)
{
    struct fixture *fixture = *state;
    struct user_pod user;

    user_pod_make(&user, fixture, "nobody");
    user.pod.namespaces.pid = RUNTIME__V1__NAMESPACE_MODE__POD;
    user_pod_begin(&user);
    user.container.namespaces.pid = RUNTIME__V1__NAMESPACE_MODE__POD;
    autofree char *id = container_begin(fixture, &user.container);
    script_prints(fixture, id, "stat -c %u /proc/1; grep -E '^(Uid|Gid|Groups)' /proc/1/status | tr -s '\\t ' ' '",
                  "0\nUid: 0 0 0 0\nGid: 0 0 0 0\nGroups: \n");
    user_pod_close(&user);
}

static void one_may_join_anothers_pid_namespace(void **state)
{
    struct fixture *fixture = *state;
    struct user_pod user;

    user_pod_open(&user, fixture, "target");
    autofree char *id = container_begin(fixture, &user.container);
    user.container.metadata.name = (char *)"debugger";
    user.container.namespaces.pid = RUNTIME__V1__NAMESPACE_MODE__TARGET;
    user.container.namespaces.target_id = id;
    autofree char *second = container_begin(fixture, &user.container);
    script_prints(fixture, second, "tr '\\0' ' ' < /proc/1/cmdline; echo $$ > /dev/null; ps | grep -c '[s]leep 1000'", "/bin/sleep 1000 2\n");
    user_pod_close(&user);
}

static void the_network_is_the_pods_and_reached(void **state)
{
    static const char *const serving[] = {"/bin/sh", "-c", "while :; do nc -l -p 8080 -e echo hello; done", NULL};
    static Runtime__V1__PortMapping port = RUNTIME__V1__PORT_MAPPING__INIT, *ports[] = {&port};
    struct fixture *fixture = *state;
    struct user_pod user;

    port.container_port = 8080, port.host_port = 18081;
    user_pod_make(&user, fixture, "network");
    user.pod.config.port_mappings = ports, user.pod.config.n_port_mappings = 1;
    user_pod_begin(&user);
    user.container.config.command = (char **)serving;
    user.container.config.n_command = 3;
    autofree char *id = container_begin(fixture, &user.container);
    script_prints(fixture, id, "ip -o link | cut -d: -f2 | cut -d@ -f1; ping -c 1 127.0.0.1 > /dev/null && echo answered",
                  " lo\n eth0\nanswered\n"); /* its CAP_NET_RAW counts there */
    assert_int_equal(system("for i in $(seq 100); do busybox nc 127.0.0.1 18081 2>/dev/null < /dev/null | grep -q hello && exit 0; sleep 0.1; done; exit 1"), 0);
    user_pod_close(&user);
}

static Runtime__V1__LinuxPodSandboxConfig__SysctlsEntry sysctl_entry(const char *key, const char *value)
{
    Runtime__V1__LinuxPodSandboxConfig__SysctlsEntry entry = RUNTIME__V1__LINUX_POD_SANDBOX_CONFIG__SYSCTLS_ENTRY__INIT;

    entry.key = (char *)key, entry.value = (char *)value;
    return entry;
}

static void sysctls_are_set(void **state)
{
    struct fixture *fixture = *state;
    Runtime__V1__LinuxPodSandboxConfig__SysctlsEntry entries[] = {
        sysctl_entry("net.ipv4.ip_unprivileged_port_start", "80"), sysctl_entry("kernel.msgmax", "4096"),
        sysctl_entry("kernel.shm_rmid_forced", "1"), sysctl_entry("fs.mqueue.msg_max", "7")};
    Runtime__V1__LinuxPodSandboxConfig__SysctlsEntry *pointers[] = {&entries[0], &entries[1], &entries[2], &entries[3]};
    struct user_pod user;

    user_pod_make(&user, fixture, "sysctls");
    user.pod.system.sysctls = pointers, user.pod.system.n_sysctls = 4;
    user_pod_begin(&user);
    autofree char *id = container_begin(fixture, &user.container);
    script_prints(fixture, id, "cd /proc/sys; cat net/ipv4/ip_unprivileged_port_start kernel/msgmax kernel/shm_rmid_forced fs/mqueue/msg_max; "
                               "hostname", "80\n4096\n1\n7\nsysctls\n");
    user_pod_close(&user);
}

/* --- streams --------------------------------------------------------------------------------------------------------- */

static Runtime__V1__Int64Value user_number(int64_t number)
{
    Runtime__V1__Int64Value value = RUNTIME__V1__INT64_VALUE__INIT;

    value.value = number;
    return value;
}

/* A user of the container's can open what it has for output, and its log has what it wrote. */
static void output_can_be_opened_again_by_whom_it_is_for(void **state)
{
    static const char *const writing[] = {"/bin/sh", "-c", "echo one > /dev/stdout; echo two > /dev/stderr; sleep 1000", NULL};
    struct fixture *fixture = *state;
    Runtime__V1__Int64Value number = user_number(1000);
    struct user_pod user;

    user_pod_open(&user, fixture, "output");
    user.container.config.command = (char **)writing;
    user.container.config.n_command = 3;
    user.container.context.run_as_user = &number;
    autofree char *id = container_begin(fixture, &user.container);
    autofree char *log = xasprintf("for i in $(seq 100); do grep -q 'stdout F one' %s/main.log && grep -q 'stderr F two' %s/main.log && "
                                   "exit 0; sleep 0.1; done; cat %s/main.log; exit 1", user.pod.logs, user.pod.logs, user.pod.logs);
    assert_int_equal(system(log), 0);
    script_prints(fixture, id, "id -u; echo again > /dev/stdout", "1000\nagain\n");
    autofree char *process = xasprintf("/proc/%d", container_pid(&user, id));
    owner_is(process, UID_FIRST + 1000, GID_FIRST + 1000);
    user_pod_close(&user);
}

/* crun gives its streams to the container's user: that must not be the /dev/null of all. This node's is the test's own, as others
 * may use the host's meanwhile. */
static void the_hosts_null_device_stays_the_hosts(void **state)
{
    static const char *const true_command[] = {"true", NULL};
    struct fixture *fixture = *state;
    autofree char *null = xasprintf("%s/null", fixture->node.directory), *output = NULL;
    struct user_pod user;
    int code = -1;

    assert_int_equal(mknod(null, S_IFCHR | 0666, makedev(1, 3)), 0);
    assert_int_equal(chmod(null, 0666), 0);
    assert_int_equal(mount(null, "/dev/null", NULL, MS_BIND, NULL), 0);
    user_pod_open(&user, fixture, "null");
    autofree char *id = container_begin(fixture, &user.container);
    check(workload_exec(&fixture->work, id, true_command, &code, &output));
    assert_int_equal(umount2("/dev/null", MNT_DETACH), 0);
    owner_is(null, 0, 0);
    unlink(null);
    user_pod_close(&user);
}

static void a_terminal_and_sessions_work(void **state)
{
    static const char *const shell[] = {"/bin/sh", "-c", "tty; stat -c '%u:%g' $(tty); echo typed > /dev/tty; sleep 1000", NULL};
    struct fixture *fixture = *state;
    struct stream_peer peer;
    struct user_pod user;

    user_pod_open(&user, fixture, "terminal");
    user.container.config.command = (char **)shell;
    user.container.config.n_command = 3;
    user.container.config.tty = true;
    autofree char *id = container_begin(fixture, &user.container);
    autofree char *log = xasprintf("for i in $(seq 100); do grep -q typed %s/main.log && break; sleep 0.1; done; "
                                   "grep -q 'F /dev/pts/0' %s/main.log && grep -q 'F 0:5' %s/main.log", user.pod.logs, user.pod.logs, user.pod.logs);
    assert_int_equal(system(log), 0);
    exec_init(fixture, &peer, id, "stat -c '%u:%g' $(tty); tr -s ' ' < /proc/self/uid_map; read x; echo said $x; exit 3", TERMINAL);
    check(stream_peer_open(&peer));
    check(stream_peer_start(&peer));
    check(stream_peer_wait_output(&peer, 1, "0:5\r\n 0 700000 65536")); /* before what is typed is echoed */
    check(stream_peer_write(&peer, "hello\n"));
    check(stream_peer_wait_end(&peer));
    assert_non_null(strstr(peer.output[1], "said hello"));
    stream_peer_fini(&peer);
    exec_init(fixture, &peer, id, "id -u; cat > /dev/stderr; echo out > /dev/stdout", ALL);
    check(stream_peer_open(&peer));
    check(stream_peer_start(&peer));
    check(stream_peer_write(&peer, "through\n"));
    stream_peer_close_input(&peer);
    check(stream_peer_wait_end(&peer));
    assert_string_equal(peer.output[1], "0\nout\n");
    assert_string_equal(peer.output[2], "through\n");
    stream_peer_fini(&peer);
    user_pod_close(&user);
}

static void a_port_forward_reaches_the_pod(void **state)
{
    static const char *const serving[] = {"/bin/sh", "-c", "nc -l -p 8080 -e echo hello; sleep 1000", NULL};
    struct fixture *fixture = *state;
    struct stream_peer peer;
    struct user_pod user;
    autofree char *url = NULL;
    char line[16] = "";
    int fd = -1;

    user_pod_open(&user, fixture, "forward");
    user.container.config.command = (char **)serving;
    user.container.config.n_command = 3;
    autofree char *id = container_begin(fixture, &user.container);
    free(script_output(fixture, id, "until netstat -ltn | grep -q :8080; do sleep 0.1; done", 0));
    check(forward_url(fixture, user.pod_id, &url));
    check(stream_peer_init(&peer, fixture->node.state, url, 0));
    check(stream_peer_open(&peer));
    check(stream_peer_connect(&peer, 8080, AF_INET, &fd));
    assert_int_equal(read(fd, line, sizeof(line) - 1), 6);
    assert_string_equal(line, "hello\n");
    close(fd);
    stream_peer_fini(&peer);
    user_pod_close(&user);
}

/* --- rights ---------------------------------------------------------------------------------------------------------- */

static void devices_are_there_as_far_as_the_host_lets_all_have_them(void **state)
{
    static Runtime__V1__Device device = RUNTIME__V1__DEVICE__INIT, *devices[] = {&device};
    struct fixture *fixture = *state;
    struct user_pod user;

    device.host_path = (char *)"/dev/zero", device.container_path = (char *)"/dev/mine", device.permissions = (char *)"rw";
    user_pod_open(&user, fixture, "devices");
    user.container.config.devices = devices, user.container.config.n_devices = 1;
    autofree char *id = container_begin(fixture, &user.container);
    script_prints(fixture, id, "head -c 2 /dev/mine | od -An -tx1; echo x > /dev/null; head -c 1 /dev/urandom | wc -c", " 00 00\n1\n");
    script_fails(fixture, id, "mknod /tmp/n c 1 3");
    user_pod_close(&user);
}

/* As with the peers: all rights of its own namespaces, none of the host's. */
static void a_privileged_container_has_all_of_its_own(void **state)
{
    struct fixture *fixture = *state;
    struct user_pod user;

    user_pod_make(&user, fixture, "privileged");
    user.pod.context.privileged = true;
    user_pod_begin(&user);
    user.container.context.privileged = true;
    autofree char *id = container_begin(fixture, &user.container);
    script_prints(fixture, id, "mkdir /t && mount -t tmpfs none /t && echo mounted; hostname other && hostname", "mounted\nother\n");
    script_fails(fixture, id, "echo 1 > /proc/sys/vm/drop_caches");
    script_fails(fixture, id, "mknod /t/n b 8 0");
    user_pod_close(&user);
}

static void seccomp_masks_and_oom_scores_count(void **state)
{
    static Runtime__V1__SecurityProfile profile = RUNTIME__V1__SECURITY_PROFILE__INIT;
    static char *masked[] = {(char *)"/proc/version"}, *readonly[] = {(char *)"/proc/sys"};
    struct fixture *fixture = *state;
    struct user_pod user;

    profile.profile_type = RUNTIME__V1__PROFILE_TYPE__RuntimeDefault;
    user_pod_open(&user, fixture, "confined");
    user.container.context.seccomp = &profile;
    user.container.context.masked_paths = masked, user.container.context.n_masked_paths = 1;
    user.container.context.readonly_paths = readonly, user.container.context.n_readonly_paths = 1;
    user.container.context.readonly_rootfs = true;
    user.container.resources.oom_score_adj = 500;
    autofree char *id = container_begin(fixture, &user.container);
    script_prints(fixture, id, "grep Seccomp: /proc/self/status | tr -d '\\t'; cat /proc/version; cat /proc/1/oom_score_adj; touch /x 2>/dev/null || echo refused",
                  "Seccomp:2\n500\nrefused\n");
    script_fails(fixture, id, "echo 1 > /proc/sys/net/ipv4/ip_forward");
    user_pod_close(&user);
}

static void who_is_beyond_the_namespace_is_refused(void **state)
{
    struct fixture *fixture = *state;
    Runtime__V1__Int64Value number = user_number(65536);
    struct user_pod user;
    char *id = NULL;

    user_pod_open(&user, fixture, "beyond");
    user.container.context.run_as_user = &number;
    check_refused(container_request_send(&user.container, fixture->node.client, &id), ERROR_INVALID_ARGUMENT,
                  "user 65536 is none of the 65536 of the pod's user namespace");
    user_pod_close(&user);
}

static void what_cannot_be_is_refused_before_anything_is_made(void **state)
{
    struct fixture *fixture = *state;
    struct user_pod user;
    char *id = NULL;

    user_pod_make(&user, fixture, "impossible");
    user.pod.namespaces.network = RUNTIME__V1__NAMESPACE_MODE__NODE;
    check_refused(pod_request_send(&user.pod, fixture->node.client, &id), ERROR_INVALID_ARGUMENT, "userns_options");
    user.pod.namespaces.network = RUNTIME__V1__NAMESPACE_MODE__POD;
    user.options.uid.container_id = 1;
    check_refused(pod_request_send(&user.pod, fixture->node.client, &id), ERROR_INVALID_ARGUMENT, "userns_options.uids");
    user_pod_close(&user);
    check(node_wait_census(&fixture->node, fixture->census));
}

static void status_tells(void **state)
{
    struct fixture *fixture = *state;
    Runtime__V1__StatusRequest node_request = RUNTIME__V1__STATUS_REQUEST__INIT;
    Runtime__V1__PodSandboxStatusRequest request = RUNTIME__V1__POD_SANDBOX_STATUS_REQUEST__INIT;
    Runtime__V1__StatusResponse *node;
    Runtime__V1__PodSandboxStatusResponse *pod;
    struct user_pod user;

    check(CRI_CALL(fixture->node.client, "RuntimeService", "Status", &node_request.base, 30000, status_response, &node));
    assert_true(node->n_runtime_handlers >= 2);
    for (size_t i = 0; i < node->n_runtime_handlers; i++)
        assert_true(node->runtime_handlers[i]->features->user_namespaces);
    runtime__v1__status_response__free_unpacked(node, NULL);
    user_pod_open(&user, fixture, "status");
    request.pod_sandbox_id = user.pod_id;
    check(CRI_CALL(fixture->node.client, "RuntimeService", "PodSandboxStatus", &request.base, 30000, pod_sandbox_status_response, &pod));
    const Runtime__V1__UserNamespace *told = pod->status->linux->namespaces->options->userns_options;
    assert_non_null(told);
    assert_int_equal(told->mode, RUNTIME__V1__NAMESPACE_MODE__POD);
    assert_int_equal(told->gids[0]->host_id, GID_FIRST);
    assert_int_equal(told->uids[0]->length, ID_COUNT);
    runtime__v1__pod_sandbox_status_response__free_unpacked(pod, NULL);
    user_pod_close(&user);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_EACH_RUNTIME(the_containers_root_is_nobody_on_the_host),
        WITH_EACH_RUNTIME(the_root_file_system_is_the_containers),
        WITH_EACH_RUNTIME(a_volumes_owners_are_mapped_where_it_is_asked_for),
        WITH_EACH_RUNTIME(a_plain_volume_that_is_open_to_all_gets_the_hosts_numbers),
        WITH_EACH_RUNTIME(sources_may_be_files_and_out_of_reach),
        WITH_EACH_RUNTIME(the_pods_files_are_the_containers),
        NODE_TEST(what_was_staged_is_gone_when_the_container_is_made),
        WITH_EACH_RUNTIME(mounts_below_a_volume_are_the_hosts),
        WITH_EACH_RUNTIME(the_hosts_root_may_be_a_volume),
        WITH_EACH_RUNTIME(an_images_files_are_roots_in_a_volume_too),
        NODE_TEST(a_file_system_that_cannot_map_is_named_and_nothing_stays),
        WITH_EACH_RUNTIME(all_namespaces_belong_to_the_pods_user_namespace),
        WITH_EACH_RUNTIME(a_shared_pid_namespace_has_nobody_of_the_hosts),
        WITH_EACH_RUNTIME(one_may_join_anothers_pid_namespace),
        WITH_EACH_RUNTIME(the_network_is_the_pods_and_reached),
        WITH_EACH_RUNTIME(sysctls_are_set),
        WITH_EACH_RUNTIME(output_can_be_opened_again_by_whom_it_is_for),
        WITH_EACH_RUNTIME(the_hosts_null_device_stays_the_hosts),
        WITH_EACH_RUNTIME(a_terminal_and_sessions_work),
        WITH_EACH_RUNTIME(a_port_forward_reaches_the_pod),
        WITH_EACH_RUNTIME(devices_are_there_as_far_as_the_host_lets_all_have_them),
        WITH_EACH_RUNTIME(a_privileged_container_has_all_of_its_own),
        WITH_EACH_RUNTIME(seccomp_masks_and_oom_scores_count),
        NODE_TEST(who_is_beyond_the_namespace_is_refused),
        NODE_TEST(what_cannot_be_is_refused_before_anything_is_made),
        NODE_TEST(status_tells),
    };

    cmocka_set_test_filter(getenv("BULKHEAD_TEST_FILTER"));
    return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
