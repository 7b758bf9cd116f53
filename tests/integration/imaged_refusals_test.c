/* Registries that lie or attack, and what is asked wrongly: each has a clear error, and nothing is left behind. */
#include "tests/integration/imaged/shelf_bench.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "common/memory.h"
#include "services/imaged/manifest.h"

static void what_the_shelf_serves_can_be_pulled(void **state)
{
    struct tarball tarball;
    struct shelf_layer layer;
    char digest[DIGEST_TEXT_SIZE];

    (void)state;
    small_layer(&tarball, &layer);
    shelf_image(&shelf, "1", &layer, 1, digest);
    tarball_fini(&tarball);
    autofree char *by_digest = xasprintf("a/b@%s", digest);
    pull_fine("a/b:1");
    pull_fine(by_digest);
    image_gone("a/b:1");
}

static void a_manifest_that_is_no_json_is_refused(void **state)
{
    (void)state;
    shelf_put_text(&shelf, "manifests/1", "application/vnd.oci.image.manifest.v1+json", "<html>sorry</html>");
    pull_refused("a/b:1", ERROR_INVALID_ARGUMENT, "no JSON object");
    shelf_put_text(&shelf, "manifests/2", "application/json", "");
    pull_refused("a/b:2", ERROR_INVALID_ARGUMENT, "no JSON object");
}

static void an_index_within_an_index_is_refused_by_name(void **state)
{
    static const char type[] = "application/vnd.oci.image.index.v1+json";
    static const char inner[] = "{\"schemaVersion\": 2, \"manifests\": [{\"digest\": \"sha256:"
                                "1111111111111111111111111111111111111111111111111111111111111111\", \"size\": 2}]}";
    char digest[DIGEST_TEXT_SIZE];

    (void)state;
    digest_of(inner, strlen(inner), digest);
    autofree char *outer =
        xasprintf("{\"schemaVersion\": 2, \"manifests\": [{\"mediaType\": \"%s\", \"digest\": \"%s\", \"size\": "
                  "%zu}]}",
                  type, digest, strlen(inner));
    autofree char *path = xasprintf("manifests/%s", digest);
    shelf_put_text(&shelf, path, type, inner);
    shelf_put_text(&shelf, "manifests/1", type, outer);
    pull_refused("a/b:1", ERROR_UNIMPLEMENTED, "an index within an index");
}

static void a_huge_manifest_is_not_read_to_its_end(void **state)
{
    size_t size = MANIFEST_SIZE_MAX + (64 << 20);
    autofree char *huge = xmalloc(size);

    (void)state;
    memset(huge, ' ', size);
    shelf_put(&shelf, "manifests/1", "application/vnd.oci.image.manifest.v1+json", huge, size);
    pull_refused("a/b:1", ERROR_RESOURCE_EXHAUSTED, "manifest: it is larger than 4194304 bytes");
}

static void a_manifest_of_another_digest_is_refused(void **state)
{
    struct tarball tarball;
    struct shelf_layer layer;
    char digest[DIGEST_TEXT_SIZE], wanted[DIGEST_TEXT_SIZE];

    (void)state;
    small_layer(&tarball, &layer);
    shelf_image(&shelf, "1", &layer, 1, digest);
    tarball_fini(&tarball);
    digest_of("another", 7, wanted);
    autofree char *name = xasprintf("a/b@%s", wanted), *path = xasprintf("manifests/%s", wanted);
    shelf_put_text(&shelf, path, "application/vnd.oci.image.manifest.v1+json", "{}");
    pull_refused(name, ERROR_DATA_LOSS, "digest mismatch");
}

/* Serves the image with one thing untrue, and has it refused. */
static void lie_refused(const struct shelf_layer *layer, enum error_code code, const char *word)
{
    char digest[DIGEST_TEXT_SIZE];

    shelf_clear(&shelf);
    shelf_image(&shelf, "1", layer, 1, digest);
    pull_refused("a/b:1", code, word);
}

static void a_layer_that_is_not_what_was_promised_is_refused(void **state)
{
    struct tarball tarball;
    struct shelf_layer layer, lie;

    (void)state;
    small_layer(&tarball, &layer);
    lie = layer;
    digest_of("another", 7, lie.digest);
    lie_refused(&lie, ERROR_DATA_LOSS, "digest mismatch: asked for");
    lie = layer;
    digest_of("another", 7, lie.diff_id);
    lie_refused(&lie, ERROR_DATA_LOSS, "diff id mismatch");
    lie = layer;
    lie.stated_size--;
    lie_refused(&lie, ERROR_DATA_LOSS, "is longer than");
    lie = layer;
    lie.stated_size++;
    lie_refused(&lie, ERROR_DATA_LOSS, "is shorter than");
    lie = layer;
    lie.stated_size = 0;
    lie_refused(&lie, ERROR_DATA_LOSS, "digest mismatch");
    lie = layer;
    lie.type = "application/vnd.oci.image.layer.v1.squashfs";
    lie_refused(&lie, ERROR_UNIMPLEMENTED, "squashfs");
    tarball_fini(&tarball);
}

