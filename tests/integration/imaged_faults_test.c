/* Registries that break, lie or attack, and a disk that is full: each has a clear error, and nothing is left behind. */
#include "tests/integration/imaged/bench.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "common/fd.h"
#include "common/memory.h"
#include "services/imaged/manifest.h"
#include "tests/integration/imaged/shelf.h"
#include "tests/integration/imaged/tarball.h"

enum { LARGE = 3 << 20, DISK_MB = 96 };

static struct bench bench;
static struct shelf shelf;
static char *failpoints;

/* Sets how large the file system of imaged's root may be. */
static void disk_resize(const char *options, unsigned long flags)
{
    if (mount("none", bench.root, "tmpfs", flags, options) < 0)
        fail_msg("mount %s: %m", options);
}

static int bench_open(void **state)
{
    (void)state;
    bench_isolate();
    bench_prepare(&bench);
    disk_resize("mode=711,size=96m,nr_inodes=100k", 0);
    shelf_open(&shelf);
    failpoints = xasprintf("%s/failpoints", bench.directory);
    assert_int_equal(mkdir(failpoints, 0777), 0);
    assert_int_equal(chmod(failpoints, 0777), 0); /* imaged renames what it has met */
    setenv("BULKHEAD_FAILPOINT_DIR", failpoints, 1);
    bench_start(&bench);
    return 0;
}

static int bench_close(void **state)
{
    (void)state;
    if (shelf.web)
        shelf_close(&shelf);
    return bench_stop(&bench);
}

static int forget(void **state)
{
    (void)state;
    shelf_clear(&shelf);
    return 0;
}

/* The pull is refused, says which image it was, and leaves nothing. */
static void pull_refused(const char *rest, enum error_code code, const char *word)
{
    autofree char *name = shelf_name(&shelf, rest);
    struct error *failure = pull(&bench, name, NULL);

    if (failure && !strstr(failure->text, rest))
        fail_msg("the image is not named: %s", failure->text);
    refused(failure, code, word);
    assert_false(is_known(&bench, name));
    nothing_is_left(&bench);
}

static void pull_fine(const char *rest)
{
    autofree char *name = shelf_name(&shelf, rest);

    fine(pull(&bench, name, NULL));
    assert_true(is_known(&bench, name));
}

static void image_gone(const char *rest)
{
    autofree char *name = shelf_name(&shelf, rest);

    fine(remove_image(&bench, name));
    nothing_is_left(&bench);
}

/* A layer with one file of so many random bytes, which don't compress. */
static void tarball_random(struct tarball *tarball, size_t size)
{
    autofree char *data = xmalloc(size);

    for (size_t done = 0; done < size;)
        done += (size_t)getrandom(data + done, size - done, 0);
    tarball_init(tarball, size + 32768);
    tarball_file(tarball, "data", data, size);
    tarball_finish(tarball);
}

/* Serves a/b:1 with one layer of `size` random bytes; its digest is the layer's. */
static void large_image_put(size_t size, char digest[DIGEST_TEXT_SIZE])
{
    struct tarball tarball;
    char unused[DIGEST_TEXT_SIZE];

    tarball_random(&tarball, size);
    struct shelf_layer layer = shelf_layer_plain(tarball.data, tarball.size);
    shelf_image(&shelf, "1", &layer, 1, unused);
    strcpy(digest, layer.digest);
    tarball_fini(&tarball);
}

static void small_layer(struct tarball *tarball, struct shelf_layer *ret)
{
    tarball_init(tarball, 65536);
    tarball_file(tarball, "etc/motd", "hello", 5);
    tarball_finish(tarball);
    *ret = shelf_layer_plain(tarball->data, tarball->size);
}

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

static unsigned closed_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    autoclose int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    return ntohs(address.sin_port);
}

