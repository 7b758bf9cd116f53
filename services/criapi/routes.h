/* Which process answers a method of CRI. */
#pragma once

#include <stddef.h>

#include "common/error.h"

enum route_target {
    ROUTE_LOCAL, /* criapi itself */
    ROUTE_SANDBOXD,
    ROUTE_IMAGED,
    ROUTE_UNIMPLEMENTED, /* a method of CRI that nobody here answers yet */
};

struct route {
    const char *path; /* "Service/Method", below "/runtime.v1." */
    enum route_target target;
};

/* Finds the route of a gRPC path ("/runtime.v1.RuntimeService/Version", not NUL-terminated). UNIMPLEMENTED, naming what
 * is missing: no such service, no such method, or a method that nobody answers. A route once found is constant. */
struct error *route_find(const char *path, size_t size, const struct route **ret) __attribute__((warn_unused_result));

/* "Version" */
const char *route_method(const struct route *route);

/* All routes, sorted by path; for tests. */
const struct route *route_table(size_t *ret_count);
