/* What is found out about user namespaces; tried on this host, so root alone can. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/memory.h"
#include "services/sandboxd/user_namespaces.h"

static void they_can_be_had_even_where_their_root_cannot_go(void **state)
{
    char root[] = "/tmp/bhprobe.XXXXXX";

    (void)state;
    if (geteuid() != 0)
        skip();
    assert_non_null(mkdtemp(root)); /* 0700 */
    autofree char *own = xasprintf("%s/own", root);
    assert_int_equal(mkdir(own, 0711), 0);
    autofree char *reason = user_namespaces_probe(root, own);
    if (reason)
        fail_msg("%s", reason);
    assert_int_equal(rmdir(own), 0); /* nothing is left in it, or mounted on it */
    assert_int_equal(rmdir(root), 0);
}

static void a_file_system_that_cannot_map_is_the_reason(void **state)
{
    char own[] = "/tmp/bhprobe.XXXXXX";

    (void)state;
    if (geteuid() != 0)
        skip();
    assert_non_null(mkdtemp(own));
    autofree char *reason = user_namespaces_probe("/proc", own);
    assert_non_null(reason);
    assert_non_null(strstr(reason, "map the owners of /proc"));
    assert_int_equal(rmdir(own), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_can_be_had_even_where_their_root_cannot_go),
        cmocka_unit_test(a_file_system_that_cannot_map_is_the_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
