/* Real registries: every kind of manifest and layer, names and what they share, mirrors. */
#include "tests/integration/imaged/registry_bench.h"

#include <stdio.h>
#include <sys/stat.h>

#include "common/memory.h"

/* tag and digested: what its only tag and digest are; NULL: there is none. */
static void has_names(const char *name, const char *tag, const char *digested)
{
    Runtime__V1__ImageStatusResponse *status = status_get(&bench, name);

    assert_non_null(status->image);
    assert_int_equal(status->image->n_repo_tags, tag ? 1 : 0);
    if (tag)
        assert_string_equal(status->image->repo_tags[0], tag);
    assert_int_equal(status->image->n_repo_digests, digested ? 1 : 0);
    if (digested)
        assert_string_equal(status->image->repo_digests[0], digested);
    runtime__v1__image_status_response__free_unpacked(status, NULL);
}

static void busybox_is_unpacked(void)
{
    autofree char *command = xasprintf("cmp /bin/busybox %s/imaged/layers/*/bin/busybox", bench.root);

    assert_int_equal(system(command), 0);
}

static void every_kind_of_manifest_and_layer_gives_the_same_image(void **state)
{
    static const char *const kinds[] = {"base", "docker", "plain", "zstd"};
    autofree char *expected = noted("base.id");

    (void)state;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        autofree char *rest = xasprintf("test/%s:1", kinds[i]), *name = name_of(rest);
        autofree char *id = pull_get(name), *digested = digested_of(kinds[i], kinds[i]);
        assert_string_equal(id, expected);
        has_names(id, name, digested);
        busybox_is_unpacked();
        removed(name);
        nothing_is_left(&bench);
    }
}

static void an_index_gives_the_image_of_this_platform_under_its_own_digest(void **state)
{
    static const char *const kinds[] = {"multi", "list"};
    autofree char *expected = noted("base.id");

    (void)state;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        autofree char *rest = xasprintf("test/%s:1", kinds[i]), *name = name_of(rest),
                      *digested = digested_of(kinds[i], kinds[i]);
        autofree char *id = pull_get(name), *again = pull_get(digested);
        assert_string_equal(id, expected);
        assert_string_equal(again, expected);
        has_names(digested, name, digested);
        removed(digested);
        nothing_is_left(&bench);
    }
}

static void an_image_for_another_platform_is_refused(void **state)
{
    autofree char *foreign = name_of("test/foreign:1"), *other = name_of("test/other:1");

    (void)state;
    refused(pull(&bench, foreign, NULL), ERROR_NOT_FOUND, "only for: linux/s390x");
    refused(pull(&bench, other, NULL), ERROR_INVALID_ARGUMENT, "the image is for linux/s390x");
    nothing_is_left(&bench);
}

static void a_pull_by_digest_gives_no_tag_and_one_by_tag_adds_it(void **state)
{
    autofree char *name = name_of("test/base:1"), *digested = digested_of("base", "base"), *id = pull_get(digested);
    autofree char *both =
        xasprintf("%.*s:other@%s", (int)(strchr(digested, '@') - digested), digested, strchr(digested, '@') + 1);

    (void)state;
    has_names(id, NULL, digested);
    assert_false(is_known(&bench, name));
    free(pull_get(both)); /* the digest counts, the tag is not looked at */
    has_names(id, NULL, digested);
    free(pull_get(name));
    has_names(name, name, digested);
    removed(digested);
    assert_false(is_known(&bench, name));
    assert_false(is_known(&bench, id));
    nothing_is_left(&bench);
}

static const Runtime__V1__Image *image_in(const Runtime__V1__ListImagesResponse *list, const char *id)
{
    for (size_t i = 0; i < list->n_images; i++) {
        if (strcmp(list->images[i]->id, id) == 0)
            return list->images[i];
    }
    fail_msg("%s is not in the list", id);
    return NULL;
}

static void is_listed(const char *filter, size_t count, const char *id)
{
    Runtime__V1__ListImagesResponse *list = list_get(&bench, filter);

    assert_int_equal(list->n_images, count);
    if (id)
        image_in(list, id);
    runtime__v1__list_images_response__free_unpacked(list, NULL);
}

