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

    assert_int_equal(seccomp_choose(&profile, ""), SECCOMP_RUNTIME_DEFAULT);
    profile.profile_type = RUNTIME__V1__PROFILE_TYPE__Unconfined;
    assert_int_equal(seccomp_choose(&profile, "runtime/default"), SECCOMP_UNCONFINED);
    profile.profile_type = RUNTIME__V1__PROFILE_TYPE__Localhost;
    assert_int_equal(seccomp_choose(&profile, ""), SECCOMP_UNSUPPORTED);
    assert_int_equal(seccomp_choose(NULL, ""), SECCOMP_UNCONFINED);
    assert_int_equal(seccomp_choose(NULL, "runtime/default"), SECCOMP_RUNTIME_DEFAULT);
    assert_int_equal(seccomp_choose(NULL, "localhost/x.json"), SECCOMP_UNSUPPORTED);
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
        cmocka_unit_test(the_profile_is_part_of_the_spec_when_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
