/* How requests find their bytes, and how an image's documents are written around layers of any kind. */
#include "tests/integration/imaged/shelf.h"

#include <stdio.h>
#include <string.h>

#include "common/memory.h"
#include "services/imaged/manifest.h"
#include "tests/integration/imaged/bench.h"

static const char manifest_type[] = "application/vnd.oci.image.manifest.v1+json";

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);

    return length >= tail && strcmp(text + length - tail, end) == 0;
}

static const struct shelf_item *item_find(const struct shelf *shelf, const char *path)
{
    for (size_t i = shelf->item_count; i > shelf->item_first; i--) { /* the last that was put counts */
        if (ends_with(path, shelf->items[i - 1].path))
            return &shelf->items[i - 1];
    }
    return NULL;
}

static void note(struct shelf *shelf, const struct web_request *request)
{
    if (shelf->seen_count < SHELF_SEEN_MAX)
        shelf->seen[shelf->seen_count++] = (struct shelf_seen){
            .path = xstrdup(request->path),
            .authorization = xstrdup(request->authorization),
            .offset = request->offset,
        };
}

static void item_answer(const struct shelf_item *item, uint64_t offset, size_t stop_at, struct web_answer *answer)
{
    bool is_part = offset > 0 && offset < item->size;

    *answer =
        (struct web_answer){.status = is_part ? 206 : 200, .type = item->type, .body = item->data, .size = item->size};
    if (offset > 0 && !is_part) {
        *answer = (struct web_answer){.status = 416};
    } else if (is_part) {
        answer->body = (const char *)item->data + offset;
        answer->size = item->size - offset;
    }
    if (stop_at > 0 && stop_at < answer->size)
        answer->cut = answer->size - stop_at;
}

static void answer_locked(struct shelf *shelf, const struct web_request *request, struct web_answer *answer)
{
    const struct shelf_item *item = item_find(shelf, request->path);
    struct shelf_fault fault = {.path = NULL};

    note(shelf, request);
    if (shelf->fault.path && strstr(request->path, shelf->fault.path) && shelf->fault.times > 0) {
        shelf->fault.times--;
        fault = shelf->fault;
    }
    if (fault.status)
        *answer = (struct web_answer){.status = fault.status,
                                      .header = fault.header,
                                      .body = fault.body,
                                      .size = fault.body ? strlen(fault.body) : 0};
    else if (item)
        item_answer(item, fault.no_range ? 0 : request->offset, fault.stop_at, answer);
    else
        *answer = (struct web_answer){.status = 404};
}

static void shelf_answer(void *argument, const struct web_request *request, struct web_answer *answer)
{
    struct shelf *shelf = argument;

    pthread_mutex_lock(&shelf->lock);
    answer_locked(shelf, request, answer);
    pthread_mutex_unlock(&shelf->lock);
}

void shelf_open(struct shelf *shelf)
{
    *shelf = (struct shelf){.web = NULL};
    pthread_mutex_init(&shelf->lock, NULL);
    fine(web_open(shelf_answer, shelf, &shelf->web));
}

/* Bytes stay until the end: the web server may be sending them. */
void shelf_clear(struct shelf *shelf)
{
    pthread_mutex_lock(&shelf->lock);
    for (size_t i = 0; i < shelf->seen_count; i++) {
        free(shelf->seen[i].path);
        free(shelf->seen[i].authorization);
    }
    shelf->item_first = shelf->item_count;
    shelf->seen_count = 0;
    shelf->fault = (struct shelf_fault){.path = NULL};
    pthread_mutex_unlock(&shelf->lock);
}

void shelf_close(struct shelf *shelf)
{
    web_close(shelf->web);
    shelf_clear(shelf);
    for (size_t i = 0; i < shelf->item_count; i++) {
        free(shelf->items[i].path);
        free(shelf->items[i].type);
        free(shelf->items[i].data);
    }
    pthread_mutex_destroy(&shelf->lock);
}

char *shelf_name(const struct shelf *shelf, const char *rest)
{
    return xasprintf("localhost:%u/%s", web_port(shelf->web), rest);
}

void shelf_put(struct shelf *shelf, const char *path, const char *type, const void *data, size_t size)
{
    pthread_mutex_lock(&shelf->lock);
    assert_true(shelf->item_count < SHELF_ITEMS_MAX);
    shelf->items[shelf->item_count++] =
        (struct shelf_item){.path = xstrdup(path), .type = xstrdup(type), .data = xmemdup(data, size), .size = size};
    pthread_mutex_unlock(&shelf->lock);
}