static void images_are_listed_with_their_users_and_sizes(void **state)
{
    autofree char *base = name_of("test/base:1"), *derived = name_of("test/derived:1"), *none = name_of("test/none");
    autofree char *base_id = pull_get(base), *derived_id = pull_get(derived), *digested = digested_of("base", "base");
    struct stat busybox;

    (void)state;
    Runtime__V1__ListImagesResponse *list = list_get(&bench, NULL);
    assert_int_equal(list->n_images, 2);
    const Runtime__V1__Image *one = image_in(list, base_id), *other = image_in(list, derived_id);
    assert_non_null(one->uid);
    assert_int_equal(one->uid->value, 1000);
    assert_string_equal(one->username, "");
    assert_null(other->uid);
    assert_string_equal(other->username, "nobody");
    assert_string_equal(other->repo_tags[0], derived);
    assert_int_equal(stat("/bin/busybox", &busybox), 0);
    assert_true(one->size > (uint64_t)busybox.st_size);
    assert_true(one->size < (uint64_t)busybox.st_size + 4096);
    assert_true(other->size > one->size);
    runtime__v1__list_images_response__free_unpacked(list, NULL);
    is_listed(base, 1, base_id);
    is_listed(digested, 1, base_id);
    is_listed(base_id, 1, base_id);
    is_listed(none, 0, NULL);
    removed(base_id);
    removed(derived);
    nothing_is_left(&bench);
}

/* How often bulkhead asked for the blobs that the script noted as the image's layers. */
static size_t layer_requests(const char *file)
{
    autofree char *digests = noted(file);
    size_t count = 0;
    char *rest = NULL;

    for (char *digest = strtok_r(digests, "\n", &rest); digest; digest = strtok_r(NULL, "\n", &rest)) {
        autofree char *path = xasprintf("blobs/%s ", digest);
        count += registry_server_requests(&registry, path);
    }
    return count;
}

/* A line comes when its answer has gone: what was asked before this has its line after it. */
static void log_settle(void)
{
    autofree char *name = name_of("test/marker:1");
    size_t before = registry_server_requests(&registry, "test/marker");

    refused(pull(&bench, name, NULL), ERROR_NOT_FOUND, "test/marker");
    while (registry_server_requests(&registry, "test/marker") == before) /* ctest's limit ends it */
        pause_ms(10);
}

static void a_second_pull_fetches_no_layer(void **state)
{
    autofree char *name = name_of("test/base:1"), *id = noted("base.id"), *config = xasprintf("blobs/%s ", id);

    (void)state;
    free(pull_get(name));
    log_settle();
    size_t layers = layer_requests("base.layers"), configs = registry_server_requests(&registry, config);
    assert_true(layers >= 2);
    free(pull_get(name));
    log_settle();
    assert_int_equal(registry_server_requests(&registry, config), configs + 1);
    assert_int_equal(layer_requests("base.layers"), layers);
    removed(name);
    nothing_is_left(&bench);
}

static void shared_layers_are_fetched_once_and_stay_as_long_as_an_image_has_them(void **state)
{
    autofree char *base = name_of("test/base:1"), *derived = name_of("test/derived:1");

    (void)state;
    log_settle();
    size_t before = layer_requests("derived.layers");
    free(pull_get(base));
    free(pull_get(derived));
    log_settle();
    assert_int_equal(layer_requests("derived.layers"), before + 3);
    assert_int_equal(files_count(&bench, "layers"), 3);
    removed(base);
    pause_ms(300); /* for a sweep that would take too much */
    assert_int_equal(files_count(&bench, "layers"), 3);
    busybox_is_unpacked();
    free(pull_get(base));
    removed(derived);
    settles_at(&bench, "layers", 2);
    busybox_is_unpacked();
    removed(base);
    nothing_is_left(&bench);
}

