/* imaged, fetch and unpack under a real keeper, against a real registry, and under kills. */
#include "tests/integration/imaged/bench.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/memory.h"
#include "tests/support/registry.h"

enum { FILLER = 48 << 20 };

static struct bench bench;
static struct registry_server registry;

static int bench_open(void **state)
{
    (void)state;
    bench_prepare(&bench);
    fine(registry_server_start(&registry));
    fine(registry_server_push(&registry, "library/busybox", "latest", 0));
    fine(registry_server_push(&registry, "test/large", "1", FILLER));
    fine(registry_server_write_mirror(&registry, bench.certs));
    bench_start(&bench);
    return 0;
}

static int bench_close(void **state)
{
    (void)state;
    registry_server_stop(&registry);
    return bench_stop(&bench);
}

static void all_removed(void)
{
    fine(remove_image(&bench, "busybox"));
    fine(remove_image(&bench, "test/large:1"));
    settles_at(&bench, "layers", 0);
    settles_at(&bench, "blobs", 0);
    settles_at(&bench, "layer-records", 0);
}

static void an_image_is_pulled_listed_and_removed_by_its_short_name(void **state)
{
    autofree char *id = NULL;

    (void)state;
    fine(pull(&bench, "busybox", &id));
    Runtime__V1__ImageStatusResponse *response = status_get(&bench, "docker.io/library/busybox");
    assert_non_null(response->image);
    assert_string_equal(response->image->id, id);
    assert_string_equal(response->image->repo_tags[0], "docker.io/library/busybox:latest");
    assert_int_equal(response->image->n_repo_digests, 1);
    assert_true(is_known(&bench, response->image->repo_digests[0]));
    assert_int_equal(response->image->uid->value, 0);
    assert_true(response->image->size > 500000);
    runtime__v1__image_status_response__free_unpacked(response, NULL);
    assert_true(is_known(&bench, id));
    assert_int_equal(files_count(&bench, "layers"), 2);
    assert_int_equal(files_count(&bench, "blobs"), 0);
    all_removed();
    assert_false(is_known(&bench, "busybox"));
    fine(remove_image(&bench, "busybox"));
}

static void a_leased_images_layers_stay_until_the_lease_goes(void **state)
{
    Bulkhead__LeaseImageRequest lease = BULKHEAD__LEASE_IMAGE_REQUEST__INIT;
    Bulkhead__ReleaseImageRequest release = BULKHEAD__RELEASE_IMAGE_REQUEST__INIT;
    uint8_t *data;
    size_t size;

    (void)state;
    lease.lease_id = release.lease_id = "container1";
    lease.image = "busybox";
    refused(call(&bench, "LeaseImage", &lease.base, &data, &size), ERROR_NOT_FOUND, "busybox");
    fine(pull(&bench, "busybox", NULL));
    fine(call(&bench, "LeaseImage", &lease.base, &data, &size));
    Bulkhead__LeaseImageReply *reply = bulkhead__lease_image_reply__unpack(NULL, size, data);
    free(data);
    assert_int_equal(reply->n_layer_paths, 2);
    assert_string_equal(reply->settings->cmd[0], "/bin/sh");
    autofree char *binary = xasprintf("%s/bin/busybox", reply->layer_paths[0]);
    struct stat status;
    assert_int_equal(stat(binary, &status), 0);
    assert_int_equal(status.st_uid, 0);
    bulkhead__lease_image_reply__free_unpacked(reply, NULL);
    fine(remove_image(&bench, "busybox"));
    assert_false(is_known(&bench, "busybox"));
    imaged_kill(&bench);
    imaged_start(&bench);
    pause_ms(1500);
    assert_int_equal(access(binary, F_OK), 0);
    fine(call(&bench, "LeaseImage", &lease.base, &data, &size)); /* again: the same answer, though the image is gone */
    free(data);
    fine(call(&bench, "ReleaseImage", &release.base, &data, &size));
    free(data);
    settles_at(&bench, "layers", 0);
    fine(call(&bench, "ReleaseImage", &release.base, &data, &size));
    free(data);
}

static void what_cannot_be_pulled_says_why(void **state)
{
    (void)state;
    refused(pull(&bench, "Not/A/Name", NULL), ERROR_INVALID_ARGUMENT, "capital");
    refused(pull(&bench, "", NULL), ERROR_INVALID_ARGUMENT, "empty");
    refused(pull(&bench, "nothing/here", NULL), ERROR_NOT_FOUND, "nothing/here");
    refused(pull(&bench, "localhost:1/a/b", NULL), ERROR_UNAVAILABLE, "localhost");
    assert_int_equal(files_count(&bench, "layers"), 0);
    assert_false(is_known(&bench, "nothing/here"));
}

struct puller {
    pthread_t thread;
    struct error *failure;
    const char *name;
    bool is_done;
};

