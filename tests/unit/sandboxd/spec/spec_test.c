/* config.json and process.json: the whole text of a plain container, then one decision after the other. */
#include "tests/unit/sandboxd/spec/fixture.h"

#include <signal.h>

static const char golden[] =
    "{\"ociVersion\":\"1.0.2\",\"process\":{\"terminal\":false,\"user\":{\"uid\":0,\"gid\":0,\"additionalGids\":[0]},"
    "\"args\":[\"/bin/app\",\"-v\",\"serve\"],"
    "\"env\":[\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\",\"HOSTNAME=web-0\"],\"cwd\":\"/\","
    "\"capabilities\":{"
    "\"bounding\":[\"CAP_CHOWN\",\"CAP_DAC_OVERRIDE\",\"CAP_FOWNER\",\"CAP_FSETID\",\"CAP_KILL\",\"CAP_SETGID\","
    "\"CAP_SETUID\",\"CAP_SETPCAP\",\"CAP_NET_BIND_SERVICE\",\"CAP_NET_RAW\",\"CAP_SYS_CHROOT\",\"CAP_MKNOD\","
    "\"CAP_AUDIT_WRITE\",\"CAP_SETFCAP\"],"
    "\"effective\":[\"CAP_CHOWN\",\"CAP_DAC_OVERRIDE\",\"CAP_FOWNER\",\"CAP_FSETID\",\"CAP_KILL\",\"CAP_SETGID\","
    "\"CAP_SETUID\",\"CAP_SETPCAP\",\"CAP_NET_BIND_SERVICE\",\"CAP_NET_RAW\",\"CAP_SYS_CHROOT\",\"CAP_MKNOD\","
    "\"CAP_AUDIT_WRITE\",\"CAP_SETFCAP\"],"
    "\"permitted\":[\"CAP_CHOWN\",\"CAP_DAC_OVERRIDE\",\"CAP_FOWNER\",\"CAP_FSETID\",\"CAP_KILL\",\"CAP_SETGID\","
    "\"CAP_SETUID\",\"CAP_SETPCAP\",\"CAP_NET_BIND_SERVICE\",\"CAP_NET_RAW\",\"CAP_SYS_CHROOT\",\"CAP_MKNOD\","
    "\"CAP_AUDIT_WRITE\",\"CAP_SETFCAP\"]},"
    "\"noNewPrivileges\":false,\"oomScoreAdj\":0},"
    "\"root\":{\"path\":\"/run/rootfs\",\"readonly\":false},\"mounts\":["
    "{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\",\"options\":[\"nosuid\",\"noexec\",\"nodev\"]},"
    "{\"destination\":\"/"
    "dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\",\"options\":[\"nosuid\",\"strictatime\",\"mode=755\","
    "\"size=65536k\"]},"
    "{\"destination\":\"/dev/pts\",\"type\":\"devpts\",\"source\":\"devpts\",\"options\":[\"nosuid\",\"noexec\","
    "\"newinstance\",\"ptmxmode=0666\",\"mode=0620\",\"gid=5\"]},"
    "{\"destination\":\"/dev/mqueue\",\"type\":\"mqueue\",\"source\":\"mqueue\",\"options\":[\"nosuid\",\"noexec\","
    "\"nodev\"]},"
    "{\"destination\":\"/"
    "sys\",\"type\":\"sysfs\",\"source\":\"sysfs\",\"options\":[\"nosuid\",\"noexec\",\"nodev\",\"ro\"]},"
    "{\"destination\":\"/sys/fs/cgroup\",\"type\":\"cgroup\",\"source\":\"cgroup\",\"options\":[\"nosuid\",\"noexec\","
    "\"nodev\",\"relatime\",\"ro\"]},"
    "{\"destination\":\"/etc/hostname\",\"type\":\"bind\",\"source\":\"/d/"
    "hostname\",\"options\":[\"rbind\",\"rprivate\"]},"
    "{\"destination\":\"/etc/hosts\",\"type\":\"bind\",\"source\":\"/d/"
    "hosts\",\"options\":[\"rbind\",\"rprivate\"]},"
    "{\"destination\":\"/etc/resolv.conf\",\"type\":\"bind\",\"source\":\"/d/resolv.conf\",\"options\":[\"rbind\","
    "\"rprivate\"]},"
    "{\"destination\":\"/dev/shm\",\"type\":\"bind\",\"source\":\"/run/"
    "shm\",\"options\":[\"rbind\",\"rprivate\"]}],"
    "\"linux\":{\"resources\":{\"devices\":[{\"allow\":false,\"access\":\"rwm\"}]},\"cgroupsPath\":\"/kubepods/pod1/"
    "c1\","
    "\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"ipc\",\"path\":\"/proc/77/fd/5\"},"
    "{\"type\":\"uts\",\"path\":\"/proc/77/fd/6\"},{\"type\":\"network\",\"path\":\"/run/"
    "netns\"},{\"type\":\"mount\"}],"
    "\"maskedPaths\":[],\"readonlyPaths\":[]}}";

