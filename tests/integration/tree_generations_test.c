/* Two of one kind at once (daemons by their generations, keepers at an ordered end), and a state directory with a long
 * path. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/memory.h"
#include "tests/integration/tree.h"

/* Starts a daemon of the tree by hand, as nobody should; what it says goes to DIRECTORY/by-hand. */
static pid_t daemon_start(const struct tree *tree, const char *name, long long generation)
{
    autofree char *program = xasprintf("%s/bulkhead-%s", tree->programs, name);
    autofree char *output = xasprintf("%s/by-hand", tree->directory);
    autofree char *number = xasprintf("%lld", generation);
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    int fd = open(output, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    dup2(fd, STDERR_FILENO);
    setenv("BULKHEAD_GENERATION", number, 1);
    execl(program, program, "--root", tree->root, "--state", tree->state, NULL);
    _exit(127);
}

static void assert_text_in(const struct tree *tree, const char *file, const char *expected)
{
    autofree char *path = xasprintf("%s/%s", tree->directory, file);
    autofree char *text = NULL;
    size_t size = 0;

    assert_null(file_read_all(path, 64 << 20, &text, &size));
    if (!strstr(text, expected))
        fail_msg("\"%s\" is not in:\n%s", expected, text);
}

static void a_second_daemon_of_the_same_or_an_older_generation_ends_and_says_why(void **state)
{
    struct tree *tree = *state;

    for (size_t i = 0; i < TREE_DAEMONS; i++) {
        pid_t living = pid_of(tree, tree_daemons[i]);
        long long generation = number_of(tree, tree_daemons[i], "generation");
        autofree char *expected =
            xasprintf("%s: generation %lld runs already, pid %d", tree_daemons[i], generation, living);
        for (long long older = 0; older <= generation; older++) {
            int status = 0;
            pid_t second = daemon_start(tree, tree_daemons[i], older);
            assert_int_equal(waitpid(second, &status, 0), second);
            assert_int_equal(status, 1 << 8);
            assert_text_in(tree, "by-hand", expected);
        }
        assert_int_equal(pid_of(tree, tree_daemons[i]), living);
    }
}

/* The supervisor's next one has the same number at first, and is refused; the one after that wins. */
static void a_newer_daemon_that_nobody_asked_for_is_replaced_by_the_trees_own(void **state)
{
    struct tree *tree = *state;
    pid_t living = pid_of(tree, "logd");
    int status = 0;

    pid_t stranger = daemon_start(tree, "logd", number_of(tree, "logd", "generation") + 1);
    assert_int_equal(waitpid(stranger, &status, 0), stranger);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_true(wait_for_other(tree, "logd", living) != stranger);
}

static size_t keepers_started(const struct tree *tree)
{
    autofree char *path = xasprintf("%s/log", tree->directory);
    autofree char *text = NULL;
    size_t size = 0, count = 0;

    assert_null(file_read_all(path, 64 << 20, &text, &size));
    for (const char *line = text; (line = strstr(line, "msg=\"started\" program=keeper")); line++)
        count++;
    return count;
}

static void an_ordered_end_through_an_adopted_keeper_starts_no_other_one(void **state)
{
    struct tree *tree = *state;
    pid_t keeper = pid_of(tree, "keeper"), backstop = tree->backstop;
    size_t before = keepers_started(tree);

    assert_true(before > 0);
    backstop_kill(tree);
    backstop_start(tree);
    wait_for_other(tree, "backstop", backstop);
    assert_int_equal(pid_of(tree, "keeper"), keeper);
    backstop_stop(tree);
    assert_processes_left(tree, 0);
    assert_int_equal(keepers_started(tree), before);
    backstop_start(tree);
    tree_wait_ready(tree);
}

/* The signal is pending before the new backstop knows of any keeper. */
static void a_backstop_that_is_told_to_end_before_it_has_adopted_ends_the_tree(void **state)
{
    struct tree *tree = *state;
    sigset_t term, before;
    int status = 0;

    backstop_kill(tree);
    size_t keepers = keepers_started(tree);
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, &before);
    backstop_start(tree);
    kill(tree->backstop, SIGTERM);
    sigprocmask(SIG_SETMASK, &before, NULL);
    assert_int_equal(waitpid(tree->backstop, &status, 0), tree->backstop);
    assert_int_equal(status, 0);
    assert_processes_left(tree, 0);
    assert_int_equal(keepers_started(tree), keepers);
    backstop_start(tree);
    tree_wait_ready(tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_daemon_of_the_same_or_an_older_generation_ends_and_says_why),
        cmocka_unit_test(a_newer_daemon_that_nobody_asked_for_is_replaced_by_the_trees_own),
        cmocka_unit_test(an_ordered_end_through_an_adopted_keeper_starts_no_other_one),
        cmocka_unit_test(a_backstop_that_is_told_to_end_before_it_has_adopted_ends_the_tree),
    };

    cmocka_set_test_filter(getenv("BULKHEAD_TEST_FILTER"));
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* stands in for an init that is slow to reap: it never does */
    return cmocka_run_group_tests(tests, tree_setup, tree_teardown);
}
