/* Answers of CNI plugins: each version's shape, conversions, the pod's addresses, failures, hostile bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "services/sandboxd/cni/cni.h"

static const char middle_text[] =
    "{\"cniVersion\":\"0.4.0\",\"interfaces\":[{\"name\":\"bk0\",\"mac\":\"aa:bb:cc:dd:ee:ff\"},{\"name\":\"veth1\"},"
    "{\"name\":\"eth0\",\"sandbox\":\"/run/netns/a\"}],\"ips\":["
    "{\"version\":\"6\",\"interface\":2,\"address\":\"fd00::5/64\"},"
    "{\"version\":\"4\",\"interface\":0,\"address\":\"10.88.0.1/16\"},"
    "{\"version\":\"4\",\"interface\":2,\"address\":\"10.88.0.5/16\",\"gateway\":\"10.88.0.1\"}],"
    "\"routes\":[{\"dst\":\"0.0.0.0/0\"},{\"dst\":\"::/0\"}],\"dns\":{}}";
static const char old_text[] = "{\"cniVersion\":\"0.2.0\",\"ip4\":{\"ip\":\"10.1.0.2/24\",\"gateway\":\"10.1.0.1\","
                               "\"routes\":[{\"dst\":\"0.0.0.0/0\"}]},\"dns\":{}}";

static struct cni_result *parse(const char *text, const char *version)
{
    struct cni_result *result = NULL;
    struct error *error = cni_result_parse(text, strlen(text), version, &result);

    if (error)
        fail_msg("%s", error->text);
    return result;
}

static void assert_refused(const char *text)
{
    autoptr(cni_result) result = NULL;
    autoptr(error) error = cni_result_parse(text, strlen(text), "0.4.0", &result);

    if (!error)
        fail_msg("taken: %s", text);
    assert_int_equal(error->code, ERROR_INTERNAL);
}

static void addresses_are_read_with_gateway_and_interface(void **state)
{
    (void)state;
    autoptr(cni_result) result = parse(middle_text, "0.4.0");
    const struct cni_ip *ip = cni_result_ip(result, 2);

    assert_int_equal(cni_result_ip_count(result), 3);
    assert_string_equal(ip->address, "10.88.0.5");
    assert_int_equal(ip->prefix_length, 16);
    assert_int_equal(ip->family, AF_INET);
    assert_string_equal(ip->gateway, "10.88.0.1");
    assert_int_equal(ip->interface, 2);
    assert_int_equal(cni_result_ip(result, 0)->family, AF_INET6);
    assert_null(cni_result_ip(result, 3));
}

static void the_pods_addresses_are_those_inside_it_ipv4_first(void **state)
{
    (void)state;
    autoptr(cni_result) result = parse(middle_text, "0.4.0");
    autofree const char **ips = NULL, **none = NULL;
    size_t count = 0;

    assert_null(cni_result_pod_ips(result, "eth0", "ipv4", &ips, &count));
    assert_int_equal(count, 2);
    assert_string_equal(ips[0], "10.88.0.5");
    assert_string_equal(ips[1], "fd00::5");
    autoptr(error) error = cni_result_pod_ips(result, "bk0", "ipv4", &none, &count);
    assert_int_equal(error->code, ERROR_INTERNAL);
}

static void the_configuration_says_whose_address_comes_first(void **state)
{
    (void)state;
    autoptr(cni_result) result = parse(middle_text, "0.4.0");
    static const char *const preferences[] = {"ipv6", "cni"};

    for (size_t i = 0; i < 2; i++) {
        autofree const char **ips = NULL;
        size_t count = 0;
        assert_null(cni_result_pod_ips(result, "eth0", preferences[i], &ips, &count));
        assert_string_equal(ips[0], "fd00::5");
        assert_string_equal(ips[1], "10.88.0.5");
    }
}

static void an_answer_without_interfaces_is_the_pods(void **state)
{
    (void)state;
    autoptr(cni_result) result = parse(old_text, "0.2.0");
    autofree const char **ips = NULL;
    size_t count = 0;

    assert_null(cni_result_pod_ips(result, "eth0", "ipv4", &ips, &count));
    assert_int_equal(count, 1);
    assert_string_equal(ips[0], "10.1.0.2");
}

static void assert_text(const char *text, const char *version, const char *expected)
{
    autoptr(cni_result) result = parse(text, version);
    autofree char *out = cni_result_text(result);

    assert_string_equal(out, expected);
}

static void an_answer_is_handed_on_in_the_networks_version(void **state)
{
    (void)state;

    assert_text(middle_text, "0.4.0", middle_text);
    assert_text("{\"cniVersion\":\"0.4.0\",\"ips\":[{\"version\":\"4\",\"address\":\"1.2.3.4/8\"}]}", "1.0.0",
                "{\"cniVersion\":\"1.0.0\",\"ips\":[{\"address\":\"1.2.3.4/8\"}]}");
    assert_text("{\"cniVersion\":\"1.0.0\",\"ips\":[{\"address\":\"fd00::1/64\"}]}", "0.3.1",
                "{\"cniVersion\":\"0.3.1\",\"ips\":[{\"address\":\"fd00::1/64\",\"version\":\"6\"}]}");
    assert_text(old_text, "0.4.0",
                "{\"ips\":[{\"address\":\"10.1.0.2/24\",\"gateway\":\"10.1.0.1\",\"version\":\"4\"}],"
                "\"routes\":[{\"dst\":\"0.0.0.0/0\"}],\"dns\":{},\"cniVersion\":\"0.4.0\"}");
    assert_text(middle_text, "0.2.0",
                "{\"ip6\":{\"ip\":\"fd00::5/64\",\"routes\":[{\"dst\":\"::/0\"}]},"
                "\"ip4\":{\"ip\":\"10.88.0.1/16\",\"routes\":[{\"dst\":\"0.0.0.0/0\"}]},\"dns\":{},"
                "\"cniVersion\":\"0.2.0\"}");
}

static void an_answer_without_a_version_has_the_networks(void **state)
{
    (void)state;
    autoptr(cni_result) result = parse("{\"ips\":[{\"address\":\"1.2.3.4/8\"}]}", "1.0.0");
    autoptr(cni_result) old = parse("{\"ip4\":{\"ip\":\"1.2.3.4/8\"}}", "0.1.0");

    assert_int_equal(cni_result_ip_count(result), 1);
    assert_int_equal(cni_result_ip_count(old), 1);
}

static void answers_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    const char *bad[] = {
        "",
        "{",
        "[]",
        "null",
        "\"x\"",
        "{\"cniVersion\":7}",
        "{\"cniVersion\":\"3.0.0\"}",
        "{\"ips\":{}}",
        "{\"ips\":[3]}",
        "{\"ips\":[{}]}",
        "{\"ips\":[{\"address\":\"10.0.0.1\"}]}",
        "{\"ips\":[{\"address\":\"10.0.0.1/33\"}]}",
        "{\"ips\":[{\"address\":\"10.0.0.1/\"}]}",
        "{\"ips\":[{\"address\":\"10.0.0.1/-1\"}]}",
        "{\"ips\":[{\"address\":\"10.0.0.1/8/8\"}]}",
        "{\"ips\":[{\"address\":\"10.0.0.256/8\"}]}",
        "{\"ips\":[{\"address\":\"fd00::1/129\"}]}",
        "{\"ips\":[{\"address\":\"/8\"}]}",
        "{\"ips\":[{\"address\":\"1.2.3.4/8\",\"interface\":0}]}",
        "{\"ips\":[{\"address\":\"1.2.3.4/8\",\"interface\":-1}],\"interfaces\":[{\"name\":\"a\"}]}",
        "{\"ips\":[{\"address\":\"1.2.3.4/8\",\"interface\":\"0\"}],\"interfaces\":[{\"name\":\"a\"}]}",
        "{\"ips\":[{\"address\":\"1.2.3.4/8\",\"gateway\":\"x\"}]}",
        "{\"ips\":[{\"address\":\"1.2.3.4/8\",\"gateway\":5}]}",
        "{\"interfaces\":3}",
        "{\"interfaces\":[{}]}",
        "{\"cniVersion\":\"0.2.0\",\"ip4\":{}}",
        "{\"cniVersion\":\"0.2.0\",\"ip4\":[]}",
        "\xff\xfe{}",
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_refused(bad[i]);
}

static void endless_answers_are_refused(void **state)
{
    (void)state;
    size_t size = (size_t)CNI_RESULT_MAX + 1;
    autofree char *large = malloc(size + 1);
    memset(large, '[', size);
    large[size] = '\0';
    assert_refused(large);
    large[100000] = '\0';
    assert_refused(large);
    char many[8192] = "{\"ips\":[{\"address\":\"1.2.3.4/8\"}";
    for (int i = 0; i < CNI_IPS_MAX; i++)
        strcat(many, ",{\"address\":\"1.2.3.4/8\"}");
    strcat(many, "]}");
    assert_refused(many);
}

/* The state of a child that ended with that exit code, or by that signal. */
static int exited(int code)
{
    return code << 8;
}

