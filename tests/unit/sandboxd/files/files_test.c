/* The texts of resolv.conf, hosts and hostname. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "services/sandboxd/files/files.h"

static void resolv_conf_has_searches_then_servers_then_options(void **state)
{
    (void)state;
    char *servers[] = {"10.0.0.10", "fd00::a"}, *searches[] = {"a.svc", "svc"}, *options[] = {"ndots:5"};
    Runtime__V1__DNSConfig dns = RUNTIME__V1__DNSCONFIG__INIT;
    dns.servers = servers, dns.n_servers = 2;
    dns.searches = searches, dns.n_searches = 2;
    dns.options = options, dns.n_options = 1;
    autofree char *text = files_resolv_conf(&dns, "nameserver 1.1.1.1\n");

    assert_string_equal(text, "search a.svc svc\nnameserver 10.0.0.10\nnameserver fd00::a\noptions ndots:5\n");
}

static void without_dns_settings_the_hosts_text_is_taken(void **state)
{
    (void)state;
    Runtime__V1__DNSConfig dns = RUNTIME__V1__DNSCONFIG__INIT;
    autofree char *empty = files_resolv_conf(&dns, "nameserver 1.1.1.1\n");
    autofree char *absent = files_resolv_conf(NULL, "x\n");
    autofree char *none = files_resolv_conf(NULL, NULL);

    assert_string_equal(empty, "nameserver 1.1.1.1\n");
    assert_string_equal(absent, "x\n");
    assert_string_equal(none, "");
}

static void hosts_names_the_pod_at_each_address(void **state)
{
    (void)state;
    const char *ips[] = {"10.1.2.3", "fd00::3"};
    autofree char *text = files_hosts("web", ips, 2);
    autofree char *nameless = files_hosts("", ips, 2);

    assert_non_null(strstr(text, "127.0.0.1\tlocalhost\n"));
    assert_non_null(strstr(text, "\n10.1.2.3\tweb\nfd00::3\tweb\n"));
    assert_null(strstr(nameless, "10.1.2.3"));
}

static void hostname_is_one_line(void **state)
{
    (void)state;
    autofree char *text = files_hostname("web");

    assert_string_equal(text, "web\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resolv_conf_has_searches_then_servers_then_options),
        cmocka_unit_test(without_dns_settings_the_hosts_text_is_taken),
        cmocka_unit_test(hosts_names_the_pod_at_each_address),
        cmocka_unit_test(hostname_is_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
