/* A registry that serves exactly the bytes it was given, and fails as it is told: for images that no tool would make.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "services/imaged/digest.h"
#include "tests/support/web.h"

enum { SHELF_ITEMS_MAX = 1024, SHELF_SEEN_MAX = 1024 };

/* What happens to the next requests whose path contains `path`. */
struct shelf_fault {
    const char *path;   /* NULL: none */
    unsigned times;     /* so often; then all is well */
    int status;         /* instead of the answer, with `header` and `body`; 0: the answer */
    const char *header; /* "Name: value" or NULL */
    const char *body;   /* NULL: none */
    size_t stop_at;     /* the answer breaks off after so many bytes; 0: it doesn't */
    bool no_range;      /* "Range" is not understood, as HTTP allows */
};

struct shelf_item {
    char *path, *type;
    void *data;
    size_t size;
};

struct shelf_seen {
    char *path, *authorization;
    uint64_t offset;
};

struct shelf {
    struct web *web;
    pthread_mutex_t lock;
    struct shelf_item items[SHELF_ITEMS_MAX];
    size_t item_first, item_count; /* those before the first are forgotten */
    struct shelf_fault fault;
    struct shelf_seen seen[SHELF_SEEN_MAX];
    size_t seen_count;
};

/* One layer, as it stands in a manifest. shelf_image takes what is here for true, whatever the bytes are. */
struct shelf_layer {
    const void *data;
    size_t size;
    size_t stated_size;             /* in the manifest */
    char digest[DIGEST_TEXT_SIZE];  /* in the manifest, and where the bytes are served */
    char diff_id[DIGEST_TEXT_SIZE]; /* in the configuration */
    const char *type;               /* NULL: OCI's with gzip */
};

void shelf_open(struct shelf *shelf);
void shelf_close(struct shelf *shelf);
/* Forgets items, fault and what was asked for. */
void shelf_clear(struct shelf *shelf);

/* "localhost:PORT/REST"; the caller frees it. */
char *shelf_name(const struct shelf *shelf, const char *rest);

/* Serves a copy of the bytes for paths that end in `path`, as "manifests/1". */
void shelf_put(struct shelf *shelf, const char *path, const char *type, const void *data, size_t size);
void shelf_put_text(struct shelf *shelf, const char *path, const char *type, const char *text);

/* A layer of the tar's bytes, all of it true. data stays the caller's. */
struct shelf_layer shelf_layer_plain(const void *tar, size_t size);

/* Puts the layers, a configuration for this machine's platform, and the manifest, as manifests/TAG and by its digest.
 */
void shelf_image(struct shelf *shelf, const char *tag, const struct shelf_layer *layers, size_t count,
                 char digest[DIGEST_TEXT_SIZE]);

void shelf_fault_set(struct shelf *shelf, struct shelf_fault fault);
/* How many requests had `text` in their path, and where the last of them began. */
size_t shelf_asked(struct shelf *shelf, const char *text, uint64_t *ret_offset);
/* Has any request's Authorization the text? */
bool shelf_was_told(struct shelf *shelf, const char *text);
