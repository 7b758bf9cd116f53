/* The store: names that move, images that share layers, and what a restart finds on the disk. */
#include "tests/unit/imaged/check.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/memory.h"
#include "services/imaged/store.h"

#define D(c) "sha256:" c c c c c c c c c c c c c c c c
#define ONE D("1111")
#define TWO D("1222") /* begins as ONE does */
#define LOW D("aaaa")
#define HIGH D("bbbb")

struct fixture {
    char directory[64];
    int fd;
    struct store *store;
};

/* As after a restart: what is in memory is left behind. */
static void store_reopen(struct fixture *fixture)
{
    fixture->store = xcalloc(1, sizeof(*fixture->store));
    fine(store_open(fixture->store, fixture->directory, fixture->fd));
}

static void store_leave(struct fixture *fixture)
{
    struct store *store = fixture->store;

    while (store->lease_count > 0)
        fine(store_leases_keep(store, NULL, 0));
    for (size_t i = 0; i < store->image_count; i++)
        image_free(store->images[i]);
    free(store->images);
    free(store->layers);
    free(store->leases);
    text_list_fini(&store->pins);
    text_list_fini(&store->claims);
    free(store->directory);
    for (size_t i = 0; i < 5; i++)
        close(
            (const int[]){store->images_fd, store->layers_fd, store->records_fd, store->leases_fd, store->blobs_fd}[i]);
    free(store);
}

static int set_up(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));

    strcpy(fixture->directory, "/tmp/bh-store-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    fixture->fd = open(fixture->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    store_reopen(fixture);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    autofree char *command = xasprintf("rm -rf %s", fixture->directory);

    store_leave(fixture);
    close(fixture->fd);
    free(fixture);
    return system(command);
}

static void layer_make(struct fixture *fixture, const char *chain, uint64_t bytes)
{
    struct layer layer = {.bytes = bytes, .inodes = 1};
    autofree char *making = store_layer_making(chain);

    snprintf(layer.chain, sizeof(layer.chain), "%s", chain);
    snprintf(layer.diff_id, sizeof(layer.diff_id), "%s", chain);
    assert_int_equal(mkdirat(fixture->store->layers_fd, making, 0700), 0);
    fine(store_layer_publish(fixture->store, &layer));
}

static const char config_text[] = "{\"rootfs\": {\"type\": \"layers\"}, \"config\": {\"Cmd\": [\"sh\"]}}";

static void image_make(struct fixture *fixture, const char *id, const char *tag, const char *digest, const char *layer)
{
    struct image *image = image_new(id);

    if (tag)
        text_list_add(&image->tags, tag);
    text_list_add(&image->digests, digest);
    if (layer)
        text_list_add(&image->chains, layer);
    image->config_text = xstrdup(config_text);
    fine(image_config_parse(config_text, strlen(config_text), &image->config));
    fine(store_image_put(fixture->store, image));
}

static const char *found(struct fixture *fixture, const char *name)
{
    struct image *image = NULL;

    fine(store_find(fixture->store, name, &image));
    return image ? image->id : "none";
}

static void an_image_is_found_by_each_of_its_names(void **state)
{
    struct fixture *fixture = *state;

    image_make(fixture, ONE, "docker.io/library/a:latest", "docker.io/library/a@" HIGH, NULL);
    for (int round = 0; round < 2; round++) {
        assert_string_equal(found(fixture, "a"), ONE);
        assert_string_equal(found(fixture, "docker.io/a:latest"), ONE);
        assert_string_equal(found(fixture, "a@" HIGH), ONE);
        assert_string_equal(found(fixture, "a:other@" HIGH), ONE); /* the digest names it, whatever the tag */
        assert_string_equal(found(fixture, ONE), ONE);
        assert_string_equal(found(fixture, "1111"), ONE);
        assert_string_equal(found(fixture, "a:2"), "none");
        assert_string_equal(found(fixture, "b"), "none");
        assert_string_equal(found(fixture, "a@" LOW), "none");
        assert_string_equal(found(fixture, TWO), "none");
        store_leave(fixture);
        store_reopen(fixture);
    }
}

static void an_id_cut_short_must_be_of_one_image(void **state)
{
    struct fixture *fixture = *state;

    image_make(fixture, ONE, NULL, "a.b/c@" LOW, NULL);
    image_make(fixture, TWO, NULL, "a.b/d@" LOW, NULL);
    assert_string_equal(found(fixture, "11"), ONE);
    assert_string_equal(found(fixture, "sha256:12"), TWO);
    assert_string_equal(found(fixture, "1"), "none");
}

static void a_tag_that_looks_like_an_id_is_found_as_a_tag_first(void **state)
{
    struct fixture *fixture = *state;

    image_make(fixture, ONE, NULL, "a.b/c@" LOW, NULL);
    image_make(fixture, TWO, "docker.io/library/11:latest", "docker.io/library/11@" LOW, NULL);
    assert_string_equal(found(fixture, "11"), TWO);
}

