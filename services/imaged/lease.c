/* How a container's hold on its images' layers is kept over removals of the images: the lease of its id for its root file system,
 * ID.N for a volume. */
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/memory.h"
#include "common/record.h"
#include "proto/bulkhead.pb-c.h"
#include "services/imaged/store.h"

enum { LEASE_VERSION = 1, LEASE_ID_MAX = 128 };

static void lease_fini(struct lease *lease)
{
    free(lease->id);
    text_list_fini(&lease->chains);
    free(lease->reply);
}

static struct error *lease_id_check(const char *id)
{
    size_t length = strlen(id);

    if (length == 0 || length > LEASE_ID_MAX || id[0] == '.' ||
        strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != length)
        return error_new(ERROR_INVALID_ARGUMENT, "lease id \"%.150s\" is not 1 to %d of letters, digits, . _ -", id, LEASE_ID_MAX);
    return NULL;
}

static struct lease *lease_find(struct store *store, const char *id)
{
    for (size_t i = 0; i < store->lease_count; i++) {
        if (strcmp(store->leases[i].id, id) == 0)
            return &store->leases[i];
    }
    return NULL;
}

/* A layer's directory is named by its chain. */
static void chains_read(const Bulkhead__LeaseImageReply *reply, struct text_list *ret)
{
    for (size_t i = 0; i < reply->n_layer_paths; i++) {
        const char *slash = strrchr(reply->layer_paths[i], '/');
        autofree char *chain = xasprintf("sha256:%s", slash ? slash + 1 : reply->layer_paths[i]);
        text_list_add(ret, chain);
    }
}

/* Takes the bytes. */
static struct error *lease_add(struct store *store, const char *id, uint8_t *data, size_t size)
{
    autofree uint8_t *owned = data;
    Bulkhead__LeaseImageReply *reply = bulkhead__lease_image_reply__unpack(NULL, size, data);

    if (!reply)
        return error_new(ERROR_DATA_LOSS, "lease %s is not readable", id);
    store->leases = xreallocarray(store->leases, store->lease_count + 1, sizeof(store->leases[0]));
    struct lease *lease = &store->leases[store->lease_count++];
    *lease = (struct lease){.id = xstrdup(id), .reply = TAKE(owned), .reply_size = size};
    chains_read(reply, &lease->chains);
    bulkhead__lease_image_reply__free_unpacked(reply, NULL);
    return NULL;
}

static void lease_load_each(void *argument, const char *name)
{
    struct store *store = argument;
    void *data = NULL;
    uint32_t version;
    size_t size;

    struct error *failure = record_load(store->leases_fd, name, "lease", LEASE_VERSION, &version, &data, &size);
    if (!failure)
        failure = lease_add(store, name, data, size);
    if (failure) /* left where it is; sandboxd's KeepLeases decides */
        log_warn("lease not used", "name=%s error=%s", log_quote(name), log_quote(failure->text));
    error_free(failure);
}

struct error *store_leases_load(struct store *store)
{
    store_names_each(store->leases_fd, lease_load_each, store);
    return NULL;
}

static void reply_pack(const Bulkhead__LeaseImageReply *reply, uint8_t **ret, size_t *ret_size)
{
    *ret_size = bulkhead__lease_image_reply__get_packed_size(reply);
    *ret = xmalloc(*ret_size + 1);
    bulkhead__lease_image_reply__pack(reply, *ret);
}

static void reply_build(const struct store *store, const struct image *image, const char *name, uint8_t **ret, size_t *ret_size)
{
    const struct image_config *config = image->config;
    Bulkhead__ImageSettings settings = BULKHEAD__IMAGE_SETTINGS__INIT;
    Bulkhead__LeaseImageReply reply = BULKHEAD__LEASE_IMAGE_REPLY__INIT;
    struct text_list paths = {0};

    for (size_t i = 0; i < image->chains.count; i++) {
        autofree char *path = xasprintf("%s/layers/%s", store->directory, digest_hex(image->chains.list[i]));
        text_list_add(&paths, path);
    }
    settings.entrypoint = config->entrypoint.list;
    settings.n_entrypoint = config->entrypoint.count;
    settings.cmd = config->cmd.list;
    settings.n_cmd = config->cmd.count;
    settings.env = config->env.list;
    settings.n_env = config->env.count;
    settings.volumes = config->volumes.list;
    settings.n_volumes = config->volumes.count;
    settings.working_dir = config->working_dir;
    settings.user = config->user;
    settings.stop_signal = config->stop_signal;
    reply.image_id = (char *)image->id;
    reply.image_ref = image->digests.count > 0 ? image->digests.list[0] : (char *)image->id;
    reply.layer_paths = paths.list;
    reply.n_layer_paths = paths.count;
    reply.settings = &settings;
    reply.user_specified_image = (char *)name;
    reply_pack(&reply, ret, ret_size);
    text_list_fini(&paths);
}

