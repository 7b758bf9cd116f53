/* Which process answers a method of CRI, in which of CRI's versions. */
#pragma once

#include <stddef.h>

#include "common/error.h"

enum route_target {
    ROUTE_LOCAL, /* criapi itself */
    ROUTE_SANDBOXD,
    ROUTE_IMAGED,
    ROUTE_EVENTS,        /* criapi, from its subscription to sandboxd */
    ROUTE_UNIMPLEMENTED, /* a method of CRI that nobody here answers yet */
};

/* The packages that are served, the older one first. */
enum api_version {
    API_V1ALPHA2, /* runtime.v1alpha2, of Kubernetes 1.10 to 1.25 */
    API_V1,       /* runtime.v1 */
};

struct route {
    const char *path; /* "Service/Method", below "/runtime.v1." */
    enum route_target target;
    enum api_version since;
    const char *list; /* of a list that is streamed: the unary method with the same request and the same items, else NULL */
};

/* Finds the route of a gRPC path ("/runtime.v1.RuntimeService/Version", not NUL-terminated), and the version it is asked
 * in. UNIMPLEMENTED, naming what is missing: no such service, no such method in that version, or a method that nobody
 * answers. A route once found is constant. */
struct error *route_find(const char *path, size_t size, const struct route **ret, enum api_version *ret_version)
    __attribute__((warn_unused_result));

/* "Version" */
const char *route_method(const struct route *route);

/* The method that the daemon is asked for: the unary one of a list that is streamed. */
const char *route_forwarded(const struct route *route);

/* All routes, sorted by path; for tests. */
const struct route *route_table(size_t *ret_count);