void shelf_put_text(struct shelf *shelf, const char *path, const char *type, const char *text)
{
    shelf_put(shelf, path, type, text, strlen(text));
}

struct shelf_layer shelf_layer_plain(const void *tar, size_t size)
{
    struct shelf_layer layer = {
        .data = tar,
        .size = size,
        .stated_size = size,
        .type = "application/vnd.oci.image.layer.v1.tar",
    };

    digest_of(tar, size, layer.digest);
    strcpy(layer.diff_id, layer.digest);
    return layer;
}

static void blob_put(struct shelf *shelf, const char *digest, const void *data, size_t size)
{
    autofree char *path = xasprintf("blobs/%s", digest);

    shelf_put(shelf, path, "application/octet-stream", data, size);
}

/* The configuration's text; the caller frees it. */
static char *config_build(const struct shelf_layer *layers, size_t count)
{
    char *ids = xstrdup("");

    for (size_t i = 0; i < count; i++) {
        autofree char *before = ids;
        ids = xasprintf("%s%s\"%s\"", before, i ? ", " : "", layers[i].diff_id);
    }
    autofree char *all = ids;
    return xasprintf("{\"os\": \"%s\", \"architecture\": \"%s\", \"config\": {}, \"rootfs\": {\"type\": \"layers\", "
                     "\"diff_ids\": [%s]}}",
                     platform_here.os, platform_here.architecture, all);
}

static char *manifest_build(const char *config_digest, size_t config_size, const struct shelf_layer *layers,
                            size_t count)
{
    char *list = xstrdup("");

    for (size_t i = 0; i < count; i++) {
        const char *type = layers[i].type ? layers[i].type : "application/vnd.oci.image.layer.v1.tar+gzip";
        autofree char *before = list;
        list = xasprintf("%s%s{\"mediaType\": \"%s\", \"digest\": \"%s\", \"size\": %zu}", before, i ? ", " : "", type,
                         layers[i].digest, layers[i].stated_size);
    }
    autofree char *all = list;
    return xasprintf(
        "{\"schemaVersion\": 2, \"mediaType\": \"%s\", \"config\": {\"mediaType\": "
        "\"application/vnd.oci.image.config.v1+json\", \"digest\": \"%s\", \"size\": %zu}, \"layers\": [%s]}",
        manifest_type, config_digest, config_size, all);
}

void shelf_image(struct shelf *shelf, const char *tag, const struct shelf_layer *layers, size_t count,
                 char digest[DIGEST_TEXT_SIZE])
{
    autofree char *config = config_build(layers, count), *by_tag = xasprintf("manifests/%s", tag);
    char config_digest[DIGEST_TEXT_SIZE];

    digest_of(config, strlen(config), config_digest);
    autofree char *manifest = manifest_build(config_digest, strlen(config), layers, count);
    digest_of(manifest, strlen(manifest), digest);
    autofree char *by_digest = xasprintf("manifests/%s", digest);
    for (size_t i = 0; i < count; i++)
        blob_put(shelf, layers[i].digest, layers[i].data, layers[i].size);
    blob_put(shelf, config_digest, config, strlen(config));
    shelf_put_text(shelf, by_tag, manifest_type, manifest);
    shelf_put_text(shelf, by_digest, manifest_type, manifest);
}

void shelf_fault_set(struct shelf *shelf, struct shelf_fault fault)
{
    pthread_mutex_lock(&shelf->lock);
    shelf->fault = fault;
    pthread_mutex_unlock(&shelf->lock);
}

size_t shelf_asked(struct shelf *shelf, const char *text, uint64_t *ret_offset)
{
    size_t count = 0;

    pthread_mutex_lock(&shelf->lock);
    for (size_t i = 0; i < shelf->seen_count; i++) {
        if (!strstr(shelf->seen[i].path, text))
            continue;
        count++;
        if (ret_offset)
            *ret_offset = shelf->seen[i].offset;
    }
    pthread_mutex_unlock(&shelf->lock);
    return count;
}

bool shelf_was_told(struct shelf *shelf, const char *text)
{
    bool was = false;

    pthread_mutex_lock(&shelf->lock);
    for (size_t i = 0; i < shelf->seen_count; i++)
        was |= strstr(shelf->seen[i].authorization, text) != NULL;
    pthread_mutex_unlock(&shelf->lock);
    return was;
}
