/* Pods with a user namespace whose shim or sandboxd dies at each step that makes something of it: the calls succeed, the pod has
 * one user namespace, and nothing is left afterwards. */
#include <pthread.h>
#include <signal.h>

#include "tests/integration/user_pod.h"

/* A pod and its container, made by a thread. */
struct life {
    struct user_pod *user;
    char *id;
    struct error *error;
};

static struct error *life_begin(struct life *life)
{
    struct user_pod *user = life->user;
    struct cri_client *client = user->fixture->node.client;
    struct workload work = {.node = &user->fixture->node, .client = client};

    user->pod.request.runtime_handler = (char *)(user->fixture->handler ? user->fixture->handler : "");
    TRY(pod_request_send(&user->pod, client, &user->pod_id));
    user_container_init(user);
    volume_mounts(user);
    TRY(container_request_send(&user->container, client, &life->id));
    return workload_start(&work, life->id);
}

static void *life_run(void *argument)
{
    struct life *life = argument;

    life->error = life_begin(life);
    return NULL;
}

static void is_whole(struct user_pod *user, const char *id)
{
    script_prints(user->fixture, id, "tr -s ' ' < /proc/self/uid_map; stat -c %u / /mapped /mapped/user /plain; cat /mapped/root; ip -o link | grep -c eth0",
                  " 0 700000 65536\n0\n0\n1000\n65534\nroot\n1\n");
}

/* Another container of the pod is in the same user namespace: what a successor finds is what was there. */
static void second_is_alike(struct user_pod *user, const char *id)
{
    autofree char *own = script_output(user->fixture, id, "for n in user net ipc uts; do readlink /proc/self/ns/$n; done", 0);

    user->container.metadata.name = (char *)"second";
    autofree char *second = container_begin(user->fixture, &user->container);
    script_prints(user->fixture, second, "for n in user net ipc uts; do readlink /proc/self/ns/$n; done", own);
    is_whole(user, second);
}

static void user_pod_name(struct user_pod *user, struct fixture *fixture, const char *point)
{
    autofree char *name = xstrdup(point);

    for (char *at = name; *at; at++)
        *at = *at == '_' || *at == '.' ? '-' : *at;
    user_pod_make(user, fixture, name);
    volume_make(user);
}

/* order "stop": the point is in a child of the shim's, which dies with it. */
static void life_with(struct fixture *fixture, const char *point, const char *order, const char *const *killed)
{
    struct user_pod user;
    struct life life = {.user = &user};
    pthread_t thread;

    user_pod_name(&user, fixture, point);
    failpoint_set(point, order);
    assert_int_equal(pthread_create(&thread, NULL, life_run, &life), 0);
    failpoint_wait(point);
    for (; *killed; killed++)
        check(node_kill(&fixture->node, *killed));
    pthread_join(thread, NULL);
    if (life.error)
        fail_msg("%s at %s: %s", order, point, life.error->text);
    is_whole(&user, life.id);
    second_is_alike(&user, life.id);
    free(life.id);
    user_pod_close(&user);
}

static void the_shim_may_die_at_each_step(void **state)
{
    static const char *const shim[] = {"shim", NULL}, *const none[] = {NULL};
    static const char *const tasks[] = {"shim.setup.after_shm", "shim.setup.after_user", "shim.setup.after_pin",
                                        "shim.rootfs.before_mount", "shim.overlay.before_leave", "shim.rootfs.after_mount",
                                        "shim.stage.after_mount", "shim.unstage.after_unmount"};
    static const char *const own[] = {"shim.setup.after_record", "shim.create.before_run", "shim.create.after_created"};

    for (size_t i = 0; i < sizeof(tasks) / sizeof(tasks[0]); i++)
        life_with(*state, tasks[i], "stop", shim);
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        life_with(*state, own[i], "kill", none);
}

