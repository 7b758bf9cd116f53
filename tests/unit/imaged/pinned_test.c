/* Which names of the configuration pin an image. */
#include "tests/unit/imaged/check.h"

#include "services/imaged/pinned.h"

static bool is_pinned(const char *name)
{
    static char *tags[] = {"docker.io/library/pause:3.9", "registry.k8s.io/pause:3.9"};
    static char *digests[] = {"registry.k8s.io/pause@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"};
    struct image image = {.tags = {.list = tags, .count = 2}, .digests = {.list = digests, .count = 1}};
    char *names[] = {"docker.io/library/other:1", (char *)name, NULL};

    return image_is_pinned(&image, names);
}

static void a_whole_name_is_pinned_as_docker_writes_it(void **state)
{
    (void)state;
    assert_true(is_pinned("pause:3.9"));
    assert_true(is_pinned("registry.k8s.io/pause:3.9"));
    assert_true(is_pinned("registry.k8s.io/pause@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"));
    assert_false(is_pinned("pause"));
    assert_false(is_pinned("registry.k8s.io/pause:3.91"));
    assert_false(is_pinned("registry.k8s.io/pause:3"));
    assert_false(is_pinned("NO NAME"));
}

static void a_star_at_the_end_stands_for_anything(void **state)
{
    (void)state;
    assert_true(is_pinned("registry.k8s.io/*"));
    assert_true(is_pinned("docker.io/library/pause:*"));
    assert_true(is_pinned("*"));
    assert_false(is_pinned("quay.io/*"));
    assert_false(is_pinned("registry.*.io/pause:3.9"));
}

static void without_names_nothing_is_pinned(void **state)
{
    struct image image = {.id = ""};
    char *none[] = {NULL};

    (void)state;
    assert_false(image_is_pinned(&image, none));
    assert_false(is_pinned("docker.io/library/another:1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_name_is_pinned_as_docker_writes_it),
        cmocka_unit_test(a_star_at_the_end_stands_for_anything),
        cmocka_unit_test(without_names_nothing_is_pinned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