static void a_registry_that_cannot_be_reached_is_unavailable(void **state)
{
    autofree char *closed = xasprintf("127.0.0.1:%u/a/b", closed_port());

    (void)state;
    refused(pull(&bench, closed, NULL), ERROR_UNAVAILABLE, "onnect");
    refused(pull(&bench, "registry.invalid/a/b", NULL), ERROR_UNAVAILABLE, "resolve host: registry.invalid");
    refused(pull(&bench, "busybox", NULL), ERROR_UNAVAILABLE, "registry-1.docker.io");
    nothing_is_left(&bench);
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

static void a_registry_that_breaks_off_is_asked_for_the_rest(void **state)
{
    char digest[DIGEST_TEXT_SIZE];
    uint64_t offset = 0;

    (void)state;
    large_image_put(LARGE, digest);
    shelf_fault_set(&shelf, (struct shelf_fault){.path = digest, .times = 1000, .stop_at = 300000});
    pull_fine("a/b:1");
    assert_int_equal(shelf_asked(&shelf, digest, &offset), (LARGE + 300000) / 300000);
    assert_int_equal(offset % 300000, 0);
    assert_int_equal(offset / 300000, LARGE / 300000);
    image_gone("a/b:1");
}

static void a_registry_that_breaks_off_and_knows_no_ranges_is_asked_from_the_beginning(void **state)
{
    char digest[DIGEST_TEXT_SIZE];

    (void)state;
    large_image_put(LARGE, digest);
    shelf_fault_set(&shelf, (struct shelf_fault){.path = digest, .times = 3, .stop_at = 300000, .no_range = true});
    pull_fine("a/b:1");
    assert_int_equal(shelf_asked(&shelf, digest, NULL), 4);
    image_gone("a/b:1");
}

/* What is there by then is kept for the next pull, which takes it up. */
static void a_registry_that_stays_broken_fails_and_the_next_pull_goes_on(void **state)
{
    char digest[DIGEST_TEXT_SIZE];
    uint64_t offset = 0;

    (void)state;
    large_image_put(LARGE, digest);
    autofree char *name = shelf_name(&shelf, "a/b:1");
    shelf_fault_set(&shelf, (struct shelf_fault){.path = digest, .times = 1000, .stop_at = 300000, .no_range = true});
    refused(pull(&bench, name, NULL), ERROR_UNAVAILABLE, "remaining");
    assert_false(is_known(&bench, name));
    settles_at(&bench, "layers", 0);
    assert_int_equal(files_count(&bench, "blobs"), 1);
    shelf_fault_set(&shelf, (struct shelf_fault){.path = NULL});
    pull_fine("a/b:1");
    shelf_asked(&shelf, digest, &offset);
    assert_int_equal(offset, 300000);
    image_gone("a/b:1");
}

static void a_part_of_a_blob_that_nobody_wants_any_more_is_swept(void **state)
{
    autofree char *age = xasprintf("touch -d '1 hour ago' %s/imaged/blobs/*", bench.root);
    autofree char *name = shelf_name(&shelf, "a/b:1");
    struct tarball tarball;
    struct shelf_layer layer;
    char digest[DIGEST_TEXT_SIZE];

    (void)state;
    large_image_put(LARGE, digest);
    shelf_fault_set(&shelf, (struct shelf_fault){.path = digest, .times = 1000, .stop_at = 300000, .no_range = true});
    refused(pull(&bench, name, NULL), ERROR_UNAVAILABLE, "remaining");
    assert_int_equal(files_count(&bench, "blobs"), 1);
    assert_int_equal(system(age), 0);
    small_layer(&tarball, &layer);
    shelf_image(&shelf, "2", &layer, 1, digest);
    tarball_fini(&tarball);
    pull_fine("a/b:2");
    image_gone("a/b:2"); /* the sweeper comes after it, and leaves nothing */
}

static void a_registry_that_says_nothing_is_unavailable(void **state)
{
    char digest[DIGEST_TEXT_SIZE];

    (void)state;
    large_image_put(1000, digest);
    shelf_fault_set(&shelf, (struct shelf_fault){.path = "manifests", .times = 1000, .stop_at = 20});
    pull_refused("a/b:1", ERROR_UNAVAILABLE, "remaining");
}

static void proof_does_not_follow_a_redirect_to_another_server(void **state)
{
    struct tarball tarball;
    struct shelf other;
    struct shelf_layer layer;
    char digest[DIGEST_TEXT_SIZE];
    Runtime__V1__AuthConfig auth = RUNTIME__V1__AUTH_CONFIG__INIT;

    (void)state;
    shelf_open(&other);
    small_layer(&tarball, &layer);
    shelf_image(&shelf, "1", &layer, 1, digest);
    shelf_image(&other, "1", &layer, 1, digest);
    autofree char *name = shelf_name(&shelf, "a/b:1");
    autofree char *location =
        xasprintf("Location: http://127.0.0.1:%u/elsewhere/blobs/%s", web_port(other.web), layer.digest);
    shelf_fault_set(&shelf, (struct shelf_fault){.path = layer.digest, .times = 1, .status = 307, .header = location});
    auth.registry_token = (char *)"a-secret";
    fine(pull_with(&bench, name, &auth, NULL));
    assert_true(shelf_was_told(&shelf, "Bearer a-secret"));
    assert_int_equal(shelf_asked(&other, "elsewhere", NULL), 1);
    assert_false(shelf_was_told(&other, "secret"));
    image_gone("a/b:1");
    shelf_close(&other);
    tarball_fini(&tarball);
}

/* A mirror that asks for a password gets the one that came without a registry's name, and not one that names the
 * registry. */
static void proof_for_the_registry_is_not_shown_to_its_mirrors(void **state)
{
    struct tarball tarball;
    struct shelf mirror;
    struct shelf_layer layer;
    char digest[DIGEST_TEXT_SIZE];
    Runtime__V1__AuthConfig auth = RUNTIME__V1__AUTH_CONFIG__INIT;

    (void)state;
    shelf_open(&mirror);
    small_layer(&tarball, &layer);
    shelf_image(&shelf, "1", &layer, 1, digest);
    tarball_fini(&tarball);
    hosts_write(&bench, "up.example", "{\"server\": \"http://127.0.0.1:%u\", \"host\": {\"http://127.0.0.1:%u\": {}}}",
                web_port(shelf.web), web_port(mirror.web));
    auth.username = (char *)"user";
    auth.password = (char *)"pass";
    for (int round = 0; round < 2; round++) {
        shelf_fault_set(&mirror,
                        (struct shelf_fault){
                            .path = "", .times = 1000, .status = 401, .header = "WWW-Authenticate: Basic realm=\"r\""});
        auth.server_address = (char *)(round == 0 ? "up.example" : "");
        fine(pull_with(&bench, "up.example/a/b:1", &auth, NULL));
        assert_true(shelf_asked(&mirror, "?ns=up.example", NULL) > 0);
        assert_int_equal(shelf_was_told(&mirror, "Basic"), round == 1);
        fine(remove_image(&bench, "up.example/a/b:1"));
    }
    auth.username = auth.password = (char *)protobuf_c_empty_string;
    auth.registry_token = (char *)"a-secret";
    auth.server_address = (char *)"up.example";
    fine(pull_with(&bench, "up.example/a/b:1", &auth, NULL));
    assert_false(shelf_was_told(&mirror, "secret"));
    assert_true(shelf_was_told(&shelf, "secret"));
    fine(remove_image(&bench, "up.example/a/b:1"));
    nothing_is_left(&bench);
    shelf_close(&mirror);
}

/* Two layers; the upper one has a file in a directory that only the lower one names. */
static void image_of_two_put(const char *tag, char low_digest[DIGEST_TEXT_SIZE])
{
    struct tarball low, high;
    char digest[DIGEST_TEXT_SIZE];

    tarball_init(&low, 1 << 20);
    tarball_directory(&low, "tmp", 01777);
    tarball_file(&low, tag, "x", 1);
    tarball_finish(&low);
    tarball_init(&high, 1 << 20);
    tarball_file(&high, "tmp/late", tag, strlen(tag));
    tarball_finish(&high);
    const struct shelf_layer layers[] = {shelf_layer_plain(low.data, low.size),
                                         shelf_layer_plain(high.data, high.size)};
    strcpy(low_digest, layers[0].digest);
    shelf_image(&shelf, tag, layers, 2, digest);
    tarball_fini(&low);
    tarball_fini(&high);
}

/* The lower layer comes late, or not at all: the upper one is unpacked by then, and needs it. */
static void a_layer_waits_for_those_below_that_say_what_its_directories_are(void **state)
{
    autofree char *modes = xasprintf("test $(stat -c %%a %s/imaged/layers/*/tmp | grep -c '^1777$') = 2", bench.root);
    char low_digest[DIGEST_TEXT_SIZE];

    (void)state;
    image_of_two_put("1", low_digest);
    shelf_fault_set(&shelf, (struct shelf_fault){.path = low_digest, .times = 4, .status = 503});
    pull_fine("a/b:1");
    assert_int_equal(shelf_asked(&shelf, low_digest, NULL), 5);
    assert_int_equal(system(modes), 0);
    image_gone("a/b:1");
    image_of_two_put("2", low_digest);
    shelf_fault_set(&shelf, (struct shelf_fault){.path = low_digest, .times = 1, .status = 404});
    pull_refused("a/b:2", ERROR_NOT_FOUND, low_digest);
}

/* See common/failpoint.h. */
static void failpoint_set(const char *name, const char *order)
{
    autofree char *path = xasprintf("%s/%s", failpoints, name);
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    fputs(order, file);
    fclose(file);
}

struct puller {
    pthread_t thread;
    char *name;
    struct error *failure;
    atomic_bool is_done;
};

static void *puller_main(void *argument)
{
    struct puller *puller = argument;

    puller->failure = pull(&bench, puller->name, NULL);
    puller->is_done = true;
    return NULL;
}

/* imaged stops before the mending until the test is ready to kill; from then on any unpack is one that mends. A pull
 * bears four deaths. */
static void unpack_killed_while_it_mends_begins_again(void **state)
{
    static const char point_name[] = "imaged.layer.before_mend";
    autofree char *point = xasprintf("%s/%s", failpoints, point_name), *hit = xasprintf("%s.hit", point);
    autofree char *modes = xasprintf("test $(stat -c %%a %s/imaged/layers/*/tmp | grep -c '^1777$') = 2", bench.root);
    char low_digest[DIGEST_TEXT_SIZE];
    unsigned kills = 0;

    (void)state;
    image_of_two_put("1", low_digest);
    for (long delay_ms = 0; delay_ms < 10; delay_ms++) {
        struct puller puller = {.name = shelf_name(&shelf, "a/b:1")};
        unlink(hit);
        failpoint_set(point_name, "sleep 100");
        assert_int_equal(pthread_create(&puller.thread, NULL, puller_main, &puller), 0);
        while (access(hit, F_OK) != 0) /* ctest's limit ends it */
            pause_ms(1);
        for (unsigned killed = 0; killed < 4 && !puller.is_done;) {
            pause_ms(delay_ms);
            unsigned now = children_kill(&bench, KEEPER_UNPACK, SIGKILL);
            killed += now;
            kills += now;
        }
        pthread_join(puller.thread, NULL);
        fine(puller.failure);
        assert_int_equal(system(modes), 0);
        fine(remove_image(&bench, puller.name));
        settles_at(&bench, "layers", 0);
        free(puller.name);
    }
    print_message("unpack was killed %u times while it mended\n", kills);
    assert_true(kills > 4);
    nothing_is_left(&bench);
}

static void imaged_killed_at_each_of_its_failpoints_goes_on(void **state)
{
    static const char *const names[] = {"imaged.layer.chunk", "imaged.layer.before_mend", "imaged.layer.before_publish",
                                        "imaged.pull.before_record"};
    char low_digest[DIGEST_TEXT_SIZE];
    autofree char *other_modes = xasprintf("stat -c %%a %s/imaged/layers/*/tmp | grep -v '^1777$'", bench.root);

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        autofree char *hit = xasprintf("%s/%s.hit", failpoints, names[i]);
        autofree char *rest = xasprintf("a/b:%s", names[i]);
        failpoint_set(names[i], "kill");
        image_of_two_put(names[i], low_digest);
        pull_fine(rest);
        assert_int_equal(access(hit, F_OK), 0);
        assert_int_equal(files_count(&bench, "layers"), 2 * (i + 1));
    }
    assert_int_not_equal(system(other_modes), 0);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        autofree char *rest = xasprintf("a/b:%s", names[i]), *name = shelf_name(&shelf, rest);
        fine(remove_image(&bench, name));
    }
    nothing_is_left(&bench);
}