/* The same lease again: the same image, or none any more. */
static struct error *lease_repeat(struct store *store, const struct lease *lease, const char *name)
{
    Bulkhead__LeaseImageReply *reply = bulkhead__lease_image_reply__unpack(NULL, lease->reply_size, lease->reply);
    struct error *failure = NULL;
    struct image *image = NULL;

    if (!reply)
        return error_new(ERROR_DATA_LOSS, "lease %s is not readable", lease->id);
    bool is_same = strcmp(reply->user_specified_image, name) == 0;
    if (!is_same)
        failure = store_find(store, name, &image);
    if (!failure && !is_same && (!image || strcmp(image->id, reply->image_id) != 0))
        failure = error_new(ERROR_ALREADY_EXISTS, "lease %s is of image %s", lease->id, reply->image_id);
    bulkhead__lease_image_reply__free_unpacked(reply, NULL);
    return failure;
}

static struct error *lease_make(struct store *store, const char *id, const char *name)
{
    struct image *image = NULL;
    uint8_t *data;
    size_t size;

    TRY(store_find(store, name, &image));
    if (!image)
        return error_new(ERROR_NOT_FOUND, "image \"%s\" is not here", name);
    reply_build(store, image, name, &data, &size);
    struct error *failure = record_save(store->leases_fd, id, "lease", LEASE_VERSION, data, size);
    if (failure) {
        free(data);
        return failure;
    }
    return lease_add(store, id, data, size);
}

static struct error *lease_get(struct store *store, const char *id, const char *name, uint8_t **ret_reply, size_t *ret_size)
{
    const struct lease *lease = lease_find(store, id);

    if (lease)
        TRY(lease_repeat(store, lease, name));
    else
        TRY(lease_make(store, id, name));
    lease = lease_find(store, id);
    *ret_reply = xmemdup(lease->reply, lease->reply_size);
    *ret_size = lease->reply_size;
    return NULL;
}

struct error *store_lease(struct store *store, const char *lease_id, const char *name, uint8_t **ret_reply, size_t *ret_size)
{
    TRY(lease_id_check(lease_id));
    pthread_mutex_lock(&store->lock);
    struct error *failure = lease_get(store, lease_id, name, ret_reply, ret_size);
    pthread_mutex_unlock(&store->lock);
    return failure;
}

static struct error *lease_drop(struct store *store, struct lease *lease)
{
    TRY(record_remove(store->leases_fd, lease->id));
    lease_fini(lease);
    *lease = store->leases[--store->lease_count];
    store_sweep_want(store);
    return NULL;
}

/* The owner's own lease, or one of its volumes. */
static bool is_of(const char *lease_id, const char *owner)
{
    size_t length = strlen(owner);

    return strncmp(lease_id, owner, length) == 0 && (lease_id[length] == '\0' || lease_id[length] == '.');
}

struct error *store_lease_release(struct store *store, const char *lease_id)
{
    struct error *failure = NULL;

    TRY(lease_id_check(lease_id));
    pthread_mutex_lock(&store->lock);
    for (size_t i = store->lease_count; i > 0 && !failure; i--) {
        if (is_of(store->leases[i - 1].id, lease_id))
            failure = lease_drop(store, &store->leases[i - 1]);
    }
    pthread_mutex_unlock(&store->lock);
    return failure;
}

static bool is_kept(const char *id, char *const *lease_ids, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (is_of(id, lease_ids[i]))
            return true;
    }
    return false;
}

struct error *store_leases_keep(struct store *store, char *const *lease_ids, size_t count)
{
    struct error *failure = NULL;

    pthread_mutex_lock(&store->lock);
    for (size_t i = store->lease_count; i > 0 && !failure; i--) {
        if (!is_kept(store->leases[i - 1].id, lease_ids, count))
            failure = lease_drop(store, &store->leases[i - 1]);
    }
    pthread_mutex_unlock(&store->lock);
    return failure;
}
