/* RuntimeDefault: what is allowed, and how capabilities change it. */
#include "tests/unit/sandboxd/spec/fixture.h"

#include "services/sandboxd/spec/seccomp.h"

#define BIT(capability) (UINT64_C(1) << (capability))

static bool entry_names(const json_t *entry, const char *name)
{
    json_t *value;
    size_t i;

    json_array_foreach(json_object_get(entry, "names"), i, value)
    {
        if (strcmp(json_string_value(value), name) == 0)
            return true;
    }
    return false;
}

/* The entries that name the call, as a compact text without the names. */
static void assert_entries(uint64_t bounding, const char *name, const char *expected)
{
    json_t *profile = seccomp_runtime_default(bounding), *entry, *found = json_array();
    size_t i;

    json_array_foreach(json_object_get(profile, "syscalls"), i, entry)
    {
        if (entry_names(entry, name)) {
            json_object_del(entry, "names");
            json_array_append(found, entry);
        }
    }
    autofree char *text = json_dumps(found, JSON_COMPACT);
    assert_string_equal(text, expected);
    json_decref(found);
    json_decref(profile);
}

static void common_calls_are_allowed_and_all_others_fail(void **state)
{
    (void)state;
    json_t *profile = seccomp_runtime_default(0);

    assert_json(profile, "defaultAction", "\"SCMP_ACT_ERRNO\"");
#ifdef __x86_64__
    assert_json(profile, "architectures", "[\"SCMP_ARCH_X86_64\",\"SCMP_ARCH_X86\",\"SCMP_ARCH_X32\"]");
    assert_entries(0, "arch_prctl", "[{\"action\":\"SCMP_ACT_ALLOW\"}]");
#endif
    assert_entries(0, "read", "[{\"action\":\"SCMP_ACT_ALLOW\"}]");
    assert_entries(0, "writev", "[{\"action\":\"SCMP_ACT_ALLOW\"}]");
    assert_entries(0, "ptrace", "[{\"action\":\"SCMP_ACT_ALLOW\"}]");
    assert_entries(0, "mount", "[]");
    assert_entries(0, "keyctl", "[]");
    assert_entries(0, "swapcontext", "[]");
    json_decref(profile);
}

static void clone_may_make_namespaces_only_with_sys_admin(void **state)
{
    (void)state;

    assert_entries(0, "clone",
                   "[{\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{\"index\":0,\"value\":2114060288,"
                   "\"valueTwo\":0,\"op\":\"SCMP_CMP_MASKED_EQ\"}]}]");
    assert_entries(0, "clone3", "[{\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":38}]");
    assert_entries(BIT(CAP_SYS_ADMIN), "clone", "[{\"action\":\"SCMP_ACT_ALLOW\"}]");
    assert_entries(BIT(CAP_SYS_ADMIN), "clone3", "[{\"action\":\"SCMP_ACT_ALLOW\"}]");
}

static void a_capability_brings_its_calls(void **state)
{
    (void)state;

    assert_entries(0, "chroot", "[]");
    assert_entries(BIT(CAP_SYS_CHROOT), "chroot", "[{\"action\":\"SCMP_ACT_ALLOW\"}]");
    assert_entries(BIT(CAP_SYS_TIME), "clock_settime64", "[{\"action\":\"SCMP_ACT_ALLOW\"}]");
    assert_entries(BIT(CAP_BPF), "bpf", "[{\"action\":\"SCMP_ACT_ALLOW\"}]");
    assert_entries(BIT(CAP_BPF) | BIT(CAP_SYS_ADMIN), "bpf",
                   "[{\"action\":\"SCMP_ACT_ALLOW\"},{\"action\":\"SCMP_ACT_ALLOW\"}]");
}

static void some_sockets_and_personalities_are_kept_out(void **state)
{
    (void)state;

    assert_entries(0, "socket",
                   "[{\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{\"index\":0,\"value\":38,\"valueTwo\":0,"
                   "\"op\":\"SCMP_CMP_LT\"}]},{\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{\"index\":0,"
                   "\"value\":39,\"valueTwo\":0,\"op\":\"SCMP_CMP_EQ\"}]},{\"action\":\"SCMP_ACT_ALLOW\","
                   "\"args\":[{\"index\":0,\"value\":40,\"valueTwo\":0,\"op\":\"SCMP_CMP_GT\"}]}]");
}

