/* CDI: names, files in JSON and YAML, which description counts, and what it changes in a config.json. */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "services/sandboxd/cdi/cdi.h"

static const char gpu_yaml[] = "cdiVersion: 0.6.0\n"
                               "kind: \"example.com/gpu\"\n"
                               "containerEdits:\n"
                               "  env: [GPU=yes]\n"
                               "devices:\n"
                               "- name: 0\n"
                               "  containerEdits:\n"
                               "    deviceNodes:\n"
                               "    - {path: /dev/gpu0, hostPath: /dev/null, permissions: rw, fileMode: 0644}\n"
                               "- name: \"all\"\n"
                               "  containerEdits:\n"
                               "    env:\n"
                               "    - GPU=all\n"
                               "    deviceNodes:\n"
                               "    - path: /dev/gpuall\n"
                               "      type: c\n"
                               "      major: 1\n"
                               "      minor: 3\n"
                               "      uid: 7\n"
                               "    mounts:\n"
                               "    - {hostPath: /opt/gpu, containerPath: /data, options: [ro, nosuid]}\n"
                               "    hooks:\n"
                               "    - {hookName: createContainer, path: /bin/hook, args: [hook, -v], timeout: 3}\n"
                               "    additionalGids: [44, 0, 44]\n";

static struct cdi_registry *registry_of(const char *path, const char *text)
{
    struct cdi_registry *registry = cdi_registry_new();

    cdi_registry_add(registry, 0, path, text, strlen(text));
    return registry;
}

static struct error *edits_of(const struct cdi_registry *registry, const char *name, json_t **ret)
{
    json_t *names = json_pack("[s]", name);
    struct error *failure = cdi_registry_edits(registry, names, ret);

    json_decref(names);
    return failure;
}

static void same_json(json_t *value, const char *expected)
{
    json_t *wanted = json_loads(expected, JSON_DECODE_ANY, NULL);
    autofree char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS),
                  *wanted_text = json_dumps(wanted, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);

    assert_string_equal(text, wanted_text);
    json_decref(wanted);
}

static void names_are_vendor_class_and_device(void **state)
{
    (void)state;
    assert_true(cdi_name_is_valid("example.com/gpu=0"));
    assert_true(cdi_name_is_valid("a/b=GPU-1.x:2_y"));
    const char *wrong[] = {"", "a", "a/b", "a=b", "/b=c", "a/=c", "a/b=", "a./b=c", "1a/b=c", "a/1b=c", "a/b=-c", "a/b=c d", "a/b=c=d",
                           "a/b/c=d", "a/b=c."};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        if (cdi_name_is_valid(wrong[i]))
            fail_msg("taken: %s", wrong[i]);
}

static void fields_and_annotations_name_devices_each_once(void **state)
{
    (void)state;
    Runtime__V1__ContainerConfig config = RUNTIME__V1__CONTAINER_CONFIG__INIT;
    Runtime__V1__CDIDevice device = RUNTIME__V1__CDIDEVICE__INIT, *devices[] = {&device};
    Runtime__V1__ContainerConfig__AnnotationsEntry note = RUNTIME__V1__CONTAINER_CONFIG__ANNOTATIONS_ENTRY__INIT,
                                                   *notes[] = {&note};
    json_t *names = NULL;
    device.name = "a.com/x=1";
    config.cdi_devices = devices, config.n_cdi_devices = 1;
    note.key = "cdi.k8s.io/plugin", note.value = "a.com/x=2,a.com/x=1";
    config.annotations = notes, config.n_annotations = 1;

    assert_null(cdi_names_wanted(&config, &names));
    same_json(names, "[\"a.com/x=1\",\"a.com/x=2\"]");
    json_decref(names);
    note.value = "a.com/x=2,";
    autoptr(error) error = cdi_names_wanted(&config, &names);
    assert_int_equal(error->code, ERROR_INVALID_ARGUMENT);
}

static void yaml_has_jsons_values(void **state)
{
    (void)state;
    static const char text[] = "a: [1, -2, 0x1F, 0644, 0o17, true, ~, null, \"1\", '~', x y, 0.6.0]\nb: {c: |\n    d\n    e\n}\n";
    static const char block[] = "# comment\na:\n- b: 1\n  c: \"\\u00e4\"\n-\n  - d\n";
    json_t *value = NULL;

    autoptr(error) flow = cdi_yaml_parse(text, strlen(text), &value);
    assert_non_null(flow); /* a block text cannot stand in a flow mapping */
    assert_null(cdi_yaml_parse(text, strcspn(text, "\n"), &value));
    same_json(value, "{\"a\":[1,-2,31,420,15,true,null,null,\"1\",\"~\",\"x y\",\"0.6.0\"]}");
    json_decref(value);
    assert_null(cdi_yaml_parse(block, strlen(block), &value));
    same_json(value, "{\"a\":[{\"b\":1,\"c\":\"ä\"},[\"d\"]]}");
    json_decref(value);
}

