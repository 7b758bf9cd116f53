/* How images and layers are kept in records, and which belong together. */
#include "services/imaged/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "common/memory.h"
#include "common/process_id.h"
#include "common/record.h"
#include "services/imaged/reference.h"

enum { IMAGE_VERSION = 1, LAYER_VERSION = 1 };

/* A layer's record as it stands on disk. */
struct layer_record {
    struct layer layer;
    char boot_id[BOOT_ID_SIZE + 3];
};

static void json_put(json_t **json)
{
    json_decref(*json);
}
#define autojson __attribute__((cleanup(json_put))) json_t *

void text_list_add(struct text_list *list, const char *text)
{
    list->list = xreallocarray(list->list, list->count + 1, sizeof(char *));
    list->list[list->count++] = xstrdup(text);
}

bool text_list_has(const struct text_list *list, const char *text)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->list[i], text) == 0)
            return true;
    }
    return false;
}

bool text_list_drop(struct text_list *list, const char *text)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->list[i], text) != 0)
            continue;
        free(list->list[i]);
        memmove(&list->list[i], &list->list[i + 1], (list->count - i - 1) * sizeof(char *));
        list->count--;
        return true;
    }
    return false;
}

void text_list_fini(struct text_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->list[i]);
    free(list->list);
    *list = (struct text_list){0};
}

struct image *image_new(const char *id)
{
    struct image *image = xcalloc(1, sizeof(*image));

    snprintf(image->id, sizeof(image->id), "%s", id);
    return image;
}

void image_free(struct image *image)
{
    if (!image)
        return;
    text_list_fini(&image->tags);
    text_list_fini(&image->digests);
    text_list_fini(&image->chains);
    free(image->config_text);
    image_config_free(image->config);
    free(image);
}

static json_t *list_build(const struct text_list *list)
{
    json_t *array = json_array();

    for (size_t i = 0; i < list->count; i++)
        json_array_append_new(array, json_string(list->list[i]));
    return array;
}

static void list_read(json_t *array, struct text_list *ret)
{
    json_t *value;
    size_t i;

    json_array_foreach(array, i, value) {
        if (json_is_string(value))
            text_list_add(ret, json_string_value(value));
    }
}

static struct error *image_save(const struct store *store, const struct image *image)
{
    autojson root = json_pack("{s:s, s:s, s:o, s:o, s:o}", "id", image->id, "config", image->config_text, "tags",
                              list_build(&image->tags), "digests", list_build(&image->digests), "layers",
                              list_build(&image->chains));
    autofree char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;

    if (!text)
        return error_new(ERROR_INTERNAL, "image %s can't be written as JSON", image->id);
    return record_save(store->images_fd, digest_hex(image->id), "image", IMAGE_VERSION, text, strlen(text));
}

static struct error *image_parse(const char *text, size_t size, struct image **ret)
{
    autojson root = json_loadb(text, size, 0, NULL);
    const char *id = json_string_value(json_object_get(root, "id"));
    const char *config = json_string_value(json_object_get(root, "config"));

    if (!id || !digest_is_valid(id) || !config)
        return error_new(ERROR_DATA_LOSS, "an image record without id or configuration");
    autoptr(image) image = image_new(id);
    image->config_text = xstrdup(config);
    list_read(json_object_get(root, "tags"), &image->tags);
    list_read(json_object_get(root, "digests"), &image->digests);
    list_read(json_object_get(root, "layers"), &image->chains);
    TRY(image_config_parse(config, strlen(config), &image->config));
    *ret = TAKE(image);
    return NULL;
}

static void image_add(struct store *store, struct image *image)
{
    store->images = xreallocarray(store->images, store->image_count + 1, sizeof(store->images[0]));
    store->images[store->image_count++] = image;
}

static struct error *image_load(struct store *store, const char *name)
{
    autofree void *data = NULL;
    struct image *image = NULL;
    uint32_t version;
    size_t size;