static void assert_failure(int status, const char *out, const char *err, enum error_code code, const char *text)
{
    autoptr(error) error = cni_plugin_error("bridge", CNI_ADD, status, out, strlen(out), err, strlen(err));

    assert_int_equal(error->code, code);
    assert_string_equal(error->text, text);
}

static void a_failure_is_told_in_the_plugins_words(void **state)
{
    (void)state;

    assert_failure(exited(1), "{\"code\":100,\"msg\":\"no addresses\",\"details\":\"range\\nfull\"}", "noise",
                   ERROR_INTERNAL, "CNI plugin type=\"bridge\" failed (add): no addresses; range full");
    assert_failure(exited(1), "{\"code\":11,\"msg\":\"later\"}", "", ERROR_UNAVAILABLE,
                   "CNI plugin type=\"bridge\" failed (add): later");
    assert_failure(exited(2), "garbage", "panic: \x01\n at\n", ERROR_INTERNAL,
                   "CNI plugin type=\"bridge\" failed (add): exit status 2: panic: ?  at");
    assert_failure(9, "", "", ERROR_INTERNAL, "CNI plugin type=\"bridge\" failed (add): killed by signal 9");
    assert_failure(exited(1), "[1]", "", ERROR_INTERNAL, "CNI plugin type=\"bridge\" failed (add): exit status 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read_with_gateway_and_interface),
        cmocka_unit_test(the_pods_addresses_are_those_inside_it_ipv4_first),
        cmocka_unit_test(the_configuration_says_whose_address_comes_first),
        cmocka_unit_test(an_answer_without_interfaces_is_the_pods),
        cmocka_unit_test(an_answer_is_handed_on_in_the_networks_version),
        cmocka_unit_test(an_answer_without_a_version_has_the_networks),
        cmocka_unit_test(answers_that_make_no_sense_are_refused),
        cmocka_unit_test(endless_answers_are_refused),
        cmocka_unit_test(a_failure_is_told_in_the_plugins_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
