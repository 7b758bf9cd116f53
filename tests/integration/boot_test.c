/* A node whose power went: every process, mount, namespace and cgroup is gone, the boot id is another one, and what is
 * on the disk is all that is left. */
#include "tests/integration/node_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

static const char boot_id_path[] = "/proc/sys/kernel/random/boot_id";
static const char *const sleeping[] = {"/bin/sleep", "1000", NULL};
static const char *const failing[] = {"/bin/sh", "-c", "exit 3", NULL};

enum { CALL_TIMEOUT_MS = 30000 };

/* One pod on CNI's network: a container that runs, one that was only created, and one that ended with 3. */
struct before {
    struct pod_request request;
    char *pod, *running, *created, *ended;
    int64_t ended_at_ns;
};

static void shell(const char *command)
{
    if (system(command) != 0)
        fail_msg("%s", command);
}

static char *container_make(struct fixture *fixture, struct before *before, const char *name,
                            const char *const *command, bool starts)
{
    struct container_request request;
    char *id = NULL;

    container_request_init(&request, &before->request, before->pod, name, busybox, command);
    check(container_request_send(&request, fixture->node.client, &id));
    if (starts)
        check(workload_start(&fixture->work, id));
    container_request_fini(&request);
    return id;
}

static void before_open(struct fixture *fixture, struct before *before, const char *name)
{
    struct workload_state now;

    before->pod = pod_begin_plain(fixture, &before->request, name, false);
    before->running = container_make(fixture, before, "running", sleeping, true);
    before->created = container_make(fixture, before, "created", sleeping, false);
    before->ended = container_make(fixture, before, "ended", failing, true);
    check(workload_wait_exit(&fixture->work, before->ended, &now));
    assert_int_equal(now.exit_code, 3);
    before->ended_at_ns = now.finished_at_ns;
}

static void before_close(struct before *before)
{
    free(before->pod);
    free(before->running);
    free(before->created);
    free(before->ended);
    pod_request_fini(&before->request);
}

static void processes_kill(const struct fixture *fixture, const char *program)
{
    for (pid_t pid; (pid = node_process(&fixture->node, program)) > 0; usleep(1000))
        kill(pid, SIGKILL);
}

/* Parents first, so that nothing is started again. */
static void power_off(struct fixture *fixture)
{
    static const char *const programs[] = {"keeper", "supervisor", "sandboxd", "imaged", "criapi",
                                           "logd",   "shim",       "fetch",    "unpack"};
    const struct node *node = &fixture->node;

    kill(node->backstop, SIGKILL);
    waitpid(node->backstop, NULL, 0);
    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
        processes_kill(fixture, programs[i]);
    autofree char *rest = xasprintf(
        "for d in $(find /sys/fs/cgroup/*/ -depth -type d -path '*%s*' ! -path '*/unified/*' 2>/dev/null); do"
        " while grep -q . $d/cgroup.procs; do for p in $(cat $d/cgroup.procs); do kill -9 $p; done; sleep 0.05; done;"
        " rmdir $d || exit 1; done;"
        " for m in $(grep -F ' %s/' /proc/self/mountinfo | cut -d' ' -f5 | sort -r); do umount -l $m; done;"
        " rm -rf /sys/fs/cgroup/unified%s;" /* a file system of our own: not cgroups but files that crun made */
        " ip link delete bhn0; iptables -t nat -F; iptables -t nat -X; iptables -F",
        node->cgroup, node->directory, node->cgroup);
    shell(rest);
}

/* What the kernel would say after a boot: another id, for us and for what we start. */
static void boot_id_change(void)
{
    char fake[] = "/tmp/bulkhead-boot-XXXXXX";
    autoclose int fd = mkstemp(fake);
    autofree char *command = xasprintf("cat /proc/sys/kernel/random/uuid >'%s'", fake);

    assert_true(fd >= 0);
    assert_int_equal(fchmod(fd, 0444), 0); /* every user reads it */
    shell(command);
    while (umount(boot_id_path) == 0)
        ;
    assert_int_equal(mount(fake, boot_id_path, NULL, MS_BIND, NULL), 0);
    assert_int_equal(unlink(fake), 0); /* the mount keeps it */
}

static void power_on(struct fixture *fixture)
{
    boot_id_change();
    check(node_start(&fixture->node));
    check(node_wait_ready(&fixture->node));
}