    TRY(record_load(store->images_fd, name, "image", IMAGE_VERSION, &version, &data, &size));
    TRY(image_parse(data, size, &image));
    for (size_t i = 0; i < image->chains.count; i++) {
        if (store_layer_find(store, image->chains.list[i]))
            continue;
        struct error *failure = error_new(ERROR_DATA_LOSS, "image %s has lost layer %s", image->id, image->chains.list[i]);
        image_free(image);
        return failure;
    }
    image_add(store, image);
    return NULL;
}

struct error *layer_save(const struct store *store, const struct layer *layer)
{
    struct layer_record record = {.layer = *layer};

    snprintf(record.boot_id, sizeof(record.boot_id), "%s", boot_id());
    return record_save(store->records_fd, digest_hex(layer->chain), "layer", LAYER_VERSION, &record, sizeof(record));
}

static void layer_add(struct store *store, const struct layer *layer)
{
    store->layers = xreallocarray(store->layers, store->layer_count + 1, sizeof(store->layers[0]));
    store->layers[store->layer_count++] = *layer;
}

static struct error *layer_load(struct store *store, const char *name)
{
    const struct layer_record *record;
    autofree void *data = NULL;
    uint32_t version;
    size_t size;

    TRY(record_load(store->records_fd, name, "layer", LAYER_VERSION, &version, &data, &size));
    record = data;
    if (size != sizeof(*record) || !digest_is_valid(record->layer.chain) || strcmp(digest_hex(record->layer.chain), name) != 0)
        return error_new(ERROR_DATA_LOSS, "layer record %s is of another form", name);
    if (!record->layer.is_synced && strcmp(record->boot_id, boot_id()) != 0)
        return error_new(ERROR_DATA_LOSS, "layer %s was not yet on the disk when the machine stopped", name);
    if (faccessat(store->layers_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
        return error_errno(errno, "directory of layer %s", name);
    layer_add(store, &record->layer);
    return NULL;
}

void store_names_each(int directory, void (*each)(void *argument, const char *name), void *argument)
{
    struct text_list names = {0};
    int again = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = again < 0 ? NULL : fdopendir(again);

    if (!stream)
        return;
    for (struct dirent *entry; (entry = readdir(stream));) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            text_list_add(&names, entry->d_name);
    }
    closedir(stream);
    for (size_t i = 0; i < names.count; i++)
        each(argument, names.list[i]);
    text_list_fini(&names);
}

/* A record of a newer version stays untouched; one that can't be used goes, for what it names will be pulled again. */
static void record_judge(int directory, const char *name, struct error *failure)
{
    if (!failure)
        return;
    log_warn("record not used", "name=%s error=%s", log_quote(name), log_quote(failure->text));
    if (failure->code != ERROR_FAILED_PRECONDITION)
        error_free(record_remove(directory, name));
    error_free(failure);
}

static void image_load_each(void *argument, const char *name)
{
    struct store *store = argument;

    record_judge(store->images_fd, name, name[0] == '.' ? error_new(ERROR_DATA_LOSS, "half written") : image_load(store, name));
}

static void layer_load_each(void *argument, const char *name)
{
    struct store *store = argument;

    record_judge(store->records_fd, name, name[0] == '.' ? error_new(ERROR_DATA_LOSS, "half written") : layer_load(store, name));
}

/* What has no record is no layer; the sweeper takes it away. */
static void directory_judge_each(void *argument, const char *name)
{
    struct store *store = argument;
    autofree char *chain = xasprintf("sha256:%s", name), *gone = xasprintf("%s.gone", name);

    if (digest_is_valid(chain) && !store_layer_find(store, chain) &&
        renameat(store->layers_fd, name, store->layers_fd, gone) < 0)
        log_warn("layer directory can't be put aside", "name=%s errno=%d", name, errno);
}

static struct error *directory_open(int root_fd, const char *name, int *ret_fd)
{
    if (mkdirat(root_fd, name, 0711) < 0 && errno != EEXIST)
        return error_errno(errno, "make %s", name);
    *ret_fd = openat(root_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return *ret_fd < 0 ? error_errno(errno, "open %s", name) : NULL;
}

struct error *store_open(struct store *store, const char *directory, int root_fd)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&store->lock, NULL);
    pthread_cond_init(&store->changed, &attributes);
    store->directory = xstrdup(directory);
    TRY(directory_open(root_fd, "images", &store->images_fd));
    TRY(directory_open(root_fd, "layers", &store->layers_fd));
    TRY(directory_open(root_fd, "layer-records", &store->records_fd));
    TRY(directory_open(root_fd, "leases", &store->leases_fd));
    TRY(directory_open(root_fd, "blobs", &store->blobs_fd));
    store_names_each(store->records_fd, layer_load_each, store);
    store_names_each(store->images_fd, image_load_each, store);
    store_names_each(store->layers_fd, directory_judge_each, store);
    store->is_sweep_wanted = true;
    return store_leases_load(store);
}

