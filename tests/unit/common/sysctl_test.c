/* Names of kernel parameters: with dots and with slashes, and whose they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/sysctl.h"

static void path_is(const char *name, const char *expected)
{
    autofree char *path = sysctl_path(name);

    if (!expected)
        assert_null(path);
    else
        assert_string_equal(path, expected);
}

static void dots_and_slashes_change_places_as_sysctl_has_them(void **state)
{
    (void)state;
    path_is("net.ipv4.ip_forward", "/proc/sys/net/ipv4/ip_forward");
    path_is("net/ipv4/ip_forward", "/proc/sys/net/ipv4/ip_forward");
    path_is("net.ipv4.conf.eth0/1.forwarding", "/proc/sys/net/ipv4/conf/eth0.1/forwarding");
    path_is("net/ipv4/conf/eth0.1/forwarding", "/proc/sys/net/ipv4/conf/eth0.1/forwarding");
}

static void no_name_leads_out_of_the_tree(void **state)
{
    (void)state;
    path_is("", NULL);
    path_is("/etc/passwd", NULL);
    path_is("net..core", NULL);
    path_is("net.", NULL);
    path_is("net/../kernel/panic", NULL);
    path_is("net.//.kernel.panic", NULL);
    path_is("net/./core", NULL);
}

static void each_namespace_has_its_own(void **state)
{
    (void)state;
    assert_int_equal(sysctl_namespace_of("net.core.somaxconn"), SYSCTL_OF_NET);
    assert_int_equal(sysctl_namespace_of("net/core/somaxconn"), SYSCTL_OF_NET);
    assert_int_equal(sysctl_namespace_of("kernel.shm_rmid_forced"), SYSCTL_OF_IPC);
    assert_int_equal(sysctl_namespace_of("kernel.msgmax"), SYSCTL_OF_IPC);
    assert_int_equal(sysctl_namespace_of("kernel.sem"), SYSCTL_OF_IPC);
    assert_int_equal(sysctl_namespace_of("fs.mqueue.msg_max"), SYSCTL_OF_IPC);
    assert_int_equal(sysctl_namespace_of("kernel.domainname"), SYSCTL_OF_UTS);
    assert_int_equal(sysctl_namespace_of("kernel.hostname"), SYSCTL_OF_NONE);
    assert_int_equal(sysctl_namespace_of("kernel.panic"), SYSCTL_OF_NONE);
    assert_int_equal(sysctl_namespace_of("vm.swappiness"), SYSCTL_OF_NONE);
    assert_int_equal(sysctl_namespace_of("net/../kernel/panic"), SYSCTL_OF_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dots_and_slashes_change_places_as_sysctl_has_them),
        cmocka_unit_test(no_name_leads_out_of_the_tree),
        cmocka_unit_test(each_namespace_has_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
