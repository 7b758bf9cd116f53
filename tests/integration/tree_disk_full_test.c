/* No space is left under the state directory: whoever is killed is replaced all the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/memory.h"
#include "tests/integration/tree.h"

enum { KILLS = 4 };

/* The tree in a file system of its own of two megabytes. */
static int small_setup(void **state)
{
    struct tree *tree = tree_new("state");

    assert_int_equal(mkdir(tree->state, 0711), 0);
    assert_int_equal(mount("none", tree->state, "tmpfs", 0, "size=2m,mode=0711"), 0);
    backstop_start(tree);
    tree_wait_ready(tree);
    *state = tree;
    return 0;
}

static int small_teardown(void **state)
{
    struct tree *tree = *state;
    autofree char *mounted = xstrdup(tree->state);

    backstop_stop(tree);
    backstop_start(tree); /* what tree_teardown() ends; everything must work again, with space */
    tree_wait_ready(tree);
    int result = tree_teardown(state); /* removes all but the mount */
    umount2(mounted, MNT_DETACH);
    autofree char *command = xasprintf("rm -rf '%.*s'", (int)(strrchr(mounted, '/') - mounted), mounted);
    return result ? result : system(command);
}

static char *filler_path(const struct tree *tree)
{
    return xasprintf("%s/filler", tree->state);
}

/* To the last byte, and once more after what was in the meantime given back. */
static void fill(const struct tree *tree)
{
    autofree char *path = filler_path(tree);
    static const char block[4096];
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);

    assert_true(fd >= 0);
    for (size_t size = sizeof(block); size > 0;) {
        if (write(fd, block, size) < 0) {
            assert_int_equal(errno, ENOSPC);
            size /= 2;
        }
    }
    close(fd);
}

static void a_killed_daemon_is_replaced_without_space(void **state)
{
    struct tree *tree = *state;

    fill(tree);
    for (size_t i = 0; i < TREE_DAEMONS; i++) {
        for (int k = 0; k < KILLS; k++) {
            pid_t pid = pid_of(tree, tree_daemons[i]);
            fill(tree);
            kill(pid, SIGKILL);
            wait_for_other(tree, tree_daemons[i], pid);
        }
    }
}

static void keeper_and_supervisor_are_replaced_without_space_and_the_daemons_run_on(void **state)
{
    static const char *const victims[] = {"supervisor", "keeper", "supervisor", "keeper"};
    struct tree *tree = *state;
    pid_t daemons[TREE_DAEMONS];

    for (size_t i = 0; i < TREE_DAEMONS; i++)
        daemons[i] = pid_of(tree, tree_daemons[i]);
    for (size_t k = 0; k < sizeof(victims) / sizeof(victims[0]); k++) {
        pid_t pid = pid_of(tree, victims[k]);
        fill(tree);
        kill(pid, SIGKILL);
        wait_for_other(tree, victims[k], pid);
    }
    for (size_t i = 0; i < TREE_DAEMONS; i++)
        assert_int_equal(pid_of(tree, tree_daemons[i]), daemons[i]);
}

static void a_backstop_starts_without_space_and_adopts(void **state)
{
    struct tree *tree = *state;
    pid_t keeper = pid_of(tree, "keeper"), backstop = tree->backstop;

    fill(tree);
    backstop_kill(tree);
    backstop_start(tree);
    wait_for_other(tree, "backstop", backstop);
    assert_int_equal(pid_of(tree, "keeper"), keeper);
}

static struct error *shim_ask(const struct tree *tree, uint32_t flags, struct process_id *ret)
{
    struct keeper_client_options options = {.state_directory = tree->state, .subscribe = -2};
    struct keeper_message reply,
        request = {.type = KEEPER_SPAWN, .program = KEEPER_SHIM, .name = "pod1", .flags = flags};
    struct keeper_client *client = NULL;
    int fds[KEEPER_SPAWN_FDS];
    size_t count = 0;

    TRY(keeper_client_open(&options, &client));
    struct error *failure = keeper_client_call(client, &request, NULL, 0, 0, &reply, fds, &count);
    keeper_client_close(client);
    TRY(failure);
    fds_close(fds, count);
    *ret = reply.process;
    return NULL;
}

/* A new pod can be refused; a pod that is there must be served, and ended. */
static void a_new_shim_is_refused_without_space_and_a_successor_is_not(void **state)
{
    struct tree *tree = *state;
    struct process_id shim = {0};

    fill(tree);
    autoptr(error) refused = shim_ask(tree, 0, &shim);
    assert_non_null(refused);
    assert_int_equal(refused->code, ERROR_RESOURCE_EXHAUSTED);
    fill(tree);
    assert_null(shim_ask(tree, KEEPER_ADOPT, &shim));
    assert_int_equal(pid_of(tree, "shim pod1"), shim.pid);
    kill(shim.pid, SIGKILL);
}

static void a_tree_ends_and_starts_without_space(void **state)
{
    struct tree *tree = *state;
    autofree char *path = filler_path(tree);

    fill(tree);
    backstop_stop(tree);
    assert_processes_left(tree, 0);
    fill(tree);
    backstop_start(tree);
    tree_wait_ready(tree);
    pid_t keeper = pid_of(tree, "keeper"); /* the next one adopts nobody: nobody has a record */
    kill(keeper, SIGKILL);
    wait_for_other(tree, "keeper", keeper);
    tree_wait_ready(tree);
    assert_int_equal(unlink(path), 0);
    for (size_t i = 0; i < TREE_DAEMONS; i++) {
        pid_t pid = pid_of(tree, tree_daemons[i]);
        kill(pid, SIGKILL);
        wait_for_other(tree, tree_daemons[i], pid);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_killed_daemon_is_replaced_without_space),
        cmocka_unit_test(keeper_and_supervisor_are_replaced_without_space_and_the_daemons_run_on),
        cmocka_unit_test(a_backstop_starts_without_space_and_adopts),
        cmocka_unit_test(a_new_shim_is_refused_without_space_and_a_successor_is_not),
        cmocka_unit_test(a_tree_ends_and_starts_without_space),
    };

    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return 2;
    cmocka_set_test_filter(getenv("BULKHEAD_TEST_FILTER"));
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    return cmocka_run_group_tests(tests, small_setup, small_teardown);
}