struct layer *store_layer_find(const struct store *store, const char *chain)
{
    for (size_t i = 0; i < store->layer_count; i++) {
        if (strcmp(store->layers[i].chain, chain) == 0)
            return &store->layers[i];
    }
    return NULL;
}

bool store_layer_is_needed(const struct store *store, const char *chain)
{
    for (size_t i = 0; i < store->image_count; i++) {
        if (text_list_has(&store->images[i]->chains, chain))
            return true;
    }
    for (size_t i = 0; i < store->lease_count; i++) {
        if (text_list_has(&store->leases[i].chains, chain))
            return true;
    }
    return text_list_has(&store->pins, chain) || text_list_has(&store->claims, chain);
}

static struct image *find_by_id(struct store *store, const char *name)
{
    const char *hex = strncmp(name, "sha256:", 7) == 0 ? name + 7 : name;
    struct image *found = NULL;

    for (size_t i = 0; i < store->image_count; i++) {
        if (strncmp(digest_hex(store->images[i]->id), hex, strlen(hex)) != 0)
            continue;
        if (found)
            return NULL; /* two begin so */
        found = store->images[i];
    }
    return found;
}

static struct image *find_by_reference(struct store *store, const char *text)
{
    for (size_t i = 0; text && i < store->image_count; i++) {
        if (text_list_has(&store->images[i]->tags, text) || text_list_has(&store->images[i]->digests, text))
            return store->images[i];
    }
    return NULL;
}

struct error *store_find(struct store *store, const char *name, struct image **ret)
{
    autoptr(reference) reference = NULL;

    *ret = NULL;
    if (digest_is_valid(name)) {
        *ret = find_by_id(store, name);
        return NULL;
    }
    struct error *failure = reference_parse(name, &reference);
    if (!failure) {
        autofree char *text = reference_format(reference);
        *ret = find_by_reference(store, text);
    }
    if (!*ret && reference_is_id(name)) {
        *ret = find_by_id(store, name);
        error_free(failure);
        return NULL;
    }
    return failure;
}

uint64_t image_bytes(const struct store *store, const struct image *image)
{
    uint64_t bytes = strlen(image->config_text);

    for (size_t i = 0; i < image->chains.count; i++) {
        const struct layer *layer = store_layer_find(store, image->chains.list[i]);
        bytes += layer ? layer->bytes : 0;
    }
    return bytes;
}

static void list_merge(struct text_list *into, const struct text_list *from)
{
    for (size_t i = 0; i < from->count; i++) {
        if (!text_list_has(into, from->list[i]))
            text_list_add(into, from->list[i]);
    }
}

/* A tag names one image. The new image's record comes first: a tag may be double for a moment, never lost. */
static struct error *tags_take(struct store *store, const struct image *image)
{
    for (size_t i = 0; i < store->image_count; i++) {
        struct image *other = store->images[i];
        bool is_changed = false;
        for (size_t j = 0; other != image && j < image->tags.count; j++)
            is_changed |= text_list_drop(&other->tags, image->tags.list[j]);
        if (is_changed)
            TRY(image_save(store, other));
    }
    return NULL;
}

