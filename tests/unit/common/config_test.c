/* Good files set what they say, bad ones are named with their line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/config.h"
#include "common/fd.h"

static char path[] = "/tmp/bulkhead-config-XXXXXX";

static int setup(void **state)
{
    (void)state;
    close(mkstemp(path));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return unlink(path);
}

static void put(const char *text)
{
    FILE *file = fopen(path, "w");

    fputs(text, file);
    fclose(file);
}

static void expect_bad(const char *text, const char *line, const char *part)
{
    struct config *config = NULL;

    put(text);
    autoptr(error) error = config_load(path, &config);
    assert_non_null(error);
    assert_int_equal(error->code, ERROR_INVALID_ARGUMENT);
    char place[100];
    snprintf(place, sizeof(place), "%s:%s: ", path, line);
    if (!strstr(error->text, place) || !strstr(error->text, part))
        fail_msg("'%s' lacks '%s' or '%s'", error->text, place, part);
}

static void an_empty_object_gives_the_defaults(void **state)
{
    autoptr(config) config = NULL;

    (void)state;
    put("{}");
    assert_null(config_load(path, &config));
    assert_string_equal(config->root, "/var/lib/bulkhead");
    assert_string_equal(config->state, "/run/bulkhead");
    assert_string_equal(config->address, "/run/bulkhead/bulkhead.sock");
    assert_string_equal(config->cni_bin_dirs[1], "/usr/lib/cni");
    assert_null(config->cni_bin_dirs[2]);
    assert_string_equal(config->cdi_spec_dirs[1], "/var/run/cdi");
    assert_null(config->cdi_spec_dirs[2]);
    assert_null(config->pinned_images[0]);
    assert_string_equal(config->cni_ip_pref, "ipv4");
    assert_int_equal(config->uid_first, 61300);
    assert_string_equal(config->stream_server_address, "127.0.0.1");
    assert_int_equal(config->stream_server_port, 0);
    assert_int_equal(config_uid(config, CONFIG_USER_LOGD), 61304);
    assert_int_equal(config_uid(config, CONFIG_USER_ROOT), 0);
    assert_string_equal(config->file, path);
}

static void every_key_is_taken(void **state)
{
    autoptr(config) config = NULL;

    (void)state;
    put("{\"root\": \"/r\", \"state\": \"/s\", \"programs\": \"/p\",\n"
        " \"grpc\": {\"address\": \"unix:///a.sock\"}, \"registry\": {\"config_path\": \"/c\"},\n"
        " \"cni\": {\"conf_dir\": \"/n\", \"bin_dirs\": [\"/b\"], \"timeout_seconds\": 9, \"ip_pref\": \"cni\"},\n"
        " \"cdi_spec_dirs\": [], \"pinned_images\": [\"pause:*\"],"
        " \"runtimes\": {\"crun\": {\"path\": \"/x/crun\"}, \"other\": {\"path\": \"/x/other\"}},\n"
        " \"default_runtime_name\": \"other\", \"seccomp_profiles_dir\": \"/sp\", \"cgroup_driver\": \"systemd\",\n"
        " \"log_level\": \"debug\", \"uid_first\": 70000,"
        " \"stream_server_address\": \"::1\", \"stream_server_port\": \"10010\"}");
    assert_null(config_load(path, &config));
    assert_string_equal(config->root, "/r");
    assert_string_equal(config->address, "/a.sock");
    assert_string_equal(config->registry_config_path, "/c");
    assert_string_equal(config->cni_conf_dir, "/n");
    assert_string_equal(config->cni_bin_dirs[0], "/b");
    assert_null(config->cni_bin_dirs[1]);
    assert_null(config->cdi_spec_dirs[0]);
    assert_string_equal(config->pinned_images[0], "pause:*");
    assert_string_equal(config->cni_ip_pref, "cni");
    assert_int_equal(config->cni_timeout_s, 9);
    assert_int_equal(config->runtime_count, 2);
    assert_string_equal(config->runtimes[1].path, "/x/other");
    assert_string_equal(config->default_runtime_name, "other");
    assert_string_equal(config->cgroup_driver, "systemd");
    assert_string_equal(config->log_level, "debug");
    assert_int_equal(config->uid_first, 70000);
    assert_string_equal(config->stream_server_address, "::1");
    assert_int_equal(config->stream_server_port, 10010);
}

static void mistakes_are_named_with_their_line(void **state)
{
    (void)state;
    expect_bad("{\n\"root\": \"/r\",\n\"rooot\": \"/r\"}", "3", "rooot: unknown key");
    expect_bad("{\n\n\"cni\": {\n\"conf_dir\": 7}}", "4", "cni.conf_dir: must be a string");
    expect_bad("{\"pinned_images\": \"x\"}", "1", "must be a list of strings");
    expect_bad("{\"pinned_images\": [\"\"]}", "1", "empty string");
    expect_bad("{\"cni\": {\"ip_pref\": \"ipv5\"}}", "1", "'ipv5' is none of");
    expect_bad("{\"cni\": {\"bin_dirs\":\n[\"/x\",\n\"y\"]}}", "1", "'y' is no absolute path");
    expect_bad("{\n\"cni\": {\"note\": {\"conf_dir\": \"/x\"},\n\"timeout_seconds\": 0}}", "2", "cni.note: unknown key");
    expect_bad("{\n\"stream_server_address\": \"localhost\"}", "2", "'localhost' is no IP address");
    expect_bad("{\n\"stream_server_port\": \"65536\"}", "2", "stream_server_port: must be from 0 to 65535");
    expect_bad("{\n\"stream_server_port\": \"10x\"}", "2", "stream_server_port: must be a port number");
    expect_bad("{\"uid_first\":\n1}", "1", "uid_first: must be from 1000");
    expect_bad("{\"a\\\"b\\n\": [1,{\"root\":\n2}],\n\"root\": \"/r\"}", "1", "unknown key");
    expect_bad("{\"log_level\": \"info|warn\"}", "1", "none of: error|warn|info|debug");
    expect_bad("{\"cgroup_driver\": \"v2\"}", "1", "none of: cgroupfs|systemd");
    expect_bad("{\n\"grpc\": \"/a\"}", "2", "grpc: must be an object");
    expect_bad("{\n\"runtimes\": {\"crun\": {\"path\": \"/x\", \"pth\": \"/y\"}}}", "2", "unknown key 'pth'");
    expect_bad("{\n\"runtimes\": {\"crun\": {}}}", "2", "string \"path\"");
    expect_bad("{\n\"root\": \"/r\"\n\"state\": \"/s\"}", "3", "expected");
    expect_bad("{\"root\": \"/r\", \"root\": \"/s\"}", "1", "duplicate");
    expect_bad("[]", "1", "must be an object");
}

static void a_default_runtime_must_be_configured(void **state)
{
    struct config *config = NULL;

    (void)state;
    put("{\"runtimes\": {}, \"default_runtime_name\": \"crun\"}");
    autoptr(error) error = config_load(path, &config);
    assert_non_null(error);
    assert_non_null(strstr(error->text, "no runtime 'crun'"));
}

static void flags_win_over_the_file_and_the_rest_is_left(void **state)
{
    char *argv[] = {"x",      "--config", path, "run",       "--state=/fs", "--root", "/fr", "--log-level", "warn",
                    "--json", "--",       "-r", "--state=q", NULL};
    int argc = 13;
    autoptr(config) config = NULL;

    (void)state;
    put("{\"root\": \"/r\", \"state\": \"/s\", \"cni\": {\"conf_dir\": \"/n\"}}");
    assert_null(config_from_arguments(&argc, argv, &config));
    assert_string_equal(config->root, "/fr");
    assert_string_equal(config->state, "/fs");
    assert_string_equal(config->address, "/fs/bulkhead.sock");
    assert_string_equal(config->cni_conf_dir, "/n");
    assert_string_equal(config->log_level, "warn");
    const char *rest[] = {"x", "run", "--json", "--", "-r", "--state=q"};
    assert_int_equal(argc, 6);
    for (int i = 0; i < argc; i++)
        assert_string_equal(argv[i], rest[i]);
    assert_null(argv[argc]);
}

static void a_flag_without_value_or_with_a_bad_one_is_an_error(void **state)
{
    struct config *config = NULL;
    char *missing[] = {"x", "--root", NULL}, *bad[] = {"x", "--root", "relative", NULL};
    char *absent[] = {"x", "--config", "/nonexistent/config.json", NULL};
    int argc = 2;

    (void)state;
    autoptr(error) first = config_from_arguments(&argc, missing, &config);
    assert_non_null(strstr(first->text, "--root needs a value"));
    argc = 3;
    autoptr(error) second = config_from_arguments(&argc, bad, &config);
    assert_non_null(strstr(second->text, "--root: 'relative' is no absolute path"));
    argc = 3;
    autoptr(error) third = config_from_arguments(&argc, absent, &config);
    assert_non_null(strstr(third->text, "/nonexistent/config.json"));
}

/* At the limit every daemon's socket fits, one more and the message names the limit. */
static void a_state_directory_or_address_too_long_for_sockets_is_an_error_with_the_limit(void **state)
{
    char state_flag[] = "--state=/123456789012345678901234567890123456789012345678901234567890123456789";
    char *good[] = {(char *)"program", state_flag, NULL};
    autoptr(config) config = NULL;
    int count = 2;

    (void)state;
    put("{}");
    assert_null(config_from_arguments(&count, good, &config));
    assert_int_equal(strlen(config->state), 70);
    expect_bad("{\"state\": \"/1234567890123456789012345678901234567890123456789012345678901234567890\"}", "1",
               "has 71 bytes and may have 70: the path of a socket ends at 107");
    expect_bad("{\"grpc\": {\"address\":\n\"unix:///12345678901234567890123456789012345678901234567890123456789012345678"
               "90123456789012345678901234567890123\"}}",
               "1", "has 104 bytes and may have 103");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_object_gives_the_defaults),
        cmocka_unit_test(every_key_is_taken),
        cmocka_unit_test(mistakes_are_named_with_their_line),
        cmocka_unit_test(a_default_runtime_must_be_configured),
        cmocka_unit_test(flags_win_over_the_file_and_the_rest_is_left),
        cmocka_unit_test(a_flag_without_value_or_with_a_bad_one_is_an_error),
        cmocka_unit_test(a_state_directory_or_address_too_long_for_sockets_is_an_error_with_the_limit),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