static void a_tag_that_moves_leaves_the_old_image_its_digest(void **state)
{
    autofree char *name = name_of("test/moving:1"), *old_digested = digested_of("moving", "base");
    autofree char *new_digested = digested_of("moving", "derived"), *old_expected = noted("base.id");

    (void)state;
    fine(registry_server_script(
        &registry, "skopeo --insecure-policy copy -q --dest-tls-verify=false oci:l:base docker://$R/test/moving:1"));
    autofree char *old_id = pull_get(name);
    assert_string_equal(old_id, old_expected);
    fine(registry_server_script(
        &registry, "skopeo --insecure-policy copy -q --dest-tls-verify=false oci:l:derived docker://$R/test/moving:1"));
    autofree char *new_id = pull_get(name);
    assert_string_not_equal(new_id, old_id);
    has_names(name, name, new_digested);
    has_names(old_id, NULL, old_digested);
    has_names(old_digested, NULL, old_digested);
    removed(name); /* the new one alone */
    assert_true(is_known(&bench, old_digested));
    busybox_is_unpacked();
    removed(old_digested);
    nothing_is_left(&bench);
}

static void an_image_is_removed_by_tag_digest_id_and_short_id(void **state)
{
    autofree char *name = name_of("test/base:1"), *digested = digested_of("base", "base"), *id = noted("base.id");
    autofree char *short_id = xstrndup(id + 7, 12);
    const char *const names[] = {name, digested, id, short_id};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        free(pull_get(name));
        removed(names[i]);
        nothing_is_left(&bench);
        fine(remove_image(&bench, names[i]));
    }
}

static void mirrors_are_asked_in_their_order_until_one_has_it(void **state)
{
    autofree char *digested = noted("base.digest"), *by_digest = xasprintf("up.example/test/base@%s", digested);

    (void)state;
    log_settle();
    size_t before = registry_server_requests(&registry, "?ns=up.example ");
    hosts_write(&bench, "up.example",
                "{\"server\": \"http://127.0.0.1:1\", \"host\": {\"http://127.0.0.1:2\": {}, \"%s\": {}}}",
                registry.url);
    free(pull_get("up.example/test/base:1"));
    has_names("up.example/test/base:1", "up.example/test/base:1", by_digest);
    log_settle();
    assert_true(registry_server_requests(&registry, "?ns=up.example ") > before);
    removed("up.example/test/base:1");
    hosts_write(&bench, "up.example",
                "{\"server\": \"http://127.0.0.1:1\", \"host\": {\"%s\": {\"capabilities\": [\"pull\"]}}}",
                registry.url);
    refused(pull(&bench, "up.example/test/base:1", NULL), ERROR_UNAVAILABLE,
            "127.0.0.1:1"); /* it may not say what a tag is */
    free(pull_get(by_digest));
    removed(by_digest);
    hosts_write(&bench, "up.example", "{\"server\": \"%s\", \"host\": {\"http://127.0.0.1:1\": {}}}", registry.url);
    free(pull_get("up.example/test/base:1"));
    refused(pull(&bench, "up.example/test/none:1", NULL), ERROR_NOT_FOUND, "127.0.0.1:1");
    removed("up.example/test/base:1");
    nothing_is_left(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_manifest_and_layer_gives_the_same_image),
        cmocka_unit_test(an_index_gives_the_image_of_this_platform_under_its_own_digest),
        cmocka_unit_test(an_image_for_another_platform_is_refused),
        cmocka_unit_test(a_pull_by_digest_gives_no_tag_and_one_by_tag_adds_it),
        cmocka_unit_test(images_are_listed_with_their_users_and_sizes),
        cmocka_unit_test(a_second_pull_fetches_no_layer),
        cmocka_unit_test(shared_layers_are_fetched_once_and_stay_as_long_as_an_image_has_them),
        cmocka_unit_test(a_tag_that_moves_leaves_the_old_image_its_digest),
        cmocka_unit_test(an_image_is_removed_by_tag_digest_id_and_short_id),
        cmocka_unit_test(mirrors_are_asked_in_their_order_until_one_has_it),
    };

    setvbuf(stdout, NULL, _IOLBF, 0);
    return cmocka_run_group_tests(tests, registry_bench_open, registry_bench_close);
}