static void yaml_that_could_grow_or_is_none_is_refused(void **state)
{
    (void)state;
    char deep[400];
    memset(deep, '[', 200), memset(deep + 200, ']', 200);
    const char *wrong[] = {"a: &x 1\nb: *x\n", "a: 1\na: 2\n", "a: [", "", "a: 1\n---\nb: 2\n", "? [a]\n: b\n", "\x01", "a: \"\xff\"", "\tb"};
    json_t *value = NULL;

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        autoptr(error) error = cdi_yaml_parse(wrong[i], strlen(wrong[i]), &value);
        if (!error)
            fail_msg("taken: %s", wrong[i]);
        assert_int_equal(error->code, ERROR_INVALID_ARGUMENT);
    }
    autoptr(error) error = cdi_yaml_parse(deep, sizeof(deep), &value);
    assert_non_null(strstr(error->text, "nested"));
}

static void a_devices_edits_follow_its_files(void **state)
{
    (void)state;
    autoptr(cdi_registry) registry = registry_of("/etc/cdi/gpu.yaml", gpu_yaml);
    json_t *names = json_pack("[s, s]", "example.com/gpu=0", "example.com/gpu=all"), *edits = NULL;

    assert_null(cdi_registry_edits(registry, names, &edits));
    assert_int_equal(json_array_size(edits), 3);
    same_json(json_array_get(edits, 0), "{\"env\":[\"GPU=yes\"]}");
    json_t *paths = cdi_edits_host_paths(edits);
    same_json(paths, "[\"/dev/null\"]");
    json_decref(paths);
    json_decref(edits);
    json_decref(names);
}

static void edits_change_the_spec(void **state)
{
    (void)state;
    autoptr(cdi_registry) registry = registry_of("/etc/cdi/gpu.yaml", gpu_yaml);
    json_t *names = json_pack("[s, s]", "example.com/gpu=0", "example.com/gpu=all"), *edits = NULL;
    json_t *root = json_loads("{\"process\":{\"user\":{\"uid\":5,\"gid\":0,\"additionalGids\":[1]},\"env\":[\"A=1\",\"GPU=no\"]},"
                              "\"mounts\":[{\"destination\":\"/proc\"},{\"destination\":\"/data/below\"}],"
                              "\"linux\":{\"resources\":{\"devices\":[]},\"devices\":[{\"path\":\"/dev/gpuall\"}]}}", 0, NULL);
    struct spec_device null = {.path = "/dev/null", .type = 'c', .major = 1, .minor = 3};

    assert_null(cdi_registry_edits(registry, names, &edits));
    assert_null(cdi_edits_fill(edits, "/dev/null", &null));
    cdi_edits_apply(edits, root);
    same_json(json_object_get(root, "process"),
              "{\"user\":{\"uid\":5,\"gid\":0,\"additionalGids\":[1,44]},\"env\":[\"A=1\",\"GPU=all\"]}");
    same_json(json_object_get(root, "mounts"),
              "[{\"destination\":\"/proc\"},{\"destination\":\"/data\",\"type\":\"bind\",\"source\":\"/opt/gpu\","
              "\"options\":[\"ro\",\"nosuid\",\"rbind\"]},{\"destination\":\"/data/below\"}]");
    same_json(json_object_get(root, "hooks"), "{\"createContainer\":[{\"path\":\"/bin/hook\",\"args\":[\"hook\",\"-v\"],\"timeout\":3}]}");
    same_json(json_object_get(root, "linux"),
              "{\"resources\":{\"devices\":[{\"allow\":true,\"type\":\"c\",\"major\":1,\"minor\":3,\"access\":\"rw\"},"
              "{\"allow\":true,\"type\":\"c\",\"major\":1,\"minor\":3,\"access\":\"rwm\"}]},\"devices\":["
              "{\"path\":\"/dev/gpu0\",\"type\":\"c\",\"major\":1,\"minor\":3,\"fileMode\":420,\"uid\":5},"
              "{\"path\":\"/dev/gpuall\",\"type\":\"c\",\"major\":1,\"minor\":3,\"uid\":7}]}");
    json_decref(root);
    json_decref(edits);
    json_decref(names);
}

#define JSON_DEVICE(edits) "{\"cdiVersion\":\"0.5.0\",\"kind\":\"a.com/x\",\"devices\":[{\"name\":\"1\",\"containerEdits\":" edits "}]}"