static void the_profile_is_chosen_by_type_or_by_the_old_path(void **state)
{
    (void)state;
    Runtime__V1__SecurityProfile profile = RUNTIME__V1__SECURITY_PROFILE__INIT;

    const char *path;

    assert_int_equal(seccomp_choose(&profile, "", &path), SECCOMP_RUNTIME_DEFAULT);
    assert_null(path);
    profile.profile_type = RUNTIME__V1__PROFILE_TYPE__Unconfined;
    assert_int_equal(seccomp_choose(&profile, "runtime/default", NULL), SECCOMP_UNCONFINED);
    profile.profile_type = RUNTIME__V1__PROFILE_TYPE__Localhost, profile.localhost_ref = "/a/b.json";
    assert_int_equal(seccomp_choose(&profile, "", &path), SECCOMP_LOCALHOST);
    assert_string_equal(path, "/a/b.json");
    profile.profile_type = 9;
    assert_int_equal(seccomp_choose(&profile, "", NULL), SECCOMP_UNKNOWN);
    assert_int_equal(seccomp_choose(NULL, "", NULL), SECCOMP_UNCONFINED);
    assert_int_equal(seccomp_choose(NULL, "runtime/default", NULL), SECCOMP_RUNTIME_DEFAULT);
    assert_int_equal(seccomp_choose(NULL, "localhost/x.json", &path), SECCOMP_LOCALHOST);
    assert_string_equal(path, "x.json");
    assert_int_equal(seccomp_choose(NULL, "x.json", NULL), SECCOMP_UNKNOWN);
}

/* Under kernel 5.10, with CHOWN. */
static struct error *translate(const char *text, json_t **ret)
{
    return seccomp_profile_translate(text, strlen(text), BIT(CAP_CHOWN), 5 << 8 | 10, ret);
}

static void translates(const char *text, const char *expected)
{
    json_t *profile = NULL, *wanted = json_loads(expected, 0, NULL);
    autoptr(error) error = translate(text, &profile);

    if (error)
        fail_msg("%s: %s", text, error->text);
    autofree char *got = json_dumps(profile, JSON_COMPACT | JSON_SORT_KEYS), *same = json_dumps(wanted, JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(got, same);
    json_decref(profile);
    json_decref(wanted);
}

static void a_profile_in_ocis_form_stays_as_it_is(void **state)
{
    (void)state;
    static const char whole[] =
        "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":38,\"architectures\":[\"SCMP_ARCH_X86_64\"],"
        "\"flags\":[\"SECCOMP_FILTER_FLAG_LOG\"],\"listenerPath\":\"/run/l\",\"listenerMetadata\":\"m\",\"syscalls\":["
        "{\"names\":[\"read\",\"write\"],\"action\":\"SCMP_ACT_ALLOW\"},{\"names\":[\"clone\"],\"action\":\"SCMP_ACT_ERRNO\","
        "\"errnoRet\":1,\"args\":[{\"index\":0,\"value\":2114060288,\"valueTwo\":0,\"op\":\"SCMP_CMP_MASKED_EQ\"}]}]}";

    translates(whole, whole);
    translates("{\"defaultAction\":\"SCMP_ACT_LOG\",\"architectures\":null,\"x\":1}", "{\"defaultAction\":\"SCMP_ACT_LOG\",\"syscalls\":[]}");
}

#define DOCKER_RULE(more) "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"name\":\"chmod\",\"action\":\"SCMP_ACT_ERRNO\",\"args\":null," more "}]}"
#define IS_IN "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"chmod\"],\"action\":\"SCMP_ACT_ERRNO\"}]}"
#define IS_OUT "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[]}"

static void dockers_form_is_cut_to_the_container_and_its_host(void **state)
{
    (void)state;
    translates(DOCKER_RULE("\"comment\":\"x\",\"includes\":{},\"excludes\":null"), IS_IN);
    translates(DOCKER_RULE("\"includes\":{\"caps\":[\"CAP_CHOWN\"]}"), IS_IN);
    translates(DOCKER_RULE("\"includes\":{\"caps\":[\"CAP_CHOWN\",\"CAP_SYS_ADMIN\"]}"), IS_OUT);
    translates(DOCKER_RULE("\"includes\":{\"arches\":[\"pdp11\"]}"), IS_OUT);
    translates(DOCKER_RULE("\"includes\":{\"minKernel\":\"5.10\"}"), IS_IN);
    translates(DOCKER_RULE("\"includes\":{\"minKernel\":\"5.11\"}"), IS_OUT);
    translates(DOCKER_RULE("\"excludes\":{\"caps\":[\"CAP_CHOWN\"]}"), IS_OUT);
    translates(DOCKER_RULE("\"excludes\":{\"caps\":[\"CAP_SYS_ADMIN\"],\"arches\":[\"pdp11\"]}"), IS_IN);
    translates(DOCKER_RULE("\"excludes\":{\"minKernel\":\"4.8\"}"), IS_OUT);
#ifdef __x86_64__
    translates(DOCKER_RULE("\"includes\":{\"arches\":[\"amd64\"]}"), IS_IN);
    translates(DOCKER_RULE("\"excludes\":{\"arches\":[\"amd64\"]}"), IS_OUT);
    translates("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"archMap\":[{\"architecture\":\"SCMP_ARCH_S390X\",\"subArchitectures\":[\"SCMP_ARCH_S390\"]},"
               "{\"architecture\":\"SCMP_ARCH_X86_64\",\"subArchitectures\":[\"SCMP_ARCH_X86\",\"SCMP_ARCH_X32\"]}]}",
               "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[],\"architectures\":[\"SCMP_ARCH_X86_64\",\"SCMP_ARCH_X86\",\"SCMP_ARCH_X32\"]}");
#endif
}

static void does_not_translate(const char *text, const char *word)
{
    json_t *profile = NULL;
    autoptr(error) error = translate(text, &profile);

    if (!error || error->code != ERROR_INVALID_ARGUMENT || !strstr(error->text, word))
        fail_msg("%s: %s, not \"%s\"", text, error ? error->text : "taken", word);
}

static void a_broken_profile_is_told_by_its_place(void **state)
{
    (void)state;
    does_not_translate("", "line 1");
    does_not_translate("{\n\n\"defaultAction\" 1}", "line 3");
    does_not_translate("[]", "no JSON object");
    does_not_translate("{}", "defaultAction is missing");
    does_not_translate("{\"defaultAction\":\"ALLOW\"}", "defaultAction is ALLOW");
    does_not_translate("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":{}}", "\"syscalls\" is no list");
    does_not_translate("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[1]}", "syscalls[0]: is no object");
    does_not_translate("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"action\":\"SCMP_ACT_LOG\",\"names\":[]}]}", "\"names\" is empty");
    does_not_translate("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"action\":\"SCMP_ACT_LOG\"}]}", "names is no list");
    does_not_translate("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"a\"]}]}", "action is missing");
    does_not_translate(DOCKER_RULE("\"names\":[\"b\"]"), "both there");
    does_not_translate("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"a\"],\"action\":\"SCMP_ACT_LOG\",\"args\":[{\"index\":6}]}]}", "0..5");
    does_not_translate(DOCKER_RULE("\"includes\":{\"minKernel\":\"new\"}"), "minKernel");
    does_not_translate("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"x86\"]}", "no architecture");
    does_not_translate("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"defaultErrnoRet\":\"1\"}", "\"defaultErrnoRet\" has a wrong type");
}