static void a_plain_container_has_exactly_this_spec(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    json_t *root = fixture_build(&f), *wanted = json_loads(golden, 0, NULL);
    autofree char *text = json_dumps(root, JSON_COMPACT), *wanted_text = json_dumps(wanted, JSON_COMPACT);

    assert_string_equal(text, wanted_text);
    json_decref(root);
    json_decref(wanted);
}

static void assert_args(struct fixture *f, const char *expected)
{
    json_t *root = fixture_build(f);

    assert_json(root, "process.args", expected);
    json_decref(root);
}

static void command_and_args_replace_entrypoint_and_cmd_as_docker_does(void **state)
{
    (void)state;
    struct fixture f;
    char *command[] = {"sh"}, *args[] = {"-c", "true"};
    fixture_init(&f);

    f.config.args = args, f.config.n_args = 2;
    assert_args(&f, "[\"/bin/app\",\"-c\",\"true\"]");
    f.config.command = command, f.config.n_command = 1;
    assert_args(&f, "[\"sh\",\"-c\",\"true\"]");
    f.config.n_args = 0;
    assert_args(&f, "[\"sh\"]");
    f.config.n_command = 0;
    f.entrypoint[0] = "";
    assert_args(&f, "[\"-v\",\"serve\"]");
    f.image.n_cmd = 0;
    autofree char *text = NULL;
    autoptr(error) error = spec_build(&f.input, &text);
    assert_int_equal(error->code, ERROR_INVALID_ARGUMENT);
}

static void later_environment_wins_in_the_earlier_place(void **state)
{
    (void)state;
    struct fixture f;
    char *image_env[] = {"PATH=/img", "A=1", "AB=2", "HOSTNAME=x", "A"};
    Runtime__V1__KeyValue b = RUNTIME__V1__KEY_VALUE__INIT, empty = RUNTIME__V1__KEY_VALUE__INIT;
    Runtime__V1__KeyValue *envs[] = {&b, &empty};
    fixture_init(&f);
    f.image.env = image_env, f.image.n_env = 5;
    b.key = "AB", b.value.data = (uint8_t *)"3=4", b.value.len = 3;
    empty.key = "E";
    f.config.envs = envs, f.config.n_envs = 2;
    f.config.tty = true;
    json_t *root = fixture_build(&f);

    assert_json(root, "process.env", "[\"PATH=/img\",\"TERM=xterm\",\"HOSTNAME=x\",\"AB=3=4\",\"E=\"]");
    assert_json(root, "process.terminal", "true");
    json_decref(root);
}