static void the_last_directory_wins_and_two_in_one_are_ambiguous(void **state)
{
    (void)state;
    static const char first[] = JSON_DEVICE("{\"env\":[\"A=1\"]}"), second[] = JSON_DEVICE("{\"env\":[\"A=2\"]}");
    autoptr(cdi_registry) registry = registry_of("/etc/cdi/a.json", first);
    json_t *edits = NULL;

    cdi_registry_add(registry, 1, "/run/cdi/a.json", second, strlen(second));
    assert_null(edits_of(registry, "a.com/x=1", &edits));
    same_json(edits, "[{\"env\":[\"A=2\"]}]");
    json_decref(edits);
    cdi_registry_add(registry, 1, "/run/cdi/b.json", first, strlen(first));
    autoptr(error) error = edits_of(registry, "a.com/x=1", &edits);
    assert_int_equal(error->code, ERROR_FAILED_PRECONDITION);
}

static void refused(const char *path, const char *text, enum error_code code, const char *word)
{
    autoptr(cdi_registry) registry = registry_of(path, text);
    json_t *edits = NULL;

    autoptr(error) error = edits_of(registry, "a.com/x=1", &edits);
    if (!error || error->code != code || !strstr(error->text, word))
        fail_msg("%s: %s, not \"%s\"", text, error ? error->text : "taken", word);
}

static void a_device_that_is_not_there_is_told_with_what_is_wrong_with_the_files(void **state)
{
    (void)state;
    refused("/etc/cdi/a.txt", JSON_DEVICE("{}"), ERROR_NOT_FOUND, "a.com/x=1 is in no file");
    refused("/etc/cdi/a.json", "{", ERROR_NOT_FOUND, "/etc/cdi/a.json: line 1");
    refused("/etc/cdi/a.json", "{\"cdiVersion\":\"2.0\"}", ERROR_NOT_FOUND, "cdiVersion is 2.0");
    refused("/etc/cdi/a.json", "{\"cdiVersion\":\"1.0.0\",\"kind\":\"a.com/x\",\"devices\":[]}", ERROR_NOT_FOUND, "no devices");
    refused("/etc/cdi/a.json", JSON_DEVICE("{\"envs\":[]}"), ERROR_NOT_FOUND, "unknown key \"envs\"");
    refused("/etc/cdi/a.json", JSON_DEVICE("{\"env\":[\"A\"]}"), ERROR_NOT_FOUND, "env[0] is not NAME=VALUE");
    refused("/etc/cdi/a.json", JSON_DEVICE("{\"deviceNodes\":[{\"path\":\"dev\"}]}"), ERROR_NOT_FOUND, "deviceNodes[0]: a path is not absolute");
    refused("/etc/cdi/a.json", JSON_DEVICE("{\"deviceNodes\":[{\"path\":\"/d\",\"major\":-1}]}"), ERROR_NOT_FOUND, "major is no number");
    refused("/etc/cdi/a.json", JSON_DEVICE("{\"mounts\":[{\"hostPath\":\"/a\"}]}"), ERROR_NOT_FOUND, "mounts[0]: containerPath");
    refused("/etc/cdi/a.json", JSON_DEVICE("{\"hooks\":[{\"hookName\":\"x\",\"path\":\"/a\"}]}"), ERROR_NOT_FOUND, "\"x\" is no hook");
    refused("/etc/cdi/a.json", JSON_DEVICE("{\"intelRdt\":{}}"), ERROR_UNIMPLEMENTED, "intelRdt is not supported");
    refused("/etc/cdi/a.json", JSON_DEVICE("{\"netDevices\":[]}"), ERROR_UNIMPLEMENTED, "netDevices is not supported");
}

static void a_node_of_another_type_is_refused(void **state)
{
    (void)state;
    autoptr(cdi_registry) registry =
        registry_of("/a.json", JSON_DEVICE("{\"deviceNodes\":[{\"path\":\"/dev/sda\",\"type\":\"b\"}]}"));
    struct spec_device device = {.path = "/dev/sda", .type = 'c', .major = 1};
    json_t *edits = NULL;

    assert_null(edits_of(registry, "a.com/x=1", &edits));
    autoptr(error) error = cdi_edits_fill(edits, "/dev/sda", &device);
    assert_int_equal(error->code, ERROR_FAILED_PRECONDITION);
    json_decref(edits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_vendor_class_and_device),
        cmocka_unit_test(fields_and_annotations_name_devices_each_once),
        cmocka_unit_test(yaml_has_jsons_values),
        cmocka_unit_test(yaml_that_could_grow_or_is_none_is_refused),
        cmocka_unit_test(a_devices_edits_follow_its_files),
        cmocka_unit_test(edits_change_the_spec),
        cmocka_unit_test(the_last_directory_wins_and_two_in_one_are_ambiguous),
        cmocka_unit_test(a_device_that_is_not_there_is_told_with_what_is_wrong_with_the_files),
        cmocka_unit_test(a_node_of_another_type_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
