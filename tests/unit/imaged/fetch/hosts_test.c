/* Mirror rules: which hosts are asked in which order, by a hosts.json or without one. */
#include "tests/unit/imaged/check.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/memory.h"
#include "services/imaged/fetch/hosts.h"

static struct registry_hosts *hosts_of(const char *host, const char *text)
{
    struct registry_hosts *hosts = NULL;

    fine(registry_hosts_parse(host, text, "/nonexistent", &hosts));
    return hosts;
}

static void asks(const char *host, const char *text, size_t index, const char *url, unsigned can, bool is_server)
{
    autoptr(registry_hosts) hosts = hosts_of(host, text);

    assert_true(index < hosts->count);
    assert_string_equal(hosts->list[index].url, url);
    assert_int_equal(hosts->list[index].can, can);
    assert_int_equal(hosts->list[index].is_server, is_server);
}

static void asks_the_server_at(const char *host, const char *url)
{
    autoptr(registry_hosts) hosts = hosts_of(host, NULL);

    assert_int_equal(hosts->count, 1);
    asks(host, NULL, 0, url, HOSTS_CAN_PULL | HOSTS_CAN_RESOLVE, true);
}

static void without_a_file_the_registry_is_asked_by_https(void **state)
{
    (void)state;
    asks_the_server_at("registry.k8s.io", "https://registry.k8s.io/v2");
    asks_the_server_at("docker.io", "https://registry-1.docker.io/v2");
    asks_the_server_at("10.0.0.1:5000", "https://10.0.0.1:5000/v2");
    asks_the_server_at("localhost.example.org", "https://localhost.example.org/v2");
    asks_the_server_at("127.evil.org", "https://127.evil.org/v2");
}

static void loopback_alone_is_asked_by_plain_http(void **state)
{
    (void)state;
    asks_the_server_at("localhost:5000", "http://localhost:5000/v2");
    asks_the_server_at("localhost", "http://localhost/v2");
    asks_the_server_at("127.0.0.1:5000", "http://127.0.0.1:5000/v2");
    asks_the_server_at("127.8.9.1", "http://127.8.9.1/v2");
    asks_the_server_at("[::1]:5000", "http://[::1]:5000/v2");
    asks_the_server_at("[::2]:5000", "https://[::2]:5000/v2");
}

static const char two_mirrors[] =
    "{\"server\": \"https://up.org\", \"host\": {\"http://b:1\": {\"capabilities\": [\"pull\"]}, "
    "\"https://a:2/\": {\"capabilities\": [\"resolve\", \"push\"]}, \"https://c/sub\": {}}}";

static void mirrors_are_asked_in_the_files_order_and_the_server_last(void **state)
{
    (void)state;
    asks("docker.io", two_mirrors, 0, "http://b:1/v2", HOSTS_CAN_PULL, false);
    asks("docker.io", two_mirrors, 1, "https://a:2/v2", HOSTS_CAN_RESOLVE, false);
    asks("docker.io", two_mirrors, 2, "https://c/sub/v2", HOSTS_CAN_PULL | HOSTS_CAN_RESOLVE, false);
    asks("docker.io", two_mirrors, 3, "https://up.org/v2", HOSTS_CAN_PULL | HOSTS_CAN_RESOLVE, true);
}

static void a_file_without_server_means_the_registry_itself(void **state)
{
    (void)state;
    asks("quay.io", "{\"host\": {\"http://m\": {}}}", 1, "https://quay.io/v2", HOSTS_CAN_PULL | HOSTS_CAN_RESOLVE,
         true);
    asks("quay.io", "{}", 0, "https://quay.io/v2", HOSTS_CAN_PULL | HOSTS_CAN_RESOLVE, true);
}

static void a_path_is_overridden_where_asked(void **state)
{
    (void)state;
    asks("a.org", "{\"host\": {\"https://m/p/\": {\"override_path\": true}}}", 0, "https://m/p",
         HOSTS_CAN_PULL | HOSTS_CAN_RESOLVE, false);
    asks("a.org", "{\"server\": \"https://m/v2\"}", 0, "https://m/v2", HOSTS_CAN_PULL | HOSTS_CAN_RESOLVE, true);
    asks("a.org", "{\"server\": \"http://m///\"}", 0, "http://m/v2", HOSTS_CAN_PULL | HOSTS_CAN_RESOLVE, true);
}

static void verification_is_left_out_only_where_asked(void **state)
{
    autoptr(registry_hosts) hosts =
        hosts_of("a.org", "{\"host\": {\"https://m\": {\"skip_verify\": true}, \"https://n\": {}}}");

    (void)state;
    assert_true(hosts->list[0].skip_verify);
    assert_false(hosts->list[1].skip_verify);
    assert_false(hosts->list[2].skip_verify);
}

