/* User namespaces: which are taken, and what config.json says of them. */
#include "tests/unit/sandboxd/spec/refusals.h"

/* What the kubelet sends; each test changes it in one place. */
struct asked {
    Runtime__V1__UserNamespace user;
    Runtime__V1__IDMapping uid, gid;
    Runtime__V1__IDMapping *uids[2], *gids[2];
};

static void asked_init(struct asked *asked)
{
    asked->user = (Runtime__V1__UserNamespace)RUNTIME__V1__USER_NAMESPACE__INIT;
    asked->uid = asked->gid = (Runtime__V1__IDMapping)RUNTIME__V1__IDMAPPING__INIT;
    asked->uid.host_id = 65536, asked->gid.host_id = 131072;
    asked->uid.length = asked->gid.length = 65536;
    asked->uids[0] = asked->uids[1] = &asked->uid, asked->gids[0] = asked->gids[1] = &asked->gid;
    asked->user.mode = RUNTIME__V1__NAMESPACE_MODE__POD;
    asked->user.uids = asked->uids, asked->user.gids = asked->gids;
    asked->user.n_uids = asked->user.n_gids = 1;
}

#define WITH(change) asked_init(&a); f.pod_namespaces.userns_options = &a.user; change

static void a_pod_has_one_mapping_that_begins_with_0_or_none(void **state)
{
    (void)state;
    struct asked a;

    ASSERT_TAKEN(pod, WITH({}));
    ASSERT_TAKEN(pod, WITH(a.uid.host_id = 1000; a.uid.length = 100000));
    ASSERT_TAKEN(pod, WITH(a.user.mode = RUNTIME__V1__NAMESPACE_MODE__NODE; a.user.n_uids = a.user.n_gids = 0));
    ASSERT_REFUSED(pod, ERROR_INVALID_ARGUMENT, "userns_options: mode NODE has mappings", WITH(a.user.mode = RUNTIME__V1__NAMESPACE_MODE__NODE));
    ASSERT_REFUSED(pod, ERROR_INVALID_ARGUMENT, "userns_options.mode: 1 is neither", WITH(a.user.mode = RUNTIME__V1__NAMESPACE_MODE__CONTAINER));
    ASSERT_REFUSED(pod, ERROR_INVALID_ARGUMENT, "userns_options.mode: 3 is neither", WITH(a.user.mode = RUNTIME__V1__NAMESPACE_MODE__TARGET));
    ASSERT_REFUSED(pod, ERROR_INVALID_ARGUMENT, "userns_options.uids: 2 mappings", WITH(a.user.n_uids = 2));
    ASSERT_REFUSED(pod, ERROR_INVALID_ARGUMENT, "userns_options.gids: 0 mappings", WITH(a.user.n_gids = 0));
    ASSERT_REFUSED(pod, ERROR_INVALID_ARGUMENT, "userns_options.gids: 0 of the container", WITH(a.gid.container_id = 1));
    ASSERT_REFUSED(pod, ERROR_INVALID_ARGUMENT, "userns_options.uids: 0 from 65536 on are no ids", WITH(a.uid.length = 0));
    ASSERT_REFUSED(pod, ERROR_INVALID_ARGUMENT, "userns_options.uids: 65536 from 4294901760 on are no ids", WITH(a.uid.host_id = 4294901760));
    ASSERT_TAKEN(pod, WITH(a.uid.host_id = 4294901759)); /* 4294967295 is nobody's number */
}

static void a_pod_has_all_of_its_namespaces_with_it_and_a_host_that_can(void **state)
{
    (void)state;
    struct asked a;

    ASSERT_REFUSED(pod, ERROR_INVALID_ARGUMENT, "can't have the host's", WITH(f.pod_namespaces.network = RUNTIME__V1__NAMESPACE_MODE__NODE));
    ASSERT_REFUSED(pod, ERROR_INVALID_ARGUMENT, "can't have the host's", WITH(f.pod_namespaces.pid = RUNTIME__V1__NAMESPACE_MODE__NODE));
    ASSERT_REFUSED(pod, ERROR_INVALID_ARGUMENT, "can't have the host's", WITH(f.pod_namespaces.ipc = RUNTIME__V1__NAMESPACE_MODE__NODE));
    ASSERT_REFUSED(pod, ERROR_FAILED_PRECONDITION, "userns_options: too old", WITH(f.host.user_namespaces_refusal = "too old"));
    ASSERT_TAKEN(pod, WITH(f.host.user_namespaces_refusal = "too old"; a.user.mode = RUNTIME__V1__NAMESPACE_MODE__NODE;
                           a.user.n_uids = a.user.n_gids = 0));
}

static void a_container_has_its_pods(void **state)
{
    (void)state;
    struct asked a, b;

    asked_init(&b);
    ASSERT_TAKEN(container, WITH({}));
    ASSERT_TAKEN(container, WITH(f.namespaces.userns_options = &b.user));
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "userns_options: they are not the pod's", f.namespaces.userns_options = &b.user);
    b.gid.host_id++;
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "userns_options: they are not the pod's", WITH(f.namespaces.userns_options = &b.user));
    b.user.mode = RUNTIME__V1__NAMESPACE_MODE__NODE, b.user.n_uids = b.user.n_gids = 0;
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "userns_options: they are not the pod's", WITH(f.namespaces.userns_options = &b.user));
    ASSERT_TAKEN(container, f.namespaces.userns_options = &b.user);
}