static struct error *image_put(struct store *store, struct image *fresh)
{
    autoptr(image) image = fresh;
    struct image *known = find_by_id(store, image->id);

    if (known) {
        list_merge(&known->tags, &image->tags);
        list_merge(&known->digests, &image->digests);
        TRY(image_save(store, known));
        return tags_take(store, known);
    }
    TRY(image_save(store, image));
    image_add(store, image);
    return tags_take(store, TAKE(image));
}

struct error *store_image_put(struct store *store, struct image *image)
{
    pthread_mutex_lock(&store->lock);
    struct error *failure = image_put(store, image);
    pthread_mutex_unlock(&store->lock);
    return failure;
}

void store_sweep_want(struct store *store)
{
    store->is_sweep_wanted = true;
    pthread_cond_broadcast(&store->changed);
}

static struct error *image_remove(struct store *store, const char *name)
{
    struct image *image = NULL;

    TRY(store_find(store, name, &image));
    if (!image)
        return NULL;
    TRY(record_remove(store->images_fd, digest_hex(image->id)));
    for (size_t i = 0; i < store->image_count; i++) {
        if (store->images[i] == image)
            store->images[i] = store->images[--store->image_count];
    }
    log_info("image removed", "image=%s", image->id);
    image_free(image);
    store_sweep_want(store);
    return NULL;
}

struct error *store_image_remove(struct store *store, const char *name)
{
    pthread_mutex_lock(&store->lock);
    struct error *failure = image_remove(store, name);
    pthread_mutex_unlock(&store->lock);
    return failure;
}

void store_pin(struct store *store, const struct text_list *chains)
{
    pthread_mutex_lock(&store->lock);
    for (size_t i = 0; i < chains->count; i++)
        text_list_add(&store->pins, chains->list[i]);
    pthread_mutex_unlock(&store->lock);
}

void store_unpin(struct store *store, const struct text_list *chains)
{
    pthread_mutex_lock(&store->lock);
    for (size_t i = 0; i < chains->count; i++)
        text_list_drop(&store->pins, chains->list[i]);
    store_sweep_want(store);
    pthread_mutex_unlock(&store->lock);
}

bool store_layer_claim(struct store *store, const char *chain)
{
    pthread_mutex_lock(&store->lock);
    while (text_list_has(&store->claims, chain))
        pthread_cond_wait(&store->changed, &store->lock);
    bool is_there = store_layer_find(store, chain) != NULL;
    if (!is_there)
        text_list_add(&store->claims, chain);
    pthread_mutex_unlock(&store->lock);
    return is_there;
}

void store_layer_release(struct store *store, const char *chain)
{
    pthread_mutex_lock(&store->lock);
    text_list_drop(&store->claims, chain);
    pthread_cond_broadcast(&store->changed);
    pthread_mutex_unlock(&store->lock);
}

char *store_layer_making(const char *chain)
{
    return xasprintf("%s.new", digest_hex(chain));
}

char *store_blob_name(const char *chain)
{
    return xasprintf("%s.blob", digest_hex(chain));
}

static struct error *layer_publish(struct store *store, const struct layer *layer)
{
    autofree char *making = store_layer_making(layer->chain);

    TRY(layer_save(store, layer)); /* a record without a directory is no layer, nor a directory without a record */
    if (renameat(store->layers_fd, making, store->layers_fd, digest_hex(layer->chain)) < 0) {
        struct error *failure = error_errno(errno, "publish layer %s", layer->chain);
        error_free(record_remove(store->records_fd, digest_hex(layer->chain)));
        return failure;
    }
    layer_add(store, layer);
    store_sweep_want(store); /* which syncs it */
    return NULL;
}

struct error *store_layer_publish(struct store *store, const struct layer *layer)
{
    pthread_mutex_lock(&store->lock);
    struct error *failure = layer_publish(store, layer);
    pthread_mutex_unlock(&store->lock);
    return failure;
}