/* The pod's state as it is listed; fails if it is not. */
static int pod_state(struct fixture *fixture, const char *pod)
{
    Runtime__V1__ListPodSandboxRequest request = RUNTIME__V1__LIST_POD_SANDBOX_REQUEST__INIT;
    Runtime__V1__ListPodSandboxResponse *reply = NULL;
    int state = -1;

    check(CRI_CALL(fixture->node.client, "RuntimeService", "ListPodSandbox", &request.base, CALL_TIMEOUT_MS,
                   list_pod_sandbox_response, &reply));
    for (size_t i = 0; i < reply->n_items; i++)
        if (strcmp(reply->items[i]->id, pod) == 0)
            state = (int)reply->items[i]->state;
    runtime__v1__list_pod_sandbox_response__free_unpacked(reply, NULL);
    if (state < 0)
        fail_msg("pod %s is not listed", pod);
    return state;
}

static void assert_lost(struct fixture *fixture, const char *container, int64_t *ret_finished_at_ns)
{
    struct workload_state now;

    check(workload_status(&fixture->work, container, &now));
    assert_int_equal(now.state, RUNTIME__V1__CONTAINER_STATE__CONTAINER_EXITED);
    assert_int_equal(now.exit_code, 255);
    assert_string_equal(now.reason, "ContainerStatusUnknown");
    *ret_finished_at_ns = now.finished_at_ns;
}

static void assert_after_the_boot(struct fixture *fixture, const struct before *before)
{
    struct workload_state now;
    int64_t finished_at_ns, later_ns;

    assert_int_equal(pod_state(fixture, before->pod), RUNTIME__V1__POD_SANDBOX_STATE__SANDBOX_NOTREADY);
    assert_lost(fixture, before->running, &finished_at_ns);
    assert_lost(fixture, before->created, &later_ns);
    check(workload_status(&fixture->work, before->ended, &now));
    assert_int_equal(now.state, RUNTIME__V1__CONTAINER_STATE__CONTAINER_EXITED);
    assert_int_equal(now.exit_code, 3);
    assert_string_equal(now.reason, "Error");
    assert_int_equal(now.finished_at_ns, before->ended_at_ns);
    check(node_kill(&fixture->node, "sandboxd"));
    assert_lost(fixture, before->running, &later_ns);
    assert_int_equal(later_ns, finished_at_ns); /* said once, it stays */
}

/* Containers of the old pod cannot be started, nor new ones made in it; all of it can be removed, its address is free.
 */
static void assert_removable(struct fixture *fixture, struct before *before)
{
    struct container_request request;
    char *id = NULL;

    check_refused(workload_start(&fixture->work, before->created), ERROR_FAILED_PRECONDITION, "");
    container_request_init(&request, &before->request, before->pod, "late", busybox, sleeping);
    check_refused(container_request_send(&request, fixture->node.client, &id), ERROR_FAILED_PRECONDITION, "");
    container_request_fini(&request);
    check(workload_remove(&fixture->work, before->running));
    check(workload_pod_stop(&fixture->work, before->pod));
    check(workload_pod_remove(&fixture->work, before->pod));
    check(node_wait_census(&fixture->node, fixture->census));
}

/* kubelet's next attempt. The image may have to be pulled again: layers that no sync had reached are dropped. */
static void assert_runs_again(struct fixture *fixture, const char *name)
{
    struct before next;
    autofree char *image = NULL;

    check(workload_pull(&fixture->work, busybox, &image));
    before_open(fixture, &next, name);
    script_prints(fixture, next.running, "echo here", "here\n");
    pod_end(fixture, TAKE(next.pod));
    before_close(&next);
}

static void after_a_boot_that_emptied_the_state_directory_pods_are_not_ready_and_containers_exited(void **state)
{
    struct fixture *fixture = *state;
    struct before before;

    before_open(fixture, &before, "emptied");
    power_off(fixture);
    autofree char *command = xasprintf("rm -r '%s'", fixture->node.state);
    shell(command);
    power_on(fixture);
    assert_after_the_boot(fixture, &before);
    assert_removable(fixture, &before);
    assert_runs_again(fixture, "emptied");
    before_close(&before);
}

static void a_state_directory_that_outlived_the_boot_changes_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct before before;

    before_open(fixture, &before, "kept");
    power_off(fixture);
    power_on(fixture);
    assert_after_the_boot(fixture, &before);
    assert_removable(fixture, &before);
    assert_runs_again(fixture, "kept");
    before_close(&before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(
            after_a_boot_that_emptied_the_state_directory_pods_are_not_ready_and_containers_exited, pods_sweep),
        cmocka_unit_test_teardown(a_state_directory_that_outlived_the_boot_changes_nothing, pods_sweep),
    };

    cmocka_set_test_filter(getenv("BULKHEAD_TEST_FILTER"));
    return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