static void the_node_names_a_pod_on_its_network(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.pod_config.hostname = "";
    f.pod_namespaces.network = f.pod_namespaces.pid = f.pod_namespaces.ipc = RUNTIME__V1__NAMESPACE_MODE__NODE;
    f.pod.ipc_fd = f.pod.uts_fd = -1;
    f.pod.netns_path = NULL;
    f.host.cgroup_version = 2;
    json_t *root = fixture_build(&f);

    assert_json(root, "linux.namespaces", "[{\"type\":\"mount\"},{\"type\":\"cgroup\"}]");
    assert_string_equal(json_string_value(json_array_get(at(root, "process.env"), 1)), "HOSTNAME=node-1");
    assert_string_equal(json_string_value(json_object_get(json_array_get(at(root, "mounts"), 9), "source")),
                        "/dev/shm");
    json_decref(root);
}

static void a_container_may_share_the_pods_pid_or_have_its_own_ipc_and_network(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.pod_namespaces.pid = RUNTIME__V1__NAMESPACE_MODE__POD;
    f.pod.pid_fd = 9;
    f.namespaces.ipc = f.namespaces.network = RUNTIME__V1__NAMESPACE_MODE__CONTAINER;
    json_t *root = fixture_build(&f);

    assert_json(root, "linux.namespaces",
                "[{\"type\":\"pid\",\"path\":\"/proc/77/fd/9\"},{\"type\":\"ipc\"},"
                "{\"type\":\"uts\",\"path\":\"/proc/77/fd/6\"},{\"type\":\"network\"},{\"type\":\"mount\"}]");
    assert_string_equal(json_string_value(json_object_get(json_array_get(at(root, "mounts"), 3), "source")), "shm");
    json_decref(root);
}

static void a_container_may_join_anothers_pid_namespace(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.pod_namespaces.pid = RUNTIME__V1__NAMESPACE_MODE__POD;
    f.pod.pid_fd = 9;
    f.pod.target_fd = 8;
    f.namespaces.pid = RUNTIME__V1__NAMESPACE_MODE__TARGET;
    json_t *root = fixture_build(&f);

    assert_json(json_array_get(at(root, "linux.namespaces"), 0), "path", "\"/proc/77/fd/8\"");
    json_decref(root);
}

static void a_missing_namespace_never_becomes_the_hosts(void **state)
{
    (void)state;

    for (int i = 0; i < 5; i++) {
        struct fixture f;
        fixture_init(&f);
        autofree char *text = NULL;
        if (i == 0)
            f.pod.netns_path = NULL;
        else if (i == 1)
            f.pod.uts_fd = -1;
        else if (i == 2)
            f.pod.ipc_fd = -1;
        else if (i == 3)
            f.namespaces.pid = RUNTIME__V1__NAMESPACE_MODE__TARGET;
        else
            f.pod_namespaces.pid = RUNTIME__V1__NAMESPACE_MODE__POD;
        autoptr(error) error = spec_build(&f.input, &text);
        assert_non_null(error);
        assert_int_equal(error->code, ERROR_INTERNAL);
    }
}

static void mounts_are_ordered_by_depth_and_replace_the_defaults(void **state)
{
    (void)state;
    struct fixture f;
    Runtime__V1__Mount mounts[4], *list[4];
    const char *paths[] = {"/data/a/b", "//data/./", "/etc/hosts", "/dev"};
    fixture_init(&f);
    for (size_t i = 0; i < 4; i++) {
        mounts[i] = (Runtime__V1__Mount)RUNTIME__V1__MOUNT__INIT;
        mounts[i].container_path = (char *)paths[i];
        mounts[i].host_path = "/h";
        mounts[i].readonly = i == 0;
        list[i] = &mounts[i];
    }
    f.config.mounts = list, f.config.n_mounts = 4;
    f.context.readonly_rootfs = true;
    json_t *root = fixture_build(&f), *mount;
    const char *wanted[] = {"/proc",      "/sys",          "/sys/fs/cgroup",   "/data",    "/dev",
                            "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/dev/shm", "/data/a/b"};
    size_t i;

    assert_int_equal(json_array_size(at(root, "mounts")), 10);
    json_array_foreach(at(root, "mounts"), i, mount)
    {
        assert_string_equal(json_string_value(json_object_get(mount, "destination")), wanted[i]);
    }
    assert_json(json_array_get(at(root, "mounts"), 9), "options", "[\"rbind\",\"rprivate\",\"ro\"]");
    assert_json(json_array_get(at(root, "mounts"), 7), "options", "[\"rbind\",\"rprivate\",\"ro\"]");
    assert_json(json_array_get(at(root, "mounts"), 5), "options", "[\"rbind\",\"rprivate\"]");
    assert_json(root, "root.readonly", "true");
    json_decref(root);
}