static void a_moved_tag_leaves_the_old_image_its_digest(void **state)
{
    struct fixture *fixture = *state;

    image_make(fixture, ONE, "a.b/c:1", "a.b/c@" LOW, NULL);
    image_make(fixture, TWO, "a.b/c:1", "a.b/c@" HIGH, NULL);
    for (int round = 0; round < 2; round++) {
        struct image *old = NULL;
        assert_string_equal(found(fixture, "a.b/c:1"), TWO);
        assert_string_equal(found(fixture, "a.b/c@" LOW), ONE);
        fine(store_find(fixture->store, ONE, &old));
        assert_int_equal(old->tags.count, 0);
        store_leave(fixture);
        store_reopen(fixture);
    }
}

static void a_second_pull_adds_only_new_names(void **state)
{
    struct fixture *fixture = *state;
    struct image *image = NULL;

    image_make(fixture, ONE, "a.b/c:1", "a.b/c@" LOW, NULL);
    image_make(fixture, ONE, "a.b/c:1", "a.b/c@" LOW, NULL);
    image_make(fixture, ONE, "a.b/c:2", "a.b/c@" LOW, NULL);
    fine(store_find(fixture->store, ONE, &image));
    assert_int_equal(fixture->store->image_count, 1);
    assert_int_equal(image->tags.count, 2);
    assert_int_equal(image->digests.count, 1);
}

static void a_removed_image_is_gone_by_all_its_names(void **state)
{
    struct fixture *fixture = *state;

    image_make(fixture, ONE, "a.b/c:1", "a.b/c@" LOW, NULL);
    image_make(fixture, ONE, "a.b/c:2", "a.b/c@" LOW, NULL);
    fine(store_image_remove(fixture->store, "a.b/c:2"));
    assert_string_equal(found(fixture, "a.b/c:1"), "none");
    assert_string_equal(found(fixture, ONE), "none");
    fine(store_image_remove(fixture->store, ONE));
    fine(store_image_remove(fixture->store, "a.b/c:1"));
    refused(store_image_remove(fixture->store, "A B"), ERROR_INVALID_ARGUMENT, "A B");
}

static void layers_are_needed_as_long_as_anything_has_them(void **state)
{
    struct fixture *fixture = *state;
    struct text_list pins = {0};
    autofree uint8_t *reply = NULL;
    size_t size;

    layer_make(fixture, LOW, 10);
    layer_make(fixture, HIGH, 20);
    image_make(fixture, ONE, "a.b/c:1", "a.b/c@" LOW, LOW);
    image_make(fixture, TWO, "a.b/d:1", "a.b/d@" LOW, LOW);
    assert_true(store_layer_is_needed(fixture->store, LOW));
    assert_false(store_layer_is_needed(fixture->store, HIGH));
    fine(store_image_remove(fixture->store, "a.b/c:1"));
    assert_true(store_layer_is_needed(fixture->store, LOW));
    fine(store_lease(fixture->store, "container", "a.b/d:1", &reply, &size));
    fine(store_image_remove(fixture->store, "a.b/d:1"));
    assert_true(store_layer_is_needed(fixture->store, LOW));
    fine(store_lease_release(fixture->store, "container"));
    assert_false(store_layer_is_needed(fixture->store, LOW));
    text_list_add(&pins, HIGH);
    store_pin(fixture->store, &pins);
    assert_true(store_layer_is_needed(fixture->store, HIGH));
    store_unpin(fixture->store, &pins);
    assert_false(store_layer_is_needed(fixture->store, HIGH));
    text_list_fini(&pins);
}

static void an_images_size_is_its_layers_and_its_configuration(void **state)
{
    struct fixture *fixture = *state;
    struct image *image = NULL;

    layer_make(fixture, LOW, 1000);
    image_make(fixture, ONE, "a.b/c:1", "a.b/c@" LOW, LOW);
    fine(store_find(fixture->store, ONE, &image));
    assert_int_equal(image_bytes(fixture->store, image), 1000 + strlen(config_text));
}

static void the_leases_of_volumes_go_with_their_owners(void **state)
{
    static const char *const ids[] = {"one", "one.0", "one.12", "oneself", "two.3"};
    struct fixture *fixture = *state;
    uint8_t *reply = NULL;
    size_t size = 0;

    image_make(fixture, ONE, "a.b/c:1", "a.b/c@" LOW, NULL);
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        fine(store_lease(fixture->store, ids[i], "a.b/c:1", &reply, &size));
        free(TAKE(reply));
    }
    fine(store_lease_release(fixture->store, "one"));
    assert_int_equal(fixture->store->lease_count, 2);
    fine(store_leases_keep(fixture->store, (char *[]){(char *)"two"}, 1));
    assert_int_equal(fixture->store->lease_count, 1);
    assert_string_equal(fixture->store->leases[0].id, "two.3");
}

