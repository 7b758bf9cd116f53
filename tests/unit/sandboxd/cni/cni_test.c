/* CNI: choosing and checking a network, what each plugin gets, what it answered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "services/sandboxd/cni/cni.h"

static const char list_text[] =
    "{\"cniVersion\":\"0.4.0\",\"name\":\"pods\",\"plugins\":["
    "{\"type\":\"bridge\",\"bridge\":\"bk0\",\"ipam\":{\"type\":\"host-local\"}},"
    "{\"type\":\"portmap\",\"capabilities\":{\"portMappings\":true,\"bandwidth\":true,\"dns\":false}}]}";

static struct cni_network *parse(const char *file_name, const char *text)
{
    struct cni_network *network = NULL;
    struct error *error = cni_network_parse(file_name, text, strlen(text), &network);

    if (error)
        fail_msg("%s", error->text);
    return network;
}

static void assert_refused(const char *file_name, const char *text, const char *word)
{
    autoptr(cni_network) network = NULL;
    autoptr(error) error = cni_network_parse(file_name, text, strlen(text), &network);

    assert_non_null(error);
    assert_int_equal(error->code, ERROR_FAILED_PRECONDITION);
    if (!strstr(error->text, word) || !strstr(error->text, file_name))
        fail_msg("no \"%s\" in: %s", word, error->text);
}

static void the_first_file_by_name_is_chosen(void **state)
{
    (void)state;
    const char *names[] = {"20-b.conf", "00-x.txt", "10-a.conflist", ".conf", "README", "87-p.json"};

    assert_string_equal(cni_choose(names, 6), "10-a.conflist");
    assert_null(cni_choose(names + 1, 1));
    assert_null(cni_choose(NULL, 0));
}

static void a_single_plugin_becomes_a_list(void **state)
{
    (void)state;
    autoptr(cni_network) network = parse("10-a.conf", "{\"name\":\"n\",\"type\":\"ptp\",\"cniVersion\":\"0.3.1\"}");
    autofree char *text = cni_network_text(network);
    autoptr(cni_network) again = parse("saved.conflist", text);

    assert_int_equal(cni_network_plugin_count(again), 1);
    assert_string_equal(cni_network_plugin_type(again, 0), "ptp");
    assert_null(cni_network_plugin_type(again, 1));
    assert_string_equal(cni_network_name(again), "n");
    assert_string_equal(cni_network_version(again), "0.3.1");
}

static void the_highest_known_version_is_taken(void **state)
{
    (void)state;
    autoptr(cni_network) network =
        parse("a.conflist", "{\"name\":\"n\",\"cniVersions\":[\"0.4.0\",\"1.1.0\",\"9.0.0\"],"
                            "\"plugins\":[{\"type\":\"t\"}]}");
    autoptr(cni_network) bare = parse("a.conf", "{\"name\":\"n\",\"type\":\"t\"}");

    assert_string_equal(cni_network_version(network), "1.1.0");
    assert_string_equal(cni_network_version(bare), "0.1.0");
}

static void bad_configurations_are_refused_with_the_reason(void **state)
{
    (void)state;

    assert_refused("a.conflist", "{\n\n  \"name\": oops}", "line 3");
    assert_refused("a.conflist", "[]", "not an object");
    assert_refused("a.conflist", "", "line");
    assert_refused("a.conflist", "{\"plugins\":[{\"type\":\"t\"}]}", "no name");
    assert_refused("a.conflist", "{\"name\":\"../x\",\"plugins\":[{\"type\":\"t\"}]}", "../x");
    assert_refused("a.conflist", "{\"name\":\"n\",\"type\":\"t\"}", "no plugins");
    assert_refused("a.conflist", "{\"name\":\"n\",\"plugins\":[]}", "no plugins");
    assert_refused("a.conflist", "{\"name\":\"n\",\"plugins\":{}}", "no plugins");
    assert_refused("a.conflist", "{\"name\":\"n\",\"plugins\":[{\"type\":\"t\"},3]}", "plugin 1");
    assert_refused("a.conf", "{\"name\":\"n\"}", "no type");
    assert_refused("a.conf", "{\"name\":\"n\",\"type\":\"../../bin/sh\"}", "../../bin/sh");
    assert_refused("a.conf", "{\"name\":\"n\",\"type\":\"..\"}", "\"..\"");
    assert_refused("a.conf", "{\"name\":\"n\",\"type\":\"t\",\"cniVersion\":\"2.0.0\"}", "2.0.0");
    assert_refused("a.conf", "{\"name\":\"n\",\"type\":\"t\",\"cniVersion\":4}", "cniVersion");
}

static void a_plugin_is_found_in_the_first_directory_that_has_it(void **state)
{
    (void)state;
    char *directories[] = {"/nowhere", "/bin", "/usr/bin", NULL};
    autofree char *path = NULL, *none = NULL;
    autoptr(error) found = cni_plugin_find("sh", directories, &path);
    autoptr(error) missing = cni_plugin_find("no-such-plugin", directories, &none);

    assert_null(found);
    assert_string_equal(path, "/bin/sh");
    assert_int_equal(missing->code, ERROR_NOT_FOUND);
    assert_non_null(strstr(missing->text, "no-such-plugin"));
    assert_non_null(strstr(missing->text, "/nowhere, /bin, /usr/bin"));
}

static void a_plugin_without_its_address_manager_is_missing(void **state)
{
    static const char text[] = "{\"name\":\"n\",\"cniVersion\":\"1.0.0\",\"plugins\":[{\"type\":\"sh\",\"ipam\":{\"type\":\"no-ipam\"}},"
                               "{\"type\":\"sh\",\"ipam\":{}},{\"type\":\"sh\",\"ipam\":\"odd\"},{\"type\":\"sh\",\"ipam\":{\"type\":\"cat\"}}]}";
    char *directories[] = {"/bin", NULL};
    autoptr(cni_network) network = NULL;

    (void)state;
    assert_null(cni_network_parse("a.conflist", text, strlen(text), &network));
    for (size_t i = 0; i < 4; i++) {
        autofree char *path = NULL;
        autoptr(error) error = cni_network_find_plugin(network, i, directories, &path);
        assert_int_equal(error ? error->code : 0, i == 0 ? ERROR_NOT_FOUND : 0);
        assert_true(!error || strstr(error->text, "no-ipam"));
        assert_true(error || strcmp(path, "/bin/sh") == 0);
    }
    assert_string_equal(cni_network_ipam_type(network, 0), "no-ipam");
    assert_null(cni_network_ipam_type(network, 1));
}

static char *ports_text(void)
{
    Runtime__V1__PodSandboxConfig config = RUNTIME__V1__POD_SANDBOX_CONFIG__INIT;
    Runtime__V1__PortMapping mapped = RUNTIME__V1__PORT_MAPPING__INIT, unmapped = RUNTIME__V1__PORT_MAPPING__INIT;
    Runtime__V1__PortMapping *ports[] = {&mapped, &unmapped};
    Runtime__V1__DNSConfig dns = RUNTIME__V1__DNSCONFIG__INIT;
    char *servers[] = {"10.0.0.10"};

    mapped.host_port = 8080, mapped.container_port = 80, mapped.host_ip = "127.0.0.1";
    mapped.protocol = RUNTIME__V1__PROTOCOL__UDP;
    unmapped.container_port = 81;
    config.port_mappings = ports, config.n_port_mappings = 2;
    dns.servers = servers, dns.n_servers = 1;
    config.dns_config = &dns;
    return cni_runtime_config(&config);
}

static void a_pods_ports_and_dns_are_capability_arguments(void **state)
{
    (void)state;
    Runtime__V1__PodSandboxConfig empty = RUNTIME__V1__POD_SANDBOX_CONFIG__INIT;
    autofree char *text = ports_text(), *nothing = cni_runtime_config(&empty);

    assert_string_equal(text, "{\"portMappings\":[{\"hostPort\":8080,\"containerPort\":80,\"protocol\":\"udp\","
                              "\"hostIP\":\"127.0.0.1\"}],\"dns\":{\"servers\":[\"10.0.0.10\"],\"searches\":[],"
                              "\"options\":[]}}");
    assert_string_equal(nothing, "{}");
}

static char *bin_dirs[] = {"/opt/cni/bin", "/usr/lib/cni", NULL};

static struct cni_attachment attachment(const char *runtime_config)
{
    return (struct cni_attachment){.container_id = "0123abc",
                                   .netns = "/run/netns/a",
                                   .interface = "eth0",
                                   .pod_namespace = "default",
                                   .pod_name = "web",
                                   .pod_uid = "u-1",
                                   .runtime_config = runtime_config,
                                   .bin_dirs = bin_dirs};
}

static struct cni_invocation *compose(const struct cni_network *network, size_t index, enum cni_command command,
                                      const char *runtime_config, const char *previous)
{
    struct cni_attachment a = attachment(runtime_config);
    struct cni_invocation *invocation = NULL;
    struct error *error = cni_compose(network, index, command, &a, previous, &invocation);

    if (error)
        fail_msg("%s", error->text);
    return invocation;
}

static void the_first_plugin_gets_its_configuration_and_environment(void **state)
{
    (void)state;
    autoptr(cni_network) network = parse("a.conflist", list_text);
    autofree char *ports = ports_text();
    autoptr(cni_invocation) run = compose(network, 0, CNI_ADD, ports, NULL);
    const char *env[] = {
        "CNI_COMMAND=ADD",
        "CNI_CONTAINERID=0123abc",
        "CNI_NETNS=/run/netns/a",
        "CNI_IFNAME=eth0",
        "CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID=0123abc;"
        "K8S_POD_UID=u-1",
        "CNI_PATH=/opt/cni/bin:/usr/lib/cni"};

    assert_string_equal(run->stdin_text, "{\"type\":\"bridge\",\"bridge\":\"bk0\",\"ipam\":{\"type\":\"host-local\"},"
                                         "\"name\":\"pods\",\"cniVersion\":\"0.4.0\"}");
    for (size_t i = 0; i < sizeof(env) / sizeof(env[0]); i++)
        assert_string_equal(run->env[i], env[i]);
    assert_int_equal(strncmp(run->env[6], "PATH=/", 6), 0);
    assert_null(run->env[7]);
}

static void a_plugin_gets_only_the_capabilities_it_declares_and_the_answer_before(void **state)
{
    (void)state;
    autoptr(cni_network) network = parse("a.conflist", list_text);
    autofree char *ports = ports_text();
    autoptr(cni_invocation) run = compose(network, 1, CNI_ADD, ports, "{\"cniVersion\":\"0.4.0\",\"ips\":[]}");

    assert_string_equal(
        run->stdin_text,
        "{\"type\":\"portmap\",\"capabilities\":{\"portMappings\":true,\"bandwidth\":true,\"dns\":false},"
        "\"name\":\"pods\",\"cniVersion\":\"0.4.0\",\"prevResult\":{\"cniVersion\":\"0.4.0\",\"ips\":[]},"
        "\"runtimeConfig\":{\"portMappings\":[{\"hostPort\":8080,\"containerPort\":80,\"protocol\":\"udp\","
        "\"hostIP\":\"127.0.0.1\"}]}}");
}

static void del_gets_the_saved_answer_only_from_0_4_0_on(void **state)
{
    (void)state;
    autoptr(cni_network) network = parse("a.conflist", list_text);
    autoptr(cni_network) old = parse("a.conf", "{\"name\":\"n\",\"type\":\"t\",\"cniVersion\":\"0.3.1\"}");
    autoptr(cni_invocation) run = compose(network, 0, CNI_DEL, NULL, "{\"ips\":[]}");
    autoptr(cni_invocation) old_run = compose(old, 0, CNI_DEL, NULL, "{\"ips\":[]}");

    assert_string_equal(run->env[0], "CNI_COMMAND=DEL");
    assert_non_null(strstr(run->stdin_text, "\"prevResult\":{\"ips\":[]}"));
    assert_null(strstr(old_run->stdin_text, "prevResult"));
}

static void composing_leaves_the_network_as_it_was(void **state)
{
    (void)state;
    autoptr(cni_network) network = parse("a.conflist", list_text);
    autofree char *before = cni_network_text(network);
    autoptr(cni_invocation) run = compose(network, 1, CNI_ADD, "{\"portMappings\":[1]}", "{}");
    autofree char *after = cni_network_text(network);

    assert_string_equal(before, after);
}

static void names_that_would_break_the_environment_are_refused(void **state)
{
    (void)state;
    autoptr(cni_network) network = parse("a.conflist", list_text);
    struct cni_attachment bad[] = {attachment(NULL), attachment(NULL), attachment(NULL), attachment(NULL)};

    bad[0].pod_name = "a;b";
    bad[1].interface = "an-interface-too-long";
    bad[2].container_id = "../../etc";
    bad[3].interface = "a/b";
    for (size_t i = 0; i < 4; i++) {
        autoptr(cni_invocation) run = NULL;
        autoptr(error) error = cni_compose(network, 0, CNI_ADD, &bad[i], NULL, &run);
        assert_int_equal(error->code, ERROR_INVALID_ARGUMENT);
    }
}

static void saved_text_that_is_no_json_is_an_error(void **state)
{
    (void)state;
    autoptr(cni_network) network = parse("a.conflist", list_text);
    struct cni_attachment a = attachment("[");
    autoptr(cni_invocation) run = NULL;
    autoptr(error) runtime = cni_compose(network, 0, CNI_ADD, &a, NULL, &run);
    a.runtime_config = NULL;
    autoptr(error) previous = cni_compose(network, 0, CNI_ADD, &a, "3", &run);
    autoptr(error) beyond = cni_compose(network, 2, CNI_ADD, &a, NULL, &run);

    assert_int_equal(runtime->code, ERROR_INTERNAL);
    assert_int_equal(previous->code, ERROR_INTERNAL);
    assert_int_equal(beyond->code, ERROR_INTERNAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_file_by_name_is_chosen),
        cmocka_unit_test(a_single_plugin_becomes_a_list),
        cmocka_unit_test(the_highest_known_version_is_taken),
        cmocka_unit_test(bad_configurations_are_refused_with_the_reason),
        cmocka_unit_test(a_plugin_is_found_in_the_first_directory_that_has_it),
        cmocka_unit_test(a_plugin_without_its_address_manager_is_missing),
        cmocka_unit_test(a_pods_ports_and_dns_are_capability_arguments),
        cmocka_unit_test(the_first_plugin_gets_its_configuration_and_environment),
        cmocka_unit_test(a_plugin_gets_only_the_capabilities_it_declares_and_the_answer_before),
        cmocka_unit_test(del_gets_the_saved_answer_only_from_0_4_0_on),
        cmocka_unit_test(composing_leaves_the_network_as_it_was),
        cmocka_unit_test(names_that_would_break_the_environment_are_refused),
        cmocka_unit_test(saved_text_that_is_no_json_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