static void resources_and_scores_are_written(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.resources.cpu_period = 100000, f.resources.cpu_quota = 50000, f.resources.cpu_shares = 512;
    f.resources.memory_limit_in_bytes = 1 << 20, f.resources.oom_score_adj = -998;
    f.resources.cpuset_cpus = "0-1";
    f.host.has_swap_limit = true;
    f.host.oom_score_adj_min = -500;
    json_t *root = fixture_build(&f);

    assert_json(root, "linux.resources.cpu", "{\"shares\":512,\"quota\":50000,\"period\":100000,\"cpus\":\"0-1\"}");
    assert_json(root, "linux.resources.memory", "{\"limit\":1048576,\"swap\":1048576}");
    assert_json(root, "process.oomScoreAdj", "-500");
    json_decref(root);
    f.host.has_swap_limit = false;
    root = fixture_build(&f);
    assert_json(root, "linux.resources.memory", "{\"limit\":1048576}");
    json_decref(root);
}

static void a_privileged_container_has_all_that_the_host_can_give(void **state)
{
    (void)state;
    struct fixture f;
    char *masked[] = {"/proc/kcore"};
    Runtime__V1__SecurityProfile seccomp = RUNTIME__V1__SECURITY_PROFILE__INIT;
    const struct spec_device device = {.path = "/dev/fuse", .type = 'c', .major = 10, .minor = 229, .mode = 0666};
    fixture_init(&f);
    f.context.privileged = f.pod_context.privileged = true;
    f.context.masked_paths = masked, f.context.n_masked_paths = 1;
    f.context.seccomp = &seccomp;
    f.host.devices = &device, f.host.device_count = 1;
    f.host.cgroup_version = 2;
    json_t *root = fixture_build(&f);

    assert_int_equal(json_array_size(at(root, "process.capabilities.effective")), 40);
    assert_null(at(root, "linux.seccomp"));
    assert_null(at(root, "linux.maskedPaths"));
    assert_json(root, "linux.resources.devices", "[{\"allow\":true,\"access\":\"rwm\"}]");
    assert_json(root, "linux.devices",
                "[{\"path\":\"/dev/fuse\",\"type\":\"c\",\"major\":10,\"minor\":229,"
                "\"fileMode\":438,\"uid\":0,\"gid\":0}]");
    assert_json(json_array_get(at(root, "mounts"), 4), "options", "[\"nosuid\",\"noexec\",\"nodev\",\"rw\"]");
    assert_int_equal(json_array_size(at(root, "linux.namespaces")), 5);
    json_decref(root);
}

static void resources_have_their_limits(void **state)
{
    (void)state;
    struct fixture f;
    Runtime__V1__HugepageLimit page = RUNTIME__V1__HUGEPAGE_LIMIT__INIT, *pages[] = {&page};
    fixture_init(&f);
    page.page_size = "2MB", page.limit = UINT64_MAX;
    f.resources.hugepage_limits = pages, f.resources.n_hugepage_limits = 1;
    f.resources.memory_limit_in_bytes = 100;
    f.host.has_swap_limit = true;
    json_t *root = fixture_build(&f);
    assert_json(root, "linux.resources.memory", "{\"limit\":100,\"swap\":100}");
    assert_null(at(root, "linux.resources.hugepageLimits"));
    json_decref(root);
    f.resources.memory_swap_limit_in_bytes = 300;
    f.host.has_hugetlb = true;
    root = fixture_build(&f);
    assert_json(root, "linux.resources.memory", "{\"limit\":100,\"swap\":300}");
    assert_json(root, "linux.resources.hugepageLimits", "[{\"pageSize\":\"2MB\",\"limit\":9223372036854775807}]");
    json_decref(root);
}