static void a_lease_is_of_one_image(void **state)
{
    struct fixture *fixture = *state;
    autofree uint8_t *first = NULL, *again = NULL;
    uint8_t *reply;
    size_t size, size_again;

    image_make(fixture, ONE, "a.b/c:1", "a.b/c@" LOW, NULL);
    image_make(fixture, TWO, "a.b/d:1", "a.b/d@" LOW, NULL);
    fine(store_lease(fixture->store, "x", "a.b/c:1", &first, &size));
    fine(store_lease(fixture->store, "x", ONE, &again, &size_again));
    assert_int_equal(size, size_again);
    assert_memory_equal(first, again, size);
    refused(store_lease(fixture->store, "x", "a.b/d:1", &reply, &size), ERROR_ALREADY_EXISTS, ONE);
    refused(store_lease(fixture->store, "y", "a.b/e", &reply, &size), ERROR_NOT_FOUND, "a.b/e");
    refused(store_lease(fixture->store, "../x", ONE, &reply, &size), ERROR_INVALID_ARGUMENT, "../x");
    refused(store_lease(fixture->store, "", ONE, &reply, &size), ERROR_INVALID_ARGUMENT, "lease id");
}

static void file_damage(struct fixture *fixture, const char *path)
{
    autoclose int fd = openat(fixture->fd, path, O_RDWR | O_CLOEXEC);
    char last;

    assert_true(fd >= 0);
    off_t end = lseek(fd, -1, SEEK_END);
    assert_int_equal(pread(fd, &last, 1, end), 1);
    last ^= 1;
    assert_int_equal(pwrite(fd, &last, 1, end), 1);
}

static bool is_there(struct fixture *fixture, const char *path)
{
    return faccessat(fixture->fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void a_damaged_image_record_costs_that_image_alone(void **state)
{
    struct fixture *fixture = *state;
    autofree char *path = xasprintf("images/%s", digest_hex(ONE));

    image_make(fixture, ONE, "a.b/c:1", "a.b/c@" LOW, NULL);
    image_make(fixture, TWO, "a.b/d:1", "a.b/d@" LOW, NULL);
    store_leave(fixture);
    file_damage(fixture, path);
    store_reopen(fixture);
    assert_string_equal(found(fixture, "a.b/c:1"), "none");
    assert_string_equal(found(fixture, "a.b/d:1"), TWO);
    assert_false(is_there(fixture, path));
}

static void an_image_whose_layer_is_lost_is_no_image(void **state)
{
    struct fixture *fixture = *state;
    autofree char *directory = xasprintf("layers/%s", digest_hex(LOW));

    layer_make(fixture, LOW, 1);
    image_make(fixture, ONE, "a.b/c:1", "a.b/c@" LOW, LOW);
    store_leave(fixture);
    assert_int_equal(unlinkat(fixture->fd, directory, AT_REMOVEDIR), 0);
    store_reopen(fixture);
    assert_string_equal(found(fixture, "a.b/c:1"), "none");
    assert_null(store_layer_find(fixture->store, LOW));
}

static void a_layer_without_its_record_is_put_aside(void **state)
{
    struct fixture *fixture = *state;
    autofree char *record = xasprintf("layer-records/%s", digest_hex(LOW)),
                  *gone = xasprintf("layers/%s.gone", digest_hex(LOW));

    layer_make(fixture, LOW, 1);
    store_leave(fixture);
    file_damage(fixture, record);
    store_reopen(fixture);
    assert_null(store_layer_find(fixture->store, LOW));
    assert_false(is_there(fixture, record));
    assert_true(is_there(fixture, gone));
}

static void a_publish_that_fails_leaves_no_record(void **state)
{
    struct fixture *fixture = *state;
    struct layer layer = {.chain = LOW, .diff_id = LOW};
    autofree char *record = xasprintf("layer-records/%s", digest_hex(LOW));

    refused(store_layer_publish(fixture->store, &layer), ERROR_NOT_FOUND, LOW);
    assert_null(store_layer_find(fixture->store, LOW));
    assert_false(is_there(fixture, record));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_image_is_found_by_each_of_its_names),
        TEST(an_id_cut_short_must_be_of_one_image),
        TEST(a_tag_that_looks_like_an_id_is_found_as_a_tag_first),
        TEST(a_moved_tag_leaves_the_old_image_its_digest),
        TEST(a_second_pull_adds_only_new_names),
        TEST(a_removed_image_is_gone_by_all_its_names),
        TEST(layers_are_needed_as_long_as_anything_has_them),
        TEST(an_images_size_is_its_layers_and_its_configuration),
        TEST(the_leases_of_volumes_go_with_their_owners),
        TEST(a_lease_is_of_one_image),
        TEST(a_damaged_image_record_costs_that_image_alone),
        TEST(an_image_whose_layer_is_lost_is_no_image),
        TEST(a_layer_without_its_record_is_put_aside),
        TEST(a_publish_that_fails_leaves_no_record),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
