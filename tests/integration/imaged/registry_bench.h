/* imaged beside a real registry that has images of every kind: one of each for a test program. */
#pragma once

#include "tests/integration/imaged/bench.h"
#include "tests/support/registry.h"

extern struct bench bench;
extern struct registry_server registry;

/* Of the group. The registry has test/NAME:1: base (two layers), derived (one more), docker, plain and zstd (base as
 * docker's schema 2, with plain and with zstd layers), other (base for s390x), multi and list (indexes of other and
 * base, OCI's and docker's), foreign (an index of other alone). In its directory are NAME.id: the configuration's
 * digest, NAME.digest: the manifest's, NAME.layers: its layers' digests, one a line; l is the OCI layout with base and
 * derived. */
int registry_bench_open(void **state);
int registry_bench_close(void **state);

/* What such a file says; the caller frees it. */
char *noted(const char *file);

/* "127.0.0.1:PORT/REST", and test/REPOSITORY at the digest that NAME.digest says. The caller frees them. */
char *name_of(const char *rest);
char *digested_of(const char *repository, const char *name);

/* The pull succeeds; the caller frees the image's id. */
char *pull_get(const char *name);
/* Removes the image; it is known no more. */
void removed(const char *name);
