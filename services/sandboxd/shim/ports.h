/* The pod's host ports. While it lives they are bound, and nobody listens: a port that a process of the node or another pod
 * has is an error at the start instead of rules that never match, and no other takes it afterwards. */
#pragma once

#include <stddef.h>

#include "common/error.h"

struct shim;

struct ports {
    char **names; /* "tcp 0.0.0.0 80" */
    int *fds;     /* -1: the kernel knows no such protocol, so nobody can have the port */
    size_t count;
};

/* Binds again what a predecessor had bound. A port that another took in the meantime is logged: the pod keeps its rules. */
void ports_adopt(struct shim *shim);

/* All are free for others. */
void ports_release(struct shim *shim);
