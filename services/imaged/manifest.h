/* Manifests and indexes of OCI and Docker schema 2, and which of an index is for this machine. Pure. */
#pragma once

#include <stdint.h>

#include "common/error.h"

enum { MANIFEST_SIZE_MAX = 4 << 20, MANIFEST_LAYERS_MAX = 500 };

struct descriptor {
    char *digest; /* valid */
    uint64_t size;
};

struct manifest {
    struct descriptor config;
    struct descriptor *layers; /* the lowest first */
    size_t layer_count;
};

void manifest_free(struct manifest *manifest);
DEFINE_AUTOPTR(manifest)

struct platform {
    const char *os, *architecture, *variant; /* variant may be "" */
};

/* What this program was built for. */
extern const struct platform platform_here;

/* content_type helps where the text does not say what it is. Either *ret_manifest is set (the caller frees it), or *ret_chosen: the digest
 * of the index's manifest for the platform. NOT_FOUND: the index has none, and the text names those it has. INVALID_ARGUMENT: no such
 * document. UNIMPLEMENTED: schema 1, or a layer of a type that can't be unpacked. */
struct error *manifest_parse(const char *text, size_t size, const char *content_type, const struct platform *platform,
                             struct manifest **ret_manifest, char **ret_chosen) __attribute__((warn_unused_result));