static uint64_t disk_used_kb(void)
{
    autofree char *command = xasprintf("df -k --output=used %s | tail -1", bench.root);
    FILE *pipe = popen(command, "r");
    unsigned long used = 0;

    assert_int_equal(fscanf(pipe, "%lu", &used), 1);
    pclose(pipe);
    return used;
}

static void disk_leave(uint64_t kb)
{
    autofree char *options = xasprintf("size=%luk,nr_inodes=100k", (unsigned long)(disk_used_kb() + kb));

    disk_resize(options, MS_REMOUNT);
}

static void disk_heal(void)
{
    disk_resize("size=96m,nr_inodes=100k", MS_REMOUNT);
}

static void a_disk_that_is_full_is_told_and_heals(void **state)
{
    char digest[DIGEST_TEXT_SIZE];

    (void)state;
    large_image_put(8 << 20, digest);
    for (uint64_t room = 512; room <= 12 << 10;
         room *= 4) { /* neither blob nor layer has room, then the layer has none */
        disk_leave(room);
        pull_refused("a/b:1", ERROR_RESOURCE_EXHAUSTED, "No space left on device");
        disk_heal();
    }
    pull_fine("a/b:1");
    image_gone("a/b:1");
}

static void a_layer_that_swells_fills_the_disk_and_is_removed(void **state)
{
    size_t size = 200 << 20, packed_size;
    autofree char *zeros = xcalloc(1, size);
    struct tarball tarball;
    char digest[DIGEST_TEXT_SIZE];

    (void)state;
    tarball_init(&tarball, size + 32768);
    tarball_file(&tarball, "zeros", zeros, size);
    tarball_finish(&tarball);
    struct shelf_layer layer = shelf_layer_plain(tarball.data, tarball.size);
    autofree void *packed = gzip_bytes(tarball.data, tarball.size, &packed_size);
    layer.data = packed;
    layer.size = layer.stated_size = packed_size;
    layer.type = NULL;
    digest_of(packed, packed_size, layer.digest);
    shelf_image(&shelf, "1", &layer, 1, digest);
    tarball_fini(&tarball);
    pull_refused("a/b:1", ERROR_RESOURCE_EXHAUSTED, "unpack: entry \"zeros\": write: No space left on device");
}