static void devices_that_were_found_are_made_and_allowed(void **state)
{
    (void)state;
    struct fixture f;
    const struct spec_device devices[] = {
        {.path = "/dev/mine", .access = "r", .type = 'c', .major = 1, .minor = 3, .mode = 0600, .uid = 5, .gid = 6},
        {.path = "/dev/pipe", .type = 'p', .mode = 0644}};
    const struct spec_device of_host = {.path = "/dev/mine", .type = 'b', .major = 9};
    struct spec_found found = {.devices = devices, .device_count = 2};
    static const char made[] = "[{\"path\":\"/dev/mine\",\"type\":\"c\",\"major\":1,\"minor\":3,\"fileMode\":384,\"uid\":5,"
                               "\"gid\":6},{\"path\":\"/dev/pipe\",\"type\":\"p\",\"major\":0,\"minor\":0,\"fileMode\":420,"
                               "\"uid\":0,\"gid\":0}]";
    fixture_init(&f);
    f.input.found = &found;
    json_t *root = fixture_build(&f);
    assert_json(root, "linux.devices", made);
    assert_json(root, "linux.resources.devices",
                "[{\"allow\":false,\"access\":\"rwm\"},{\"allow\":true,\"type\":\"c\",\"major\":1,\"minor\":3,\"access\":\"r\"}]");
    json_decref(root);
    f.host.devices = &of_host, f.host.device_count = 1;
    f.context.privileged = f.pod_context.privileged = true;
    root = fixture_build(&f);
    assert_json(root, "linux.devices", made); /* what is asked for stands in the place of the host's */
    json_decref(root);
}

static void cdi_edits_and_the_apparmor_profile_are_part_of_the_spec(void **state)
{
    (void)state;
    struct fixture f;
    json_t *edits = json_loads("[{\"env\":[\"GPU=1\"]}]", 0, NULL);
    struct spec_found found = {.cdi_edits = edits, .apparmor_profile = "mine"};
    fixture_init(&f);
    f.input.found = &found;
    json_t *root = fixture_build(&f);

    assert_json(root, "process.apparmorProfile", "\"mine\"");
    assert_string_equal(json_string_value(json_array_get(at(root, "process.env"), 2)), "GPU=1");
    json_decref(root);
    json_decref(edits);
}

static void assert_bounding(struct fixture *f, const char *expected)
{
    json_t *root = fixture_build(f);

    assert_json(root, "process.capabilities.bounding", expected);
    assert_json(root, "process.capabilities.permitted", expected);
    json_decref(root);
}

static void capabilities_are_added_and_dropped_by_any_spelling(void **state)
{
    (void)state;
    struct fixture f;
    char *add[] = {"cap_net_admin", "SYS_TIME"}, *drop[] = {"ALL", "SYS_TIME"}, *all[] = {"all"},
         *ambient[] = {"CHOWN"};
    fixture_init(&f);

    f.capabilities.drop_capabilities = drop, f.capabilities.n_drop_capabilities = 1;
    assert_bounding(&f, "[]");
    f.capabilities.add_capabilities = add, f.capabilities.n_add_capabilities = 2;
    f.capabilities.n_drop_capabilities = 2;
    assert_bounding(&f, "[\"CAP_NET_ADMIN\"]");
    f.capabilities.add_ambient_capabilities = ambient, f.capabilities.n_add_ambient_capabilities = 1;
    assert_bounding(&f, "[\"CAP_CHOWN\",\"CAP_NET_ADMIN\"]");
    json_t *root = fixture_build(&f);
    assert_json(root, "process.capabilities.ambient", "[\"CAP_CHOWN\"]");
    assert_json(root, "process.capabilities.inheritable", "[\"CAP_CHOWN\"]");
    json_decref(root);
    f.capabilities.n_drop_capabilities = 0;
    f.capabilities.add_capabilities = all, f.capabilities.n_add_capabilities = 1;
    root = fixture_build(&f);
    assert_int_equal(json_array_size(at(root, "process.capabilities.bounding")), 40);
    json_decref(root);
}

