/* imaged, with its root on a small file system in memory, and a shelf that it pulls from: one of each for a test
 * program. */
#pragma once

#include "tests/integration/imaged/bench.h"
#include "tests/integration/imaged/shelf.h"
#include "tests/integration/imaged/tarball.h"

enum { LARGE = 3 << 20 };

extern struct bench bench;
extern struct shelf shelf;
extern char *failpoints; /* the directory, see common/failpoint.h */

/* Of the group, and before each test. */
int shelf_bench_open(void **state);
int shelf_bench_close(void **state);
int shelf_bench_forget(void **state);

/* Mounts imaged's root, or with MS_REMOUNT changes how large it may be. */
void disk_resize(const char *options, unsigned long flags);

/* The pull of localhost:PORT/REST is refused, says which image it was, and leaves nothing. */
void pull_refused(const char *rest, enum error_code code, const char *word);
void pull_fine(const char *rest);
/* Removes it, and nothing is left. */
void image_gone(const char *rest);

/* Serves a/b:1 with one layer of `size` random bytes, which don't compress; digest is the layer's. */
void large_image_put(size_t size, char digest[DIGEST_TEXT_SIZE]);
/* A layer with one file; the caller ends the tarball when the layer's bytes were served. */
void small_layer(struct tarball *tarball, struct shelf_layer *ret);
