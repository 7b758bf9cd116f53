/* What the shim takes from its command line and from sandboxd, and what it refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "services/sandboxd/shim/cgroup.h"
#include "services/sandboxd/shim/options.h"
#include "services/sandboxd/shim/shim.h"
#include "services/sandboxd/shim/sysctls.h"

static void names_with_slashes_or_leading_dots_are_refused(void **state)
{
    (void)state;
    assert_true(shim_name_is_valid("a1b2-c_3"));
    assert_false(shim_name_is_valid(""));
    assert_false(shim_name_is_valid(".."));
    assert_false(shim_name_is_valid("a/b"));
    assert_false(shim_name_is_valid("a.b"));
    assert_false(shim_name_is_valid("0123456789012345678901234567890123456789012345678901234567890123x"));
}

static void cgroup_paths_do_not_climb(void **state)
{
    (void)state;
    assert_true(cgroup_path_is_valid("/kubepods/pod1"));
    assert_true(cgroup_path_is_valid("/a..b"));
    assert_false(cgroup_path_is_valid(NULL));
    assert_false(cgroup_path_is_valid("/"));
    assert_false(cgroup_path_is_valid("a/b"));
    assert_false(cgroup_path_is_valid("/a/../b"));
    assert_false(cgroup_path_is_valid("/a//b"));
    assert_false(cgroup_path_is_valid("/a/."));
}

static void only_sysctls_of_own_namespaces_are_set(void **state)
{
    (void)state;
    struct pod_record net = {.netns_mode = SHIM_NAMESPACE_OWN}, ipc = {.ipc_mode = SHIM_NAMESPACE_OWN}, uts = {.has_hostname = 1};
    struct pod_record all = {.netns_mode = SHIM_NAMESPACE_OWN, .ipc_mode = SHIM_NAMESPACE_OWN, .has_hostname = 1};

    assert_true(sysctl_is_allowed("net.core.somaxconn=9", &net));
    assert_true(sysctl_is_allowed("net/ipv4/conf/eth0.1/forwarding=1", &net));
    assert_false(sysctl_is_allowed("net.core.somaxconn=9", &ipc));
    assert_true(sysctl_is_allowed("kernel.shmmax=9", &ipc));
    assert_true(sysctl_is_allowed("fs/mqueue/msg_max=9", &ipc));
    assert_false(sysctl_is_allowed("kernel.shm_rmid_forced=1", &net));
    assert_true(sysctl_is_allowed("kernel.domainname=x", &uts));
    assert_false(sysctl_is_allowed("kernel.hostname=x", &all));
    assert_false(sysctl_is_allowed("kernel.panic=1", &all));
    assert_false(sysctl_is_allowed("net.core.somaxconn", &all));
    assert_false(sysctl_is_allowed("net/../kernel/panic=1", &all));
    assert_false(sysctl_is_allowed("net./../../kernel/panic=1", &all));
    assert_false(sysctl_is_allowed("net.=1", &all));
    assert_false(sysctl_is_allowed("=1", &all));
}

static void the_flags_of_other_programs_are_ignored(void **state)
{
    char *argv[] = {"shim", "--config", "c", "--state=/s", "--root", "/r", "--address", "a", "--log-level", "warn",
                    "--programs", "p", "--sandboxd-uid", "61302", "--adopt", "pod1", NULL};
    struct options options;

    (void)state;
    unsetenv("BULKHEAD_SANDBOXD_UID");
    assert_null(options_parse(16, argv, &options));
    assert_string_equal(options.state, "/s");
    assert_string_equal(options.pod, "pod1");
    assert_true(options.adopt);
    assert_int_equal(options.sandboxd_uid, 61302);
    assert_int_equal(options.level, LOG_LEVEL_WARN);
    setenv("BULKHEAD_SANDBOXD_UID", "7", 1);
    assert_null(options_parse(16, argv, &options));
    assert_int_equal(options.sandboxd_uid, 7);
    unsetenv("BULKHEAD_SANDBOXD_UID");
}

static void a_missing_pod_or_relative_path_is_an_error(void **state)
{
    char *without[] = {"shim", "--state", "/s", "--root", "/r", NULL};
    char *relative[] = {"shim", "--state", "s", "--root", "/r", "pod", NULL};
    struct options options;

    (void)state;
    struct error *failure = options_parse(5, without, &options);
    assert_non_null(failure);
    error_free(failure);
    failure = options_parse(6, relative, &options);
    assert_non_null(failure);
    assert_int_equal(failure->code, ERROR_INVALID_ARGUMENT);
    error_free(failure);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_with_slashes_or_leading_dots_are_refused),
        cmocka_unit_test(cgroup_paths_do_not_climb),
        cmocka_unit_test(only_sysctls_of_own_namespaces_are_set),
        cmocka_unit_test(the_flags_of_other_programs_are_ignored),
        cmocka_unit_test(a_missing_pod_or_relative_path_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