static void the_default_is_cut_to_what_the_host_can_give(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.host.bounding_capabilities = UINT64_C(1) << CAP_CHOWN | UINT64_C(1) << CAP_SYS_ADMIN;

    assert_bounding(&f, "[\"CAP_CHOWN\"]");
}

static void exec_runs_other_arguments_with_the_same_rights(void **state)
{
    (void)state;
    char *args[] = {"ls", "/"}, *bad[] = {"\xff"}, *blank[] = {""};
    struct fixture f;
    fixture_init(&f);
    autofree char *config = NULL, *process = NULL, *unused = NULL;
    assert_null(spec_build(&f.input, &config));
    assert_null(spec_exec_process(config, strlen(config), args, 2, true, &process));
    json_t *root = json_loads(process, 0, NULL), *whole = json_loads(config, 0, NULL);

    assert_json(root, "args", "[\"ls\",\"/\"]");
    assert_json(root, "terminal", "true");
    assert_string_equal(json_string_value(json_array_get(at(root, "env"), 2)), "TERM=xterm");
    assert_true(json_equal(at(root, "capabilities"), at(whole, "process.capabilities")));
    assert_true(json_equal(at(root, "user"), at(whole, "process.user")));
    autoptr(error) none = spec_exec_process(config, strlen(config), args, 0, false, &unused);
    autoptr(error) empty = spec_exec_process(config, strlen(config), blank, 1, false, &unused);
    autoptr(error) bytes = spec_exec_process(config, strlen(config), bad, 1, false, &unused);
    autoptr(error) cut = spec_exec_process(config, 100, args, 2, false, &unused);
    autoptr(error) other = spec_exec_process("{}", 2, args, 2, false, &unused);
    assert_int_equal(none->code, ERROR_INVALID_ARGUMENT);
    assert_int_equal(empty->code, ERROR_INVALID_ARGUMENT);
    assert_int_equal(bytes->code, ERROR_INVALID_ARGUMENT);
    assert_int_equal(cut->code, ERROR_DATA_LOSS);
    assert_int_equal(other->code, ERROR_DATA_LOSS);
    json_decref(root);
    json_decref(whole);
}

static void the_user_comes_from_the_request_before_the_image(void **state)
{
    (void)state;
    struct fixture f;
    Runtime__V1__Int64Value uid = RUNTIME__V1__INT64_VALUE__INIT;
    int64_t groups[] = {7};
    struct user_request request;
    fixture_init(&f);
    f.image.user = "app:video";
    autofree uint32_t *none = NULL, *some = NULL;

    assert_null(spec_user_request(&f.config, &f.image, &request, &none));
    assert_string_equal(request.user, "app:video");
    uid.value = 12;
    f.context.run_as_user = &uid;
    f.context.supplemental_groups = groups, f.context.n_supplemental_groups = 1;
    assert_null(spec_user_request(&f.config, &f.image, &request, &some));
    assert_int_equal(*request.uid, 12);
    assert_int_equal(request.groups[0], 7);
    f.context.run_as_user = NULL;
    f.context.run_as_group = &uid;
    f.context.n_supplemental_groups = 0;
    autofree uint32_t *unused = NULL;
    autoptr(error) error = spec_user_request(&f.config, &f.image, &request, &unused);
    assert_int_equal(error->code, ERROR_INVALID_ARGUMENT);
}

