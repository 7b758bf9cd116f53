/* An image's configuration document: what is read of it, and what is none. */
#include "tests/unit/imaged/check.h"

#include "common/memory.h"
#include "services/imaged/image_config.h"

#define ONE "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define TWO "sha256:2222222222222222222222222222222222222222222222222222222222222222"
#define ROOTFS "\"rootfs\": {\"type\": \"layers\", \"diff_ids\": [\"" ONE "\", \"" TWO "\"]}"

static struct image_config *config_of(const char *text)
{
    struct image_config *config = NULL;

    fine(image_config_parse(text, strlen(text), &config));
    return config;
}

static void every_setting_is_read(void **state)
{
    autoptr(image_config) config = config_of("{\"os\": \"linux\", \"architecture\": \"amd64\", " ROOTFS
                                             ", \"config\": {\"Entrypoint\": [\"/init\", \"-x\"], \"Cmd\": [\"sh\"], "
                                             "\"Env\": [\"A=1\", \"B=\"], \"Volumes\": {\"/data\": {}, \"/logs\": {}}, "
                                             "\"WorkingDir\": \"/srv\", \"User\": \"7:8\", "
                                             "\"StopSignal\": \"SIGINT\"}, \"history\": []}");

    (void)state;
    assert_string_equal(config->os, "linux");
    assert_string_equal(config->architecture, "amd64");
    assert_int_equal(config->diff_ids.count, 2);
    assert_string_equal(config->diff_ids.list[1], TWO);
    assert_int_equal(config->entrypoint.count, 2);
    assert_string_equal(config->entrypoint.list[1], "-x");
    assert_string_equal(config->cmd.list[0], "sh");
    assert_int_equal(config->env.count, 2);
    assert_string_equal(config->env.list[1], "B=");
    assert_int_equal(config->volumes.count, 2);
    assert_string_equal(config->volumes.list[0], "/data");
    assert_string_equal(config->working_dir, "/srv");
    assert_string_equal(config->user, "7:8");
    assert_string_equal(config->stop_signal, "SIGINT");
}

static void what_is_not_given_is_empty(void **state)
{
    static const char *const texts[] = {
        "{" ROOTFS "}",
        "{" ROOTFS ", \"config\": null}",
        "{" ROOTFS ", \"config\": {\"Entrypoint\": null, \"Cmd\": null, \"Env\": null, \"Volumes\": null}}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        autoptr(image_config) config = config_of(texts[i]);
        assert_int_equal(config->entrypoint.count + config->cmd.count + config->env.count + config->volumes.count, 0);
        assert_string_equal(config->user, "");
        assert_string_equal(config->os, "");
        assert_string_equal(config->stop_signal, "");
    }
}

static void what_is_no_configuration_is_refused(void **state)
{
    static const struct {
        const char *text, *word;
    } wrong[] = {
        {"", "no JSON object"},
        {"[]", "no JSON object"},
        {"{" ROOTFS, "no JSON object"},
        {"{}", "type layers"},
        {"{\"rootfs\": {\"type\": \"squashfs\"}}", "type layers"},
        {"{\"rootfs\": {\"type\": \"layers\", \"diff_ids\": \"" ONE "\"}}", "\"diff_ids\" is no list"},
        {"{\"rootfs\": {\"type\": \"layers\", \"diff_ids\": [\"" ONE "\", \"sha256:1\"]}}", "diff id 2 is no digest"},
        {"{\"rootfs\": {\"type\": \"layers\", \"diff_ids\": "
         "[\"sha256:../../../../../../../../../../../../../../../../../../../../../\"]}}",
         "diff id 1 is no digest"},
        {"{" ROOTFS ", \"config\": {\"Cmd\": \"sh\"}}", "\"Cmd\" is no list"},
        {"{" ROOTFS ", \"config\": {\"Env\": [1]}}", "\"Env\" has something that is no text"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct image_config *config = NULL;
        refused(image_config_parse(wrong[i].text, strlen(wrong[i].text), &config), ERROR_INVALID_ARGUMENT,
                wrong[i].word);
        assert_null(config);
    }
}

static void user_is(const char *user, bool has_uid, int64_t uid, const char *name)
{
    autofree char *their = NULL;
    bool has;
    int64_t number;

    image_config_user(user, &has, &number, &their);
    assert_int_equal(has, has_uid);
    assert_int_equal(number, uid);
    assert_string_equal(their, name);
}

static void a_user_is_a_number_or_a_name_without_its_group(void **state)
{
    (void)state;
    user_is("", false, 0, "");
    user_is("0", true, 0, "");
    user_is("1000", true, 1000, "");
    user_is("1000:2000", true, 1000, "");
    user_is("3000000000", true, 3000000000, "");
    user_is("nobody", false, 0, "nobody");
    user_is("nobody:nogroup", false, 0, "nobody");
    user_is(":8", false, 0, "");
    user_is("7x", false, 0, "7x");
    user_is("-1", false, 0, "-1");
    user_is("99999999999999999999", false, 0, "99999999999999999999");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_setting_is_read),
        cmocka_unit_test(what_is_not_given_is_empty),
        cmocka_unit_test(what_is_no_configuration_is_refused),
        cmocka_unit_test(a_user_is_a_number_or_a_name_without_its_group),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