static void a_layer_that_does_not_unpack_is_refused(void **state)
{
    struct tarball tarball;
    struct shelf_layer layer;
    char noise[4096];
    size_t size;

    (void)state;
    assert_int_equal(getrandom(noise, sizeof(noise), 0), sizeof(noise));
    noise[0] = 'n'; /* neither gzip nor zstd */
    struct shelf_layer lie = shelf_layer_plain(noise, sizeof(noise));
    lie.type = NULL;
    lie_refused(&lie, ERROR_DATA_LOSS, "unpack: ");
    memcpy(noise, "\x1f\x8b\x08\x00", 4);
    lie = shelf_layer_plain(noise, sizeof(noise));
    lie_refused(&lie, ERROR_DATA_LOSS, "gzip");
    small_layer(&tarball, &layer);
    autofree void *packed = gzip_bytes(tarball.data, tarball.size, &size);
    lie = shelf_layer_plain(packed, size - 10);
    strcpy(lie.diff_id, layer.diff_id);
    lie_refused(&lie, ERROR_DATA_LOSS, "the gzip stream is cut");
    tarball_fini(&tarball);
}

static void a_configuration_that_does_not_fit_is_refused(void **state)
{
    struct tarball tarball;
    struct shelf_layer layer;
    char digest[DIGEST_TEXT_SIZE];

    (void)state;
    small_layer(&tarball, &layer);
    shelf_image(&shelf, "1", &layer, 1, digest);
    tarball_fini(&tarball);
    const struct shelf_item *config = &shelf.items[shelf.item_count - 3];
    assert_non_null(strstr(config->path, "blobs/"));
    autofree char *path = xstrdup(config->path);
    shelf_put_text(&shelf, path, "application/octet-stream", "{\"os\": \"other\"}");
    pull_refused("a/b:1", ERROR_DATA_LOSS, "configuration: digest mismatch");
}

/* One archive of each kind; none may touch what is outside of the layer, refused or not. */
static void hostile(void (*fill)(struct tarball *tarball), const char *word)
{
    autofree char *canary = xasprintf("%s/canary", bench.directory),
                  *escaped = xasprintf("%s/escaped", bench.directory);
    autofree char *root_escaped = xasprintf("%s/escaped", bench.root),
                  *layers_escaped = xasprintf("%s/imaged/layers/escaped", bench.root);
    struct tarball tarball;
    struct stat before, after;
    char digest[DIGEST_TEXT_SIZE];

    shelf_clear(&shelf);
    close(open(canary, O_CREAT | O_WRONLY, 0600));
    assert_int_equal(stat(canary, &before), 0);
    tarball_init(&tarball, 1 << 20);
    fill(&tarball);
    tarball_finish(&tarball);
    struct shelf_layer layer = shelf_layer_plain(tarball.data, tarball.size);
    shelf_image(&shelf, "1", &layer, 1, digest);
    tarball_fini(&tarball);
    if (word) {
        pull_refused("a/b:1", ERROR_INVALID_ARGUMENT, word);
    } else {
        pull_fine("a/b:1");
        image_gone("a/b:1");
    }
    assert_int_equal(stat(canary, &after), 0);
    assert_memory_equal(&before.st_mtim, &after.st_mtim, sizeof(before.st_mtim));
    assert_int_equal(after.st_nlink, 1);
    assert_int_equal(after.st_size, 0);
    assert_int_not_equal(access(escaped, F_OK), 0);
    assert_int_not_equal(access(root_escaped, F_OK), 0);
    assert_int_not_equal(access(layers_escaped, F_OK), 0);
}

static void climb(struct tarball *tarball)
{
    tarball_file(tarball, "../escaped", "x", 1);
}

static void climb_deeper(struct tarball *tarball)
{
    tarball_file(tarball, "a/b/../../../../../escaped", "x", 1);
}

static void be_absolute(struct tarball *tarball)
{
    autofree char *path = xasprintf("%s/canary", bench.directory), *beside = xasprintf("%s/escaped", bench.directory);

    tarball_file(tarball, path, "x", 1);
    tarball_file(tarball, beside, "x", 1);
}

static void go_through_a_link(struct tarball *tarball)
{
    tarball_symlink(tarball, "up", "..");
    tarball_file(tarball, "up/escaped", "x", 1);
    tarball_symlink(tarball, "far", "../../..");
    tarball_file(tarball, "far/escaped", "x", 1);
}

static void go_through_an_absolute_link(struct tarball *tarball)
{
    tarball_symlink(tarball, "out", bench.directory);
    tarball_file(tarball, "out/canary", "x", 1);
}

static void write_through_a_link(struct tarball *tarball)
{
    autofree char *canary = xasprintf("%s/canary", bench.directory);

    tarball_symlink(tarball, "here", canary);
    tarball_file(tarball, "here", "x", 1);
}

static void link_hard_outside(struct tarball *tarball)
{
    tarball_hard_link(tarball, "mine", "../../../../canary");
}

static void link_hard_by_absolute_name(struct tarball *tarball)
{
    autofree char *canary = xasprintf("%s/canary", bench.directory);

    tarball_hard_link(tarball, "mine", canary);
    tarball_file(tarball, "mine", "x", 1);
}