static void a_localhost_profile_is_part_of_the_spec_or_there_is_none(void **state)
{
    (void)state;
    struct fixture f;
    Runtime__V1__SecurityProfile profile = RUNTIME__V1__SECURITY_PROFILE__INIT;
    static const char text[] = "{\"defaultAction\":\"SCMP_ACT_ALLOW\"}";
    struct spec_found found = {.seccomp_path = "/p.json", .seccomp_text = text, .seccomp_size = sizeof(text) - 1};
    autofree char *json = NULL;
    fixture_init(&f);
    profile.profile_type = RUNTIME__V1__PROFILE_TYPE__Localhost, profile.localhost_ref = "/p.json";
    f.context.seccomp = &profile;

    autoptr(error) unread = spec_build(&f.input, &json);
    assert_int_equal(unread->code, ERROR_INTERNAL);
    f.input.found = &found;
    json_t *root = fixture_build(&f);
    assert_json(root, "linux.seccomp", "{\"syscalls\":[],\"defaultAction\":\"SCMP_ACT_ALLOW\"}");
    json_decref(root);
    found.seccomp_size--;
    autoptr(error) broken = spec_build(&f.input, &json);
    assert_int_equal(broken->code, ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(broken->text, "seccomp: profile /p.json: line 1"));
    f.context.privileged = f.pod_context.privileged = true;
    root = fixture_build(&f);
    assert_null(at(root, "linux.seccomp"));
    json_decref(root);
}

static void the_profile_is_part_of_the_spec_when_asked_for(void **state)
{
    (void)state;
    struct fixture f;
    Runtime__V1__SecurityProfile profile = RUNTIME__V1__SECURITY_PROFILE__INIT;
    fixture_init(&f);
    f.context.seccomp = &profile;
    json_t *root = fixture_build(&f);

    assert_true(json_array_size(at(root, "linux.seccomp.syscalls")) > 10);
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(common_calls_are_allowed_and_all_others_fail),
        cmocka_unit_test(clone_may_make_namespaces_only_with_sys_admin),
        cmocka_unit_test(a_capability_brings_its_calls),
        cmocka_unit_test(some_sockets_and_personalities_are_kept_out),
        cmocka_unit_test(the_profile_is_chosen_by_type_or_by_the_old_path),
        cmocka_unit_test(a_profile_in_ocis_form_stays_as_it_is),
        cmocka_unit_test(dockers_form_is_cut_to_the_container_and_its_host),
        cmocka_unit_test(a_broken_profile_is_told_by_its_place),
        cmocka_unit_test(a_localhost_profile_is_part_of_the_spec_or_there_is_none),
        cmocka_unit_test(the_profile_is_part_of_the_spec_when_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