static void what_is_wrong_is_named(void **state)
{
    static const struct {
        const char *text, *word;
    } wrong[] = {
        {"", "line 1"},
        {"{\n\"server\": \"https://a\",\n]", "line 3"},
        {"[]", "no object"},
        {"{\"server\": 5}", "\"server\" is no string"},
        {"{\"server\": \"a.org\"}", "\"a.org\" is no http:// or https:// address"},
        {"{\"server\": \"ftp://a.org\"}", "ftp://a.org"},
        {"{\"serve\": \"https://a\"}", "unknown key \"serve\""},
        {"{\"host\": []}", "\"host\" is no object"},
        {"{\"host\": {\"https://m\": 1}}", "\"host\": \"https://m\": it is no object"},
        {"{\"host\": {\"m:5000\": {}}}", "\"m:5000\" is no http://"},
        {"{\"host\": {\"https://m\": {\"capability\": []}}}", "unknown key \"capability\""},
        {"{\"host\": {\"https://m\": {\"server\": \"https://n\"}}}", "unknown key \"server\""},
        {"{\"host\": {\"https://m\": {\"capabilities\": \"pull\"}}}", "\"capabilities\" is no list"},
        {"{\"host\": {\"https://m\": {\"capabilities\": [\"fly\"]}}}", "unknown"},
        {"{\"host\": {\"https://m\": {\"capabilities\": [5]}}}", "unknown"},
        {"{\"host\": {\"https://m\": {\"skip_verify\": \"yes\"}}}", "neither true nor false"},
        {"{\"host\": {\"https://m\": {\"ca\": 1}}}", "\"ca\" is no string"},
        {"{\"host\": {\"https://m\": {\"client\": 1}}}", "\"client\""},
        {"{\"host\": {\"https://m\": {\"client\": [\"a\"]}}}", "\"client\""},
        {"{\"server\": \"https://a\", \"server\": \"https://b\"}", "duplicate"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct registry_hosts *hosts = NULL;
        refused(registry_hosts_parse("a.org", wrong[i].text, "/nonexistent", &hosts), ERROR_INVALID_ARGUMENT,
                wrong[i].word);
        assert_null(hosts);
    }
}

static void a_certificate_that_is_not_there_is_named(void **state)
{
    struct registry_hosts *hosts = NULL;

    (void)state;
    refused(registry_hosts_parse("a.org", "{\"ca\": \"none.pem\"}", "/nonexistent", &hosts), ERROR_NOT_FOUND,
            "/nonexistent/none.pem");
}

static void file_write(const char *directory, const char *name, const char *text)
{
    autofree char *path = xasprintf("%s/%s", directory, name);
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int directory_make(void **state)
{
    char path[] = "/tmp/bh-hosts-XXXXXX";

    assert_non_null(mkdtemp(path));
    *state = xstrdup(path);
    return 0;
}

static int directory_remove(void **state)
{
    autofree char *path = *state, *command = xasprintf("rm -rf %s", path);

    return system(command);
}

static void subdirectory_make(const char *directory, const char *name)
{
    autofree char *path = xasprintf("%s/%s", directory, name);

    assert_int_equal(mkdir(path, 0755), 0);
}

static void loads_server(const char *directory, const char *host, const char *url)
{
    autoptr(registry_hosts) hosts = NULL;

    fine(registry_hosts_load(directory, host, &hosts));
    assert_string_equal(hosts->list[hosts->count - 1].url, url);
}

static void the_hosts_own_file_comes_before_the_default_one(void **state)
{
    const char *directory = *state;

    loads_server(directory, "a.org", "https://a.org/v2");
    subdirectory_make(directory, "_default");
    file_write(directory, "_default/hosts.json", "{\"server\": \"http://everybody\"}");
    loads_server(directory, "a.org", "http://everybody/v2");
    subdirectory_make(directory, "a.org");
    loads_server(directory, "a.org", "http://everybody/v2");
    file_write(directory, "a.org/hosts.json", "{\"server\": \"http://own\"}");
    loads_server(directory, "a.org", "http://own/v2");
    loads_server(directory, "b.org", "http://everybody/v2");
}

static void certificates_are_read_beside_the_file(void **state)
{
    const char *directory = *state;
    autoptr(registry_hosts) hosts = NULL;
    autofree char *elsewhere = xasprintf("%s/elsewhere.pem", directory);
    autofree char *text =
        xasprintf("{\"server\": \"https://s\", \"ca\": \"ca.pem\", \"client\": [\"cert.pem\", \"key.pem\"], \"host\": "
                  "{\"https://m\": {\"ca\": \"%s\", \"client\": \"both.pem\"}}}",
                  elsewhere);

    subdirectory_make(directory, "a.org");
    file_write(directory, "elsewhere.pem", "another ca");
    file_write(directory, "a.org/ca.pem", "a ca");
    file_write(directory, "a.org/cert.pem", "a cert");
    file_write(directory, "a.org/key.pem", "a key");
    file_write(directory, "a.org/both.pem", "cert and key");
    file_write(directory, "a.org/hosts.json", text);
    fine(registry_hosts_load(directory, "a.org", &hosts));
    assert_string_equal(hosts->list[0].ca, "another ca");
    assert_string_equal(hosts->list[0].client_cert, "cert and key");
    assert_string_equal(hosts->list[0].client_key, "cert and key");
    assert_string_equal(hosts->list[1].ca, "a ca");
    assert_string_equal(hosts->list[1].client_cert, "a cert");
    assert_string_equal(hosts->list[1].client_key, "a key");
}

static void a_bad_file_is_named_with_its_path(void **state)
{
    const char *directory = *state;
    struct registry_hosts *hosts = NULL;

    subdirectory_make(directory, "a.org");
    file_write(directory, "a.org/hosts.json", "{\"server\": }");
    refused(registry_hosts_load(directory, "a.org", &hosts), ERROR_INVALID_ARGUMENT, "a.org/hosts.json: line 1");
}

int main(void)
{
#define TEST_FILES(name) cmocka_unit_test_setup_teardown(name, directory_make, directory_remove)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_file_the_registry_is_asked_by_https),
        cmocka_unit_test(loopback_alone_is_asked_by_plain_http),
        cmocka_unit_test(mirrors_are_asked_in_the_files_order_and_the_server_last),
        cmocka_unit_test(a_file_without_server_means_the_registry_itself),
        cmocka_unit_test(a_path_is_overridden_where_asked),
        cmocka_unit_test(verification_is_left_out_only_where_asked),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(a_certificate_that_is_not_there_is_named),
        TEST_FILES(the_hosts_own_file_comes_before_the_default_one),
        TEST_FILES(certificates_are_read_beside_the_file),
        TEST_FILES(a_bad_file_is_named_with_its_path),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
