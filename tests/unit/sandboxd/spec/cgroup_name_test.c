/* Names of slices and scopes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/memory.h"
#include "services/sandboxd/spec/cgroup_name.h"

static void slice_is(const char *parent, const char *expected)
{
    autofree char *path = NULL;
    autoptr(error) failure = cgroup_slice_parse(parent, &path);

    if (failure)
        fail_msg("%s: %s", parent, failure->text);
    assert_string_equal(path, expected);
}

static void a_slice_lies_in_those_its_name_begins_with(void **state)
{
    (void)state;
    slice_is("a.slice", "/a.slice");
    slice_is("a-b-c.slice", "/a.slice/a-b.slice/a-b-c.slice");
    slice_is("kubepods-besteffort-pod0a_1b.slice", "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod0a_1b.slice");
}

/* The kubelet sends whole paths; the last name says it all. */
static void a_path_means_its_last_slice(void **state)
{
    (void)state;
    slice_is("/kubepods.slice/kubepods-pod1.slice", "/kubepods.slice/kubepods-pod1.slice");
    slice_is("/elsewhere/a-b.slice", "/a.slice/a-b.slice");
}

static void a_pod_that_names_none_is_in_the_systems(void **state)
{
    (void)state;
    slice_is("", "/system.slice");
}

static void what_is_no_slice_is_refused(void **state)
{
    char many[300] = "";
    const char *const wrong[] = {"/kubepods/pod1", "a", "/", ".slice", "-.slice", "a-.slice", "-a.slice", "a--b.slice", "a b.slice", "/a.slice/", "a.scope", many};

    (void)state;
    memset(many, 'a', 250);
    strcat(many, ".slice");
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        autofree char *path = NULL;
        autoptr(error) failure = cgroup_slice_parse(wrong[i], &path);
        if (!failure)
            fail_msg("%s was taken for %s", wrong[i], path);
        assert_int_equal(failure->code, ERROR_INVALID_ARGUMENT);
        assert_non_null(strstr(failure->text, "cgroup_parent"));
    }
}

/* Each level repeats all above it. */
static void a_path_longer_than_a_cgroups_may_be_is_refused(void **state)
{
    autofree char *path = NULL;

    (void)state;
    autoptr(error) failure = cgroup_slice_parse("a-b-c-d-e-f-g-h-i-j-k-l-m-n-o-p-q-r-s-t-u-v-w-x-y-z.slice", &path);
    assert_non_null(failure);
    assert_int_equal(failure->code, ERROR_INVALID_ARGUMENT);
}

static void a_container_is_below_its_pod_or_a_scope_of_its_slice(void **state)
{
    autofree char *group = cgroup_container_path("/kubepods/pod1/P", "", "C"), *scope = cgroup_container_path("/shims/P", "/a.slice/a-b.slice", "C");
    autofree char *group_oci = cgroup_oci_path(group), *scope_oci = cgroup_oci_path(scope);

    (void)state;
    assert_string_equal(group, "/kubepods/pod1/P/C");
    assert_string_equal(group_oci, group);
    assert_string_equal(scope, "/a.slice/a-b.slice/cri-bulkhead-C.scope");
    assert_string_equal(scope_oci, "a-b.slice:cri-bulkhead:C");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slice_lies_in_those_its_name_begins_with),
        cmocka_unit_test(a_path_means_its_last_slice),
        cmocka_unit_test(a_pod_that_names_none_is_in_the_systems),
        cmocka_unit_test(what_is_no_slice_is_refused),
        cmocka_unit_test(a_path_longer_than_a_cgroups_may_be_is_refused),
        cmocka_unit_test(a_container_is_below_its_pod_or_a_scope_of_its_slice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