static void link_hard_through_a_link(struct tarball *tarball)
{
    tarball_symlink(tarball, "out", bench.directory);
    tarball_hard_link(tarball, "mine", "out/canary");
}

static void no_archive_touches_what_is_outside_of_its_layer(void **state)
{
    (void)state;
    hostile(climb, "path \"../escaped\" climbs out of the layer");
    hostile(climb_deeper, "climbs out of the layer");
    hostile(be_absolute, NULL); /* an absolute name is one of the layer's root */
    hostile(go_through_a_link, NULL);
    hostile(go_through_an_absolute_link, "is no directory of the layer");
    hostile(write_through_a_link, NULL);
    hostile(link_hard_outside, "climbs out of the layer");
    hostile(link_hard_by_absolute_name, "which the layer does not have");
    hostile(link_hard_through_a_link, "which the layer does not have");
}

static void status_refused(int status, const char *header, const char *body, enum error_code code, const char *word)
{
    shelf_fault_set(&shelf, (struct shelf_fault){
                                .path = "manifests", .times = 100, .status = status, .header = header, .body = body});
    pull_refused("a/b:1", code, word);
}

static void what_a_registry_answers_is_told(void **state)
{
    (void)state;
    pull_refused("a/b:1", ERROR_NOT_FOUND, "answers 404");
    status_refused(404, NULL, "{\"errors\": [{\"code\": \"X\", \"message\": \"no such thing here\"}]}", ERROR_NOT_FOUND,
                   "answers 404 (no such thing here)");
    status_refused(401, NULL, NULL, ERROR_UNAUTHENTICATED, "neither Basic nor Bearer");
    status_refused(401, "WWW-Authenticate: Basic realm=\"r\"", NULL, ERROR_UNAUTHENTICATED, "none were given");
    status_refused(401, "WWW-Authenticate: Bearer realm=\"ftp://a/b\"", NULL, ERROR_UNAUTHENTICATED,
                   "not to be trusted");
    status_refused(401, "WWW-Authenticate: Bearer service=\"x\"", NULL, ERROR_UNAUTHENTICATED, "names no token server");
    status_refused(403, NULL, NULL, ERROR_PERMISSION_DENIED, "answers 403");
    status_refused(429, NULL, NULL, ERROR_UNAVAILABLE, "answers 429");
    status_refused(500, NULL, "not JSON", ERROR_UNAVAILABLE, "answers 500");
    status_refused(307, NULL, NULL, ERROR_UNAVAILABLE, "answers 307");
    status_refused(307, "Location: /v2/a/b/manifests/1", NULL, ERROR_UNAVAILABLE, "redirects");
    status_refused(307, "Location: file:///etc/passwd", NULL, ERROR_UNAVAILABLE, "rotocol");
}

static void a_layer_that_is_not_there_is_not_found(void **state)
{
    char digest[DIGEST_TEXT_SIZE];

    (void)state;
    large_image_put(1000, digest);
    shelf_fault_set(&shelf, (struct shelf_fault){.path = digest, .times = 100, .status = 404});
    pull_refused("a/b:1", ERROR_NOT_FOUND, digest);
}

static void a_bad_reference_is_an_invalid_argument(void **state)
{
    static const char *const wrong[] = {"Not/A/Name", "a:b:c", "a@sha256:12", "../../etc", "a b", "http://a.b/c"};

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        refused(pull(&bench, wrong[i], NULL), ERROR_INVALID_ARGUMENT, wrong[i]);
    refused(pull(&bench, "", NULL), ERROR_INVALID_ARGUMENT, "empty");
    nothing_is_left(&bench);
}

static void a_bad_hosts_file_is_named(void **state)
{
    (void)state;
    hosts_write(&bench, "bad.example", "{\"server\": 5}");
    refused(pull(&bench, "bad.example/a/b", NULL), ERROR_INVALID_ARGUMENT,
            "bad.example/hosts.json: \"server\" is no string");
    nothing_is_left(&bench);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, shelf_bench_forget, NULL)
    const struct CMUnitTest tests[] = {
        TEST(what_the_shelf_serves_can_be_pulled),
        TEST(a_manifest_that_is_no_json_is_refused),
        TEST(an_index_within_an_index_is_refused_by_name),
        TEST(a_huge_manifest_is_not_read_to_its_end),
        TEST(a_manifest_of_another_digest_is_refused),
        TEST(a_layer_that_is_not_what_was_promised_is_refused),
        TEST(a_layer_that_does_not_unpack_is_refused),
        TEST(a_configuration_that_does_not_fit_is_refused),
        TEST(no_archive_touches_what_is_outside_of_its_layer),
        TEST(what_a_registry_answers_is_told),
        TEST(a_layer_that_is_not_there_is_not_found),
        TEST(a_bad_reference_is_an_invalid_argument),
        TEST(a_bad_hosts_file_is_named),
    };

    setvbuf(stdout, NULL, _IOLBF, 0);
    return cmocka_run_group_tests(tests, shelf_bench_open, shelf_bench_close);
}
