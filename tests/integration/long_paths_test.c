/* The longest state directory that is accepted, a root directory of 200 bytes, and one byte too many. */
#include "tests/integration/node_fixture.h"

#include <signal.h>
#include <sys/wait.h>

enum { STATE_BYTES = 70, ROOT_BYTES = 200 };

static const char *const sleeping[] = {"/bin/sh", "-c", "echo started; exec sleep 1000", NULL};

/* A directory below the node's, whose whole path has so many bytes. */
static char *long_path(const struct node *node, const char *name, size_t bytes)
{
    int rest = (int)(bytes - strlen(node->directory) - strlen(name) - 1);

    return xasprintf("%s/%s%0*d", node->directory, name, rest, 0);
}

static int node_stop(struct node *node)
{
    int status = -1;

    kill(node->backstop, SIGTERM);
    waitpid(node->backstop, &status, 0);
    node->backstop = 0;
    return status;
}

/* The same node at other paths, as if it were another one. */
static int long_fixture_open(void **state)
{
    autofree char *image = NULL;

    fixture_open(state);
    struct fixture *fixture = *state;
    assert_int_equal(node_stop(&fixture->node), 0);
    free(fixture->node.state);
    free(fixture->node.root);
    free(fixture->census);
    fixture->node.state = long_path(&fixture->node, "state", STATE_BYTES);
    fixture->node.root = long_path(&fixture->node, "root", ROOT_BYTES);
    assert_int_equal(strlen(fixture->node.state), STATE_BYTES);
    check(node_start(&fixture->node));
    check(node_wait_ready(&fixture->node));
    check(workload_pull(&fixture->work, busybox, &image));
    fixture->census = node_census_at_rest(&fixture->node);
    return 0;
}

static char *container_of(struct fixture *fixture, struct pod_request *pod, const char *id, const char *name, bool tty)
{
    struct container_request container;

    container_request_init(&container, pod, id, name, busybox, sleeping);
    container.config.tty = tty;
    char *started = container_begin(fixture, &container);
    container_request_fini(&container);
    return started;
}

/* Its socket, its runtime's directory, its root file system, its terminal's socket: all lie below the long paths. */
static void a_pod_lives_below_the_longest_paths_and_outlives_its_shim(void **state)
{
    struct fixture *fixture = *state;
    struct pod_request pod;
    char *id = pod_begin_plain(fixture, &pod, "long", false);
    char *plain = container_of(fixture, &pod, id, "plain", false);
    char *terminal = container_of(fixture, &pod, id, "terminal", true);

    script_prints(fixture, plain, "echo here", "here\n");
    check(node_kill(&fixture->node, "shim"));
    script_prints(fixture, terminal, "echo here", "here\n");
    check(node_kill(&fixture->node, "sandboxd"));
    script_prints(fixture, plain, "cat /etc/hostname", "long\n");
    container_end(fixture, plain);
    container_end(fixture, terminal);
    pod_end(fixture, id);
    pod_request_fini(&pod);
}

/* `check` and `run` of such a state directory say the limit and end with 2, before anything is made. */
static void a_byte_more_is_refused_by_run_and_check_with_the_limit(void **state)
{
    static const char *const verbs[] = {"run", "check"};
    struct fixture *fixture = *state;
    autofree char *path = long_path(&fixture->node, "state", STATE_BYTES + 1);

    for (size_t i = 0; i < 2; i++) {
        char output[1024] = "";
        autofree char *command =
            xasprintf("%s/bulkhead --state %s %s 2>&1", getenv("BULKHEAD_PROGRAMS"), path, verbs[i]);
        FILE *pipe = popen(command, "r");
        assert_non_null(pipe);
        output[fread(output, 1, sizeof(output) - 1, pipe)] = '\0';
        assert_int_equal(WEXITSTATUS(pclose(pipe)), 2);
        if (!strstr(output, "has 71 bytes and may have 70"))
            fail_msg("%s says: %s", verbs[i], output);
        assert_int_equal(access(path, F_OK), -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_EACH_RUNTIME(a_pod_lives_below_the_longest_paths_and_outlives_its_shim),
        NODE_TEST(a_byte_more_is_refused_by_run_and_check_with_the_limit),
    };

    cmocka_set_test_filter(getenv("BULKHEAD_TEST_FILTER"));
    return cmocka_run_group_tests(tests, long_fixture_open, fixture_close);
}