static void a_mounts_mappings_are_the_pods(void **state)
{
    (void)state;
    struct asked a, b;
    Runtime__V1__Mount m = RUNTIME__V1__MOUNT__INIT, *mounts[] = {&m};

    asked_init(&b);
    m.host_path = "/data", m.container_path = "/data";
    m.uidmappings = b.uids, m.n_uidmappings = 1, m.gidmappings = b.gids, m.n_gidmappings = 1;
#define MOUNTED f.config.mounts = mounts; f.config.n_mounts = 1
    ASSERT_TAKEN(container, WITH(MOUNTED));
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "mounts of /data: uidMappings and gidMappings are not those", MOUNTED);
    m.propagation = RUNTIME__V1__MOUNT_PROPAGATION__PROPAGATION_BIDIRECTIONAL;
    ASSERT_REFUSED(container, ERROR_UNIMPLEMENTED, "PROPAGATION_BIDIRECTIONAL with uidMappings", WITH(MOUNTED));
    m.propagation = RUNTIME__V1__MOUNT_PROPAGATION__PROPAGATION_HOST_TO_CONTAINER;
    ASSERT_TAKEN(container, WITH(MOUNTED));
    m.n_gidmappings = 0;
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "uidMappings and gidMappings are not those", WITH(MOUNTED));
    m.n_gidmappings = 1;
    b.uid.length--;
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "uidMappings and gidMappings are not those", WITH(MOUNTED));
}

static void who_runs_is_in_the_namespace(void **state)
{
    (void)state;
    struct asked a;
    struct fixture f;

    fixture_init(&f);
    WITH({});
    f.user.uid = f.user.gid = f.groups[0] = 65535;
    assert_null(spec_user_check(&f.user, &f.pod_config));
    f.groups[0] = 65536;
    autoptr(error) error = spec_user_check(&f.user, &f.pod_config);
    assert_string_equal(error->text, "group 65536 is none of the 65536 of the pod's user namespace");
    f.pod_namespaces.userns_options = NULL;
    assert_null(spec_user_check(&f.user, &f.pod_config));
}

static void config_json_names_the_namespace_its_mappings_and_the_staged_mounts(void **state)
{
    (void)state;
    struct asked a;
    struct fixture f;
    Runtime__V1__Mount m[2] = {RUNTIME__V1__MOUNT__INIT, RUNTIME__V1__MOUNT__INIT}, *mounts[] = {&m[0], &m[1]};
    char *sources[] = {NULL, "/staged/3"};

    fixture_init(&f);
    WITH({});
    f.pod.user_fd = 12;
    m[0].host_path = "/a", m[0].container_path = "/in-a", m[1].host_path = "/b", m[1].container_path = "/in-b";
    f.config.mounts = mounts, f.config.n_mounts = 2;
    f.input.mount_sources = sources;
    json_t *root = fixture_build(&f);

    assert_json(json_array_get(at(root, "linux.namespaces"), 0), "path", "\"/proc/77/fd/12\"");
    assert_json(json_array_get(at(root, "linux.namespaces"), 0), "type", "\"user\"");
    assert_json(root, "linux.uidMappings", "[{\"containerID\":0,\"hostID\":65536,\"size\":65536}]");
    assert_json(root, "linux.gidMappings", "[{\"containerID\":0,\"hostID\":131072,\"size\":65536}]");
    size_t index;
    json_t *mount;
    json_array_foreach(at(root, "mounts"), index, mount)
    {
        if (strcmp(json_string_value(json_object_get(mount, "destination")), "/in-a") == 0)
            assert_json(mount, "source", "\"/a\"");
        if (strcmp(json_string_value(json_object_get(mount, "destination")), "/in-b") == 0)
            assert_json(mount, "source", "\"/staged/3\"");
    }
    json_decref(root);
}

static void devices_are_mounts_as_nobody_may_make_a_node(void **state)
{
    (void)state;
    struct asked a;
    struct fixture f;
    const struct spec_device device = {.path = "/dev/mine", .host_path = "/dev/zero", .type = 'c', .major = 1, .minor = 5, .mode = 0666};
    const struct spec_found found = {.devices = &device, .device_count = 1};

    fixture_init(&f);
    f.input.found = &found;
    json_t *root = fixture_build(&f);
    assert_int_equal(json_array_size(at(root, "linux.devices")), 1);
    json_decref(root);
    WITH({});
    f.pod.user_fd = 12;
    root = fixture_build(&f);
    assert_null(at(root, "linux.devices"));
    json_t *mount = json_array_get(at(root, "mounts"), json_array_size(at(root, "mounts")) - 1);
    for (size_t i = 0; i < json_array_size(at(root, "mounts")); i++)
        if (strcmp(json_string_value(json_object_get(json_array_get(at(root, "mounts"), i), "destination")), "/dev/mine") == 0)
            mount = json_array_get(at(root, "mounts"), i);
    assert_json(mount, "source", "\"/dev/zero\"");
    assert_int_equal(json_array_size(at(root, "linux.resources.devices")), 2); /* the cgroup lets it in all the same */
    json_decref(root);
}

static void a_missing_user_namespace_never_becomes_the_hosts(void **state)
{
    (void)state;
    struct asked a;
    struct fixture f;
    autofree char *text = NULL;

    fixture_init(&f);
    WITH({});
    autoptr(error) error = spec_build(&f.input, &text);
    assert_non_null(error);
    assert_int_equal(error->code, ERROR_INTERNAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pod_has_one_mapping_that_begins_with_0_or_none),
        cmocka_unit_test(a_pod_has_all_of_its_namespaces_with_it_and_a_host_that_can),
        cmocka_unit_test(a_container_has_its_pods),
        cmocka_unit_test(a_mounts_mappings_are_the_pods),
        cmocka_unit_test(who_runs_is_in_the_namespace),
        cmocka_unit_test(config_json_names_the_namespace_its_mappings_and_the_staged_mounts),
        cmocka_unit_test(devices_are_mounts_as_nobody_may_make_a_node),
        cmocka_unit_test(a_missing_user_namespace_never_becomes_the_hosts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
