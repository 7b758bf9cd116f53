/* How imaged's bench and a shelf are set up together, and what most of their tests do. */
#include "tests/integration/imaged/shelf_bench.h"

#include <stdio.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "common/memory.h"

struct bench bench;
struct shelf shelf;
char *failpoints;

void disk_resize(const char *options, unsigned long flags)
{
    if (mount("none", bench.root, "tmpfs", flags, options) < 0)
        fail_msg("mount %s: %m", options);
}

int shelf_bench_open(void **state)
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

int shelf_bench_close(void **state)
{
    (void)state;
    if (shelf.web)
        shelf_close(&shelf);
    return bench_stop(&bench);
}

int shelf_bench_forget(void **state)
{
    (void)state;
    shelf_clear(&shelf);
    return 0;
}

void pull_refused(const char *rest, enum error_code code, const char *word)
{
    autofree char *name = shelf_name(&shelf, rest);
    struct error *failure = pull(&bench, name, NULL);

    if (failure && !strstr(failure->text, rest))
        fail_msg("the image is not named: %s", failure->text);
    refused(failure, code, word);
    assert_false(is_known(&bench, name));
    nothing_is_left(&bench);
}

void pull_fine(const char *rest)
{
    autofree char *name = shelf_name(&shelf, rest);

    fine(pull(&bench, name, NULL));
    assert_true(is_known(&bench, name));
}

void image_gone(const char *rest)
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

void large_image_put(size_t size, char digest[DIGEST_TEXT_SIZE])
{
    struct tarball tarball;
    char unused[DIGEST_TEXT_SIZE];

    tarball_random(&tarball, size);
    struct shelf_layer layer = shelf_layer_plain(tarball.data, tarball.size);
    shelf_image(&shelf, "1", &layer, 1, unused);
    strcpy(digest, layer.digest);
    tarball_fini(&tarball);
}

void small_layer(struct tarball *tarball, struct shelf_layer *ret)
{
    tarball_init(tarball, 65536);
    tarball_file(tarball, "etc/motd", "hello", 5);
    tarball_finish(tarball);
    *ret = shelf_layer_plain(tarball->data, tarball->size);
}
