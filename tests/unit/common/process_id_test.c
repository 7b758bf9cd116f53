/* A process is found as long as it exists, and never mistaken. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "common/process_id.h"

static pid_t child_start(const char *name)
{
    pid_t pid = fork();

    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (name)
            prctl(PR_SET_NAME, name);
        for (;;)
            pause();
    }
    return pid;
}

static void expect_gone(const struct process_id *id)
{
    int pidfd = -1;

    autoptr(error) error = process_id_open(id, &pidfd);
    assert_non_null(error);
    assert_int_equal(error->code, ERROR_NOT_FOUND);
    assert_false(process_id_is_alive(id));
}

static void a_process_is_alive_then_a_zombie_then_gone(void **state)
{
    pid_t pid = child_start(NULL);
    struct process_id id;
    int pidfd;
    siginfo_t info;

    (void)state;
    assert_null(process_id_read(pid, &id));
    assert_int_equal(id.pid, pid);
    assert_string_equal(id.boot_id, boot_id());
    assert_int_equal(strlen(boot_id()), 36);
    assert_true(process_id_is_alive(&id));
    kill(pid, SIGKILL);
    waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
    assert_false(process_id_is_alive(&id));
    assert_null(process_id_open(&id, &pidfd));
    close(pidfd);
    struct process_id again;
    assert_null(process_id_read(pid, &again));
    assert_memory_equal(&again, &id, sizeof(id));
    waitpid(pid, NULL, 0);
    expect_gone(&id);
    autoptr(error) error = process_id_read(pid, &id);
    assert_non_null(error);
    assert_int_equal(error->code, ERROR_NOT_FOUND);
}

static void another_start_inode_or_boot_is_another_process(void **state)
{
    pid_t pid = child_start(NULL);
    struct process_id id, other;

    (void)state;
    assert_null(process_id_read(pid, &id));
    other = id;
    other.start_ticks++;
    expect_gone(&other);
    other = id;
    other.boot_id[0] ^= 1;
    expect_gone(&other);
    if (id.pidfd_inode) { /* pidfs, since 6.9 */
        other = id;
        other.pidfd_inode++;
        expect_gone(&other);
    }
    other = id;
    other.pidfd_inode = 0; /* written by an older kernel's reader */
    assert_true(process_id_is_alive(&other));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void a_name_with_parentheses_and_spaces_does_not_confuse(void **state)
{
    pid_t plain = child_start(NULL), odd = child_start(") R 1 2 3 4 (x");
    struct process_id first, second;

    (void)state;
    usleep(20000); /* until the name is set */
    assert_null(process_id_read(plain, &first));
    assert_null(process_id_read(odd, &second));
    assert_true(second.start_ticks - first.start_ticks < 100);
    kill(plain, SIGKILL);
    kill(odd, SIGKILL);
    waitpid(plain, NULL, 0);
    waitpid(odd, NULL, 0);
}

static void pids_that_are_none_are_not_found(void **state)
{
    struct process_id id;
    static const pid_t pids[] = {0, -1, 0x7ffffff0};

    (void)state;
    for (size_t i = 0; i < sizeof(pids) / sizeof(pids[0]); i++) {
        autoptr(error) error = process_id_read(pids[i], &id);
        assert_non_null(error);
        assert_int_equal(error->code, ERROR_NOT_FOUND);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_is_alive_then_a_zombie_then_gone),
        cmocka_unit_test(another_start_inode_or_boot_is_another_process),
        cmocka_unit_test(a_name_with_parentheses_and_spaces_does_not_confuse),
        cmocka_unit_test(pids_that_are_none_are_not_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
