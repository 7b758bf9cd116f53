/* Failpoints in processes that inherit the test's environment. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/memory.h"

enum { FAILPOINT_LIMIT_S = 60 };

/* A failpoint of any process of the node: see failpoints_open(). */
static inline char *failpoint_path(const char *name)
{
    return xasprintf("%s/%s", getenv("BULKHEAD_FAILPOINT_DIR"), name);
}

static inline void failpoint_set(const char *name, const char *order)
{
    autofree char *path = failpoint_path(name);
    autofree char *fresh = xasprintf("%s.new", path);
    FILE *file = fopen(fresh, "w");

    assert_non_null(file);
    fputs(order, file);
    fclose(file);
    chmod(fresh, 0666);
    assert_int_equal(rename(fresh, path), 0);
}

static inline void failpoint_wait(const char *name)
{
    autofree char *path = failpoint_path(name);
    autofree char *hit = xasprintf("%s.hit", path);
    int64_t until_ns = clock_boottime_ns() + FAILPOINT_LIMIT_S * INT64_C(1000000000);

    while (unlink(hit) < 0) {
        if (clock_boottime_ns() > until_ns)
            fail_msg("%s was not reached", name);
        usleep(2000);
    }
}

/* Before the fixture: its processes inherit the directory's name. */
static inline void failpoints_open(void)
{
    static char directory[] = "/tmp/bhpoints.XXXXXX";

    assert_non_null(mkdtemp(directory));
    chmod(directory, 0777);
    setenv("BULKHEAD_FAILPOINT_DIR", directory, 1);
}

static inline void failpoints_close(void)
{
    autofree char *command = xasprintf("rm -rf %s", getenv("BULKHEAD_FAILPOINT_DIR"));

    assert_int_equal(system(command), 0);
}