static void stop_signals_are_told_in_cris_numbers(void **state)
{
    (void)state;

    for (unsigned i = 1; i < runtime__v1__signal__descriptor.n_values; i++) {
        Runtime__V1__Signal signal = (Runtime__V1__Signal)runtime__v1__signal__descriptor.values[i].value;
        autofree char *name = spec_stop_signal_from_cri(signal);
        int number, again = 0;
        assert_null(spec_stop_signal_parse(name, &number));
        autofree char *told = spec_stop_signal_from_cri(spec_stop_signal_to_cri(name)); /* SIGCLD is SIGCHLD */
        assert_null(spec_stop_signal_parse(told, &again));
        assert_int_equal(number, again);
    }
    assert_int_equal(spec_stop_signal_to_cri(""), RUNTIME__V1__SIGNAL__SIGNAL_SIGTERM);
    assert_int_equal(spec_stop_signal_to_cri("15"), RUNTIME__V1__SIGNAL__SIGNAL_SIGTERM);
    assert_int_equal(spec_stop_signal_to_cri("RTMIN+3"), RUNTIME__V1__SIGNAL__SIGNAL_SIGRTMINPLUS3);
    assert_int_equal(spec_stop_signal_to_cri("SIGNONE"), RUNTIME__V1__SIGNAL__SIGNAL_RUNTIME_DEFAULT);
}

static void stop_signals_have_many_names(void **state)
{
    (void)state;
    const struct {
        const char *text;
        int signal;
    } good[] = {{NULL, SIGTERM},           {"", SIGTERM},      {"SIGINT", SIGINT},
                {"quit", SIGQUIT},         {"10", 10},         {"SIGRTMIN+3", SIGRTMIN + 3},
                {"RTMAX-1", SIGRTMAX - 1}, {"RTMIN", SIGRTMIN}};
    const char *bad[] = {"0", "-1", "65", "SIGFOO", "RTMIN+31", "RTMAX-64", "RTMIN-1", "15x", "SIG", " 9"};
    int signal;

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_null(spec_stop_signal_parse(good[i].text, &signal));
        assert_int_equal(signal, good[i].signal);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        autoptr(error) error = spec_stop_signal_parse(bad[i], &signal);
        assert_non_null(error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_container_has_exactly_this_spec),
        cmocka_unit_test(command_and_args_replace_entrypoint_and_cmd_as_docker_does),
        cmocka_unit_test(later_environment_wins_in_the_earlier_place),
        cmocka_unit_test(the_node_names_a_pod_on_its_network),
        cmocka_unit_test(a_container_may_share_the_pods_pid_or_have_its_own_ipc_and_network),
        cmocka_unit_test(a_container_may_join_anothers_pid_namespace),
        cmocka_unit_test(a_missing_namespace_never_becomes_the_hosts),
        cmocka_unit_test(mounts_are_ordered_by_depth_and_replace_the_defaults),
        cmocka_unit_test(resources_and_scores_are_written),
        cmocka_unit_test(a_privileged_container_has_all_that_the_host_can_give),
        cmocka_unit_test(capabilities_are_added_and_dropped_by_any_spelling),
        cmocka_unit_test(the_default_is_cut_to_what_the_host_can_give),
        cmocka_unit_test(exec_runs_other_arguments_with_the_same_rights),
        cmocka_unit_test(the_user_comes_from_the_request_before_the_image),
        cmocka_unit_test(stop_signals_have_many_names),
        cmocka_unit_test(stop_signals_are_told_in_cris_numbers),
        cmocka_unit_test(resources_have_their_limits),
        cmocka_unit_test(devices_that_were_found_are_made_and_allowed),
        cmocka_unit_test(cdi_edits_and_the_apparmor_profile_are_part_of_the_spec),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