static void *puller_main(void *argument)
{
    struct puller *puller = argument;

    puller->failure = pull(&bench, puller->name, NULL);
    __atomic_store_n(&puller->is_done, true, __ATOMIC_SEQ_CST);
    return NULL;
}

static void puller_start(struct puller *puller, const char *name)
{
    *puller = (struct puller){.name = name};
    pthread_create(&puller->thread, NULL, puller_main, puller);
}

static void puller_end(struct puller *puller)
{
    pthread_join(puller->thread, NULL);
    fine(puller->failure);
}

static bool is_done(const struct puller *puller)
{
    return __atomic_load_n(&puller->is_done, __ATOMIC_SEQ_CST);
}

static void pulls_of_one_image_at_once_all_succeed(void **state)
{
    struct puller pullers[6];

    (void)state;
    for (size_t i = 0; i < 6; i++)
        puller_start(&pullers[i], i % 2 ? "test/large:1" : "busybox");
    for (size_t i = 0; i < 6; i++)
        pthread_join(pullers[i].thread, NULL);
    for (size_t i = 0; i < 6; i++)
        fine(pullers[i].failure);
    all_removed();
}

static void imaged_killed_in_the_middle_of_a_pull_goes_on(void **state)
{
    unsigned kills = 0;

    (void)state;
    for (int round = 0; round < 4; round++) {
        struct puller puller;
        puller_start(&puller, "test/large:1");
        for (int i = 0; i < 6 && !is_done(&puller); i++) {
            pause_ms(10 + 35 * (round + i));
            kills += !is_done(&puller);
            imaged_kill(&bench);
            imaged_start(&bench);
        }
        puller_end(&puller);
        all_removed();
    }
    print_message("imaged was killed %u times amid a pull\n", kills);
    assert_true(kills > 4);
}

static void children_are_killed(enum keeper_program program, const char *what)
{
    unsigned kills = 0;

    for (int round = 0; round < 4; round++) {
        struct puller puller;
        puller_start(&puller, "test/large:1");
        for (int i = 0; i < 4 && !is_done(&puller); i++) {
            unsigned killed = 0;
            pause_ms(15 + 10 * round + 25 * i); /* into its work, or on a slower machine before it has begun */
            while (!is_done(&puller) && !(killed = children_kill(&bench, program, SIGKILL)))
                pause_ms(2);
            kills += killed;
        }
        puller_end(&puller);
        all_removed();
    }
    print_message("%s was killed %u times amid a pull\n", what, kills);
    assert_true(kills > 4);
}

static void fetch_killed_in_the_middle_of_a_pull_goes_on(void **state)
{
    (void)state;
    children_are_killed(KEEPER_FETCH, "fetch");
}

static void unpack_killed_in_the_middle_of_a_pull_begins_its_layer_anew(void **state)
{
    (void)state;
    children_are_killed(KEEPER_UNPACK, "unpack");
}

static void a_registry_that_dies_amid_a_layer_and_returns_costs_nothing(void **state)
{
    struct puller puller;

    (void)state;
    puller_start(&puller, "test/large:1");
    for (int i = 0; i < 3; i++) {
        pause_ms(60);
        fine(registry_server_restart(&registry));
    }
    pthread_join(puller.thread, NULL);
    if (puller.failure) /* it may have met no listener at its first question */
        refused(puller.failure, ERROR_UNAVAILABLE, "");
    fine(pull(&bench, "test/large:1", NULL));
    all_removed();
}

static void a_damaged_blob_is_named_and_leaves_nothing(void **state)
{
    (void)state;
    fine(registry_server_damage(&registry));
    refused(pull(&bench, "test/large:1", NULL), ERROR_DATA_LOSS, "sha256:");
    assert_false(is_known(&bench, "test/large:1"));
    settles_at(&bench, "blobs", 0);
    settles_at(&bench, "layers", 0);
    settles_at(&bench, "layer-records", 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_image_is_pulled_listed_and_removed_by_its_short_name),
        cmocka_unit_test(a_leased_images_layers_stay_until_the_lease_goes),
        cmocka_unit_test(what_cannot_be_pulled_says_why),
        cmocka_unit_test(pulls_of_one_image_at_once_all_succeed),
        cmocka_unit_test(imaged_killed_in_the_middle_of_a_pull_goes_on),
        cmocka_unit_test(fetch_killed_in_the_middle_of_a_pull_goes_on),
        cmocka_unit_test(unpack_killed_in_the_middle_of_a_pull_begins_its_layer_anew),
        cmocka_unit_test(a_registry_that_dies_amid_a_layer_and_returns_costs_nothing),
        cmocka_unit_test(a_damaged_blob_is_named_and_leaves_nothing),
    };

    setvbuf(stdout, NULL, _IOLBF, 0);
    return cmocka_run_group_tests(tests, bench_open, bench_close);
}