static void sandboxd_may_die_at_each_step(void **state)
{
    static const char *const none[] = {NULL}, *const both[] = {"shim", "sandboxd", NULL};
    static const char *const own[] = {"sandboxd.pod_run.before_network", "sandboxd.container_create.before_rootfs",
                                      "sandboxd.container_create.before_create", "sandboxd.container_create.after_create"};

    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        life_with(*state, own[i], "kill", none);
    life_with(*state, "shim.stage.after_mount", "stop", both);
    life_with(*state, "shim.overlay.before_leave", "stop", both);
}

/* The store is lost with the keeper, the shim's own descriptors with the shim. */
static void a_successor_without_a_store_finds_the_user_namespace(void **state)
{
    struct fixture *fixture = *state;
    struct user_pod user;
    struct life life = {.user = &user};

    user_pod_name(&user, fixture, "no.store");
    check(life_begin(&life));
    pid_t keeper = node_process(&fixture->node, "keeper"), shim = node_process(&fixture->node, "shim");
    kill(shim, SIGSTOP); /* it gives the next keeper nothing */
    kill(keeper, SIGKILL);
    kill(shim, SIGKILL);
    is_whole(&user, life.id);
    second_is_alike(&user, life.id);
    free(life.id);
    user_pod_close(&user);
}

/* Only crun leaves any to the shim. */
static void the_shim_may_die_before_mounts_below_a_volume_are_there(void **state)
{
    static const char *const point = "shim.complete.before_mount";
    struct fixture *fixture = *state;
    struct user_pod user;
    struct life life = {.user = &user};
    pthread_t thread;

    user_pod_name(&user, fixture, point);
    autofree char *prepare = xasprintf("cd %s && mkdir a b && mount -t tmpfs none a && mount -t tmpfs none b", user.volume);
    autofree char *finish = xasprintf("umount %s/a %s/b", user.volume, user.volume);
    assert_int_equal(system(prepare), 0);
    failpoint_set(point, "stop");
    assert_int_equal(pthread_create(&thread, NULL, life_run, &life), 0);
    failpoint_wait(point);
    check(node_kill(&fixture->node, "shim"));
    pthread_join(thread, NULL);
    check(life.error);
    script_prints(fixture, life.id, "grep -c -E ' /(mapped|plain)/[ab] ' /proc/mounts", "4\n");
    assert_int_equal(system(finish), 0);
    free(life.id);
    user_pod_close(&user);
}

static void *removal_run(void *argument)
{
    struct life *life = argument;
    struct workload work = {.node = &life->user->fixture->node, .client = life->user->fixture->node.client};

    life->error = workload_remove(&work, life->id);
    return NULL;
}

/* A removal that is cut short goes on, and never into the volume. */
static void the_shim_may_die_while_a_container_goes(void **state)
{
    struct fixture *fixture = *state;
    struct user_pod user;
    struct life life = {.user = &user};
    pthread_t thread;

    user_pod_name(&user, fixture, "going.away");
    check(life_begin(&life));
    failpoint_set("shim.delete.after_unmount", "stop");
    assert_int_equal(pthread_create(&thread, NULL, removal_run, &life), 0);
    failpoint_wait("shim.delete.after_unmount");
    check(node_kill(&fixture->node, "shim"));
    pthread_join(thread, NULL);
    check(life.error);
    volume_owner_is(&user, "root", 0, 0);
    volume_owner_is(&user, "user", 1000, 1000);
    free(life.id);
    user_pod_close(&user);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_EACH_RUNTIME(the_shim_may_die_at_each_step),
        NODE_TEST(sandboxd_may_die_at_each_step),
        NODE_TEST(a_successor_without_a_store_finds_the_user_namespace),
        NODE_TEST(the_shim_may_die_while_a_container_goes),
        {"the_shim_may_die_before_mounts_below_a_volume_are_there (crun)", the_shim_may_die_before_mounts_below_a_volume_are_there, with_crun,
         pods_sweep, NULL},
    };

    cmocka_set_test_filter(getenv("BULKHEAD_TEST_FILTER"));
    return cmocka_run_group_tests(tests, fixture_open_with_failpoints, fixture_close_with_failpoints);
}
