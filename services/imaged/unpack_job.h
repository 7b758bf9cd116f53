/* One short piece of work of unpack, from its start to its report. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

enum { UNPACK_JOB_FDS_MAX = 2 };

struct keeper_client;

/* The descriptors that say which work it is, see unpack/report.h; they stay the caller's. */
struct unpack_job {
    const char *names[UNPACK_JOB_FDS_MAX];
    int fds[UNPACK_JOB_FDS_MAX];
    size_t count;
};

/* Runs it in the layer directory of that name, again if it dies: the work must bear it. */
struct error *unpack_job_run(struct keeper_client *keeper, uint64_t generation, const char *directory,
                             const struct unpack_job *job) __attribute__((warn_unused_result));
