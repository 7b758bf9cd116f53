/* Registries that can't be reached, break off or send elsewhere: what is there is used, and no proof goes astray. */
#include "tests/integration/imaged/shelf_bench.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

#include "common/cleanup.h"
#include "common/memory.h"

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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, shelf_bench_forget, NULL)
    const struct CMUnitTest tests[] = {
        TEST(a_registry_that_cannot_be_reached_is_unavailable),
        TEST(a_registry_that_breaks_off_is_asked_for_the_rest),
        TEST(a_registry_that_breaks_off_and_knows_no_ranges_is_asked_from_the_beginning),
        TEST(a_registry_that_stays_broken_fails_and_the_next_pull_goes_on),
        TEST(a_part_of_a_blob_that_nobody_wants_any_more_is_swept),
        TEST(a_registry_that_says_nothing_is_unavailable),
        TEST(proof_does_not_follow_a_redirect_to_another_server),
        TEST(proof_for_the_registry_is_not_shown_to_its_mirrors),
    };

    setvbuf(stdout, NULL, _IOLBF, 0);
    return cmocka_run_group_tests(tests, shelf_bench_open, shelf_bench_close);
}