static void a_disk_without_inodes_is_told_and_heals(void **state)
{
    struct tarball tarball;
    char digest[DIGEST_TEXT_SIZE];

    (void)state;
    tarball_init(&tarball, 8 << 20);
    for (int i = 0; i < 2000; i++) {
        char name[32];
        snprintf(name, sizeof(name), "d%d/f", i);
        tarball_file(&tarball, name, "x", 1);
    }
    tarball_finish(&tarball);
    struct shelf_layer layer = shelf_layer_plain(tarball.data, tarball.size);
    shelf_image(&shelf, "1", &layer, 1, digest);
    tarball_fini(&tarball);
    disk_resize("size=96m,nr_inodes=1000", MS_REMOUNT);
    pull_refused("a/b:1", ERROR_RESOURCE_EXHAUSTED, "No space left on device");
    disk_heal();
    pull_fine("a/b:1");
    image_gone("a/b:1");
}

static void an_image_is_looked_at_and_removed_on_a_full_disk(void **state)
{
    char digest[DIGEST_TEXT_SIZE];

    (void)state;
    large_image_put(LARGE, digest);
    pull_fine("a/b:1");
    disk_leave(0);
    autofree char *name = shelf_name(&shelf, "a/b:1");
    assert_true(is_known(&bench, name));
    imaged_kill(&bench);
    imaged_start(&bench); /* a successor reads its records there too */
    assert_true(is_known(&bench, name));
    image_gone("a/b:1");
    disk_heal();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, forget, NULL)
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
        TEST(a_registry_that_cannot_be_reached_is_unavailable),
        TEST(a_bad_reference_is_an_invalid_argument),
        TEST(a_bad_hosts_file_is_named),
        TEST(a_registry_that_breaks_off_is_asked_for_the_rest),
        TEST(a_registry_that_breaks_off_and_knows_no_ranges_is_asked_from_the_beginning),
        TEST(a_registry_that_stays_broken_fails_and_the_next_pull_goes_on),
        TEST(a_part_of_a_blob_that_nobody_wants_any_more_is_swept),
        TEST(a_registry_that_says_nothing_is_unavailable),
        TEST(proof_does_not_follow_a_redirect_to_another_server),
        TEST(proof_for_the_registry_is_not_shown_to_its_mirrors),
        TEST(a_layer_waits_for_those_below_that_say_what_its_directories_are),
        TEST(unpack_killed_while_it_mends_begins_again),
        TEST(imaged_killed_at_each_of_its_failpoints_goes_on),
        TEST(a_disk_that_is_full_is_told_and_heals),
        TEST(a_layer_that_swells_fills_the_disk_and_is_removed),
        TEST(a_disk_without_inodes_is_told_and_heals),
        TEST(an_image_is_looked_at_and_removed_on_a_full_disk),
    };

    setvbuf(stdout, NULL, _IOLBF, 0);
    return cmocka_run_group_tests(tests, bench_open, bench_close);
}
