/* Layers in the making: directories that they leave to those below, deaths at every step, and a disk that is full. */
#include "tests/integration/imaged/shelf_bench.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mount.h>

#include "common/memory.h"

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

/* What was put aside under a layer's name is not yet emptied (unpack died) when the same layer is to go again. */
static void a_layer_goes_and_comes_again_while_its_last_removal_is_not_finished(void **state)
{
    autofree char *halve = xasprintf("cd %s/imaged/layers && for d in *; do mkdir $d.gone && touch $d.gone/file; done", bench.root);
    char low_digest[DIGEST_TEXT_SIZE];

    (void)state;
    image_of_two_put("1", low_digest);
    pull_fine("a/b:1");
    assert_int_equal(system(halve), 0);
    image_gone("a/b:1");
    pull_fine("a/b:1");
    image_gone("a/b:1");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, shelf_bench_forget, NULL)
    const struct CMUnitTest tests[] = {
        TEST(a_layer_waits_for_those_below_that_say_what_its_directories_are),
        TEST(a_layer_goes_and_comes_again_while_its_last_removal_is_not_finished),
        TEST(unpack_killed_while_it_mends_begins_again),
        TEST(imaged_killed_at_each_of_its_failpoints_goes_on),
        TEST(a_disk_that_is_full_is_told_and_heals),
        TEST(a_layer_that_swells_fills_the_disk_and_is_removed),
        TEST(a_disk_without_inodes_is_told_and_heals),
        TEST(an_image_is_looked_at_and_removed_on_a_full_disk),
    };

    setvbuf(stdout, NULL, _IOLBF, 0);
    return cmocka_run_group_tests(tests, shelf_bench_open, shelf_bench_close);
}
