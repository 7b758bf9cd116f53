/* imaged's requests: CRI's image messages and the leases, each checked, done and answered. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/memory.h"
#include "proto/bulkhead.pb-c.h"
#include "proto/cri.pb-c.h"
#include "services/imaged/imaged.h"
#include "services/imaged/pinned.h"
#include "services/imaged/reference.h"

/* `type` is a message's C prefix in lower case: declares NAME, unpacked from the call's payload and freed with the scope. */
#define REQUEST(Type, type, name)                                                                                      \
    __attribute__((cleanup(type##_put))) Type *name = type##__unpack(NULL, call->payload_size, call->payload);         \
    if (!name)                                                                                                         \
    return error_new(ERROR_INVALID_ARGUMENT, "the request is no " #Type)
#define DEFINE_PUT(Type, type)                                                                                         \
    static void type##_put(Type **message)                                                                             \
    {                                                                                                                  \
        if (*message)                                                                                                  \
            type##__free_unpacked(*message, NULL);                                                                     \
    }

DEFINE_PUT(Runtime__V1__PullImageRequest, runtime__v1__pull_image_request)
DEFINE_PUT(Runtime__V1__ListImagesRequest, runtime__v1__list_images_request)
DEFINE_PUT(Runtime__V1__ImageStatusRequest, runtime__v1__image_status_request)
DEFINE_PUT(Runtime__V1__RemoveImageRequest, runtime__v1__remove_image_request)
DEFINE_PUT(Runtime__V1__ImageFsInfoRequest, runtime__v1__image_fs_info_request)
DEFINE_PUT(Bulkhead__LeaseImageRequest, bulkhead__lease_image_request)
DEFINE_PUT(Bulkhead__ReleaseImageRequest, bulkhead__release_image_request)
DEFINE_PUT(Bulkhead__KeepLeasesRequest, bulkhead__keep_leases_request)

static void reply_pack(const ProtobufCMessage *message, struct ipc_reply *reply)
{
    reply->size = protobuf_c_message_get_packed_size(message);
    reply->data = xmalloc(reply->size + 1);
    protobuf_c_message_pack(message, reply->data);
}

static struct error *name_get(const Runtime__V1__ImageSpec *spec, const char **ret)
{
    if (!spec || spec->image[0] == '\0')
        return error_new(ERROR_INVALID_ARGUMENT, "image.image is empty");
    *ret = spec->image;
    return NULL;
}

static struct error *pull_handle(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    REQUEST(Runtime__V1__PullImageRequest, runtime__v1__pull_image_request, request);
    Runtime__V1__PullImageResponse response = RUNTIME__V1__PULL_IMAGE_RESPONSE__INIT;
    autofree char *image_id = NULL;
    struct pull_auth auth = {0};
    const char *name = NULL;

    TRY(name_get(request->image, &name));
    if (request->auth)
        auth = (struct pull_auth){
            .username = request->auth->username,
            .password = request->auth->password,
            .auth = request->auth->auth,
            .server_address = request->auth->server_address,
            .identity_token = request->auth->identity_token,
            .registry_token = request->auth->registry_token,
        };
    TRY(pull_image(state, call, name, &auth, &image_id));
    response.image_ref = image_id;
    reply_pack(&response.base, reply);
    return NULL;
}

/* An Image as it goes into an answer; its texts are the store's, so the lock is held until it is packed. */
struct described {
    Runtime__V1__Image image;
    Runtime__V1__Int64Value uid;
    Runtime__V1__ImageSpec spec;
    char *username;
};

static void image_describe(const struct imaged *imaged, struct image *image, struct described *ret)
{
    bool has_uid;

    runtime__v1__image__init(&ret->image);
    runtime__v1__int64_value__init(&ret->uid);
    runtime__v1__image_spec__init(&ret->spec);
    ret->spec.image = image->id;
    ret->image.id = image->id;
    ret->image.repo_tags = image->tags.list;
    ret->image.n_repo_tags = image->tags.count;
    ret->image.repo_digests = image->digests.list;
    ret->image.n_repo_digests = image->digests.count;
    ret->image.size = image_bytes(&imaged->store, image);
    ret->image.pinned = image_is_pinned(image, imaged->config->pinned_images);
    ret->image.spec = &ret->spec;
    image_config_user(image->config->user, &has_uid, &ret->uid.value, &ret->username);
    ret->image.username = ret->username;
    ret->image.uid = has_uid ? &ret->uid : NULL;
}

static void images_pack(const struct imaged *imaged, struct image **images, size_t count, struct ipc_reply *reply)
{
    Runtime__V1__ListImagesResponse response = RUNTIME__V1__LIST_IMAGES_RESPONSE__INIT;
    autofree struct described *described = xcalloc(count + 1, sizeof(*described));
    autofree Runtime__V1__Image **list = xcalloc(count + 1, sizeof(*list));

    for (size_t i = 0; i < count; i++) {
        image_describe(imaged, images[i], &described[i]);
        list[i] = &described[i].image;
    }
    response.images = list;
    response.n_images = count;
    reply_pack(&response.base, reply);
    for (size_t i = 0; i < count; i++)
        free(described[i].username);
}

static bool list_has_name(const struct text_list *list, const char *name, char separator)
{
    size_t size = strlen(name);

    for (size_t i = 0; i < list->count; i++)
        if (strncmp(list->list[i], name, size) == 0 && list->list[i][size] == separator)
            return true;
    return false;
}

/* All images of a repository, as `crictl images REPOSITORY` asks for them. */
static size_t images_of_name(const struct store *store, const char *filter, struct image **ret)
{
    autoptr(reference) reference = NULL;
    autoptr(error) is_id = reference_parse(filter, &reference);
    size_t count = 0;

    if (is_id)
        return 0;
    autofree char *name = reference_name(reference);
    for (size_t i = 0; i < store->image_count; i++)
        if (list_has_name(&store->images[i]->tags, name, ':') || list_has_name(&store->images[i]->digests, name, '@'))
            ret[count++] = store->images[i];
    return count;
}

static struct error *images_list(struct imaged *imaged, const char *filter, struct ipc_reply *reply)
{
    struct store *store = &imaged->store;
    autofree struct image **images = xcalloc(store->image_count + 1, sizeof(*images));
    size_t count = 0;

    if (!filter) {
        images_pack(imaged, store->images, store->image_count, reply);
        return NULL;
    }
    if (reference_is_name(filter))
        count = images_of_name(store, filter, images);
    if (count == 0) {
        TRY(store_find(store, filter, &images[0]));
        count = images[0] ? 1 : 0;
    }
    images_pack(imaged, images, count, reply);
    return NULL;
}

static struct error *list_handle(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    REQUEST(Runtime__V1__ListImagesRequest, runtime__v1__list_images_request, request);
    const Runtime__V1__ImageSpec *spec = request->filter ? request->filter->image : NULL;
    struct store *store = &((struct imaged *)state)->store;

    pthread_mutex_lock(&store->lock);
    struct error *failure = images_list(state, spec && spec->image[0] ? spec->image : NULL, reply);
    pthread_mutex_unlock(&store->lock);
    return failure;
}

static void json_put(json_t **json)
{
    json_decref(*json);
}

/* What crictl inspecti shows below "info", as containerd has it. */
static char *image_info(const struct image *image)
{
    __attribute__((cleanup(json_put))) json_t *spec = json_loads(image->config_text, 0, NULL);
    const char *top = image->chains.count > 0 ? image->chains.list[image->chains.count - 1] : "";
    __attribute__((cleanup(json_put))) json_t *info = json_pack("{s:s, s:O?}", "chainID", top, "imageSpec", spec);

    return json_dumps(info, JSON_COMPACT);
}

static struct error *image_status(struct imaged *imaged, const char *name, bool is_verbose, struct ipc_reply *reply)
{
    Runtime__V1__ImageStatusResponse response = RUNTIME__V1__IMAGE_STATUS_RESPONSE__INIT;
    Runtime__V1__ImageStatusResponse__InfoEntry entry = RUNTIME__V1__IMAGE_STATUS_RESPONSE__INFO_ENTRY__INIT;
    Runtime__V1__ImageStatusResponse__InfoEntry *entries[] = {&entry};
    struct described described = {.username = NULL};
    autofree char *info = NULL;
    struct image *image = NULL;

    TRY(store_find(&imaged->store, name, &image));
    if (image) {
        image_describe(imaged, image, &described);
        response.image = &described.image;
    }
    if (image && is_verbose) {
        info = image_info(image);
        entry.key = "info";
        entry.value = info ? info : "{}";
        response.info = entries;
        response.n_info = 1;
    }
    reply_pack(&response.base, reply);
    free(described.username);
    return NULL;
}

static struct error *status_handle(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    REQUEST(Runtime__V1__ImageStatusRequest, runtime__v1__image_status_request, request);
    struct store *store = &((struct imaged *)state)->store;
    const char *name = NULL;

    TRY(name_get(request->image, &name));
    pthread_mutex_lock(&store->lock);
    struct error *failure = image_status(state, name, request->verbose, reply);
    pthread_mutex_unlock(&store->lock);
    return failure;
}

static struct error *remove_handle(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    REQUEST(Runtime__V1__RemoveImageRequest, runtime__v1__remove_image_request, request);
    Runtime__V1__RemoveImageResponse response = RUNTIME__V1__REMOVE_IMAGE_RESPONSE__INIT;
    const char *name = NULL;

    TRY(name_get(request->image, &name));
    TRY(store_image_remove(&((struct imaged *)state)->store, name));
    reply_pack(&response.base, reply);
    return NULL;
}

static void usage_sum(struct store *store, uint64_t *ret_bytes, uint64_t *ret_inodes)
{
    *ret_bytes = *ret_inodes = 0;
    pthread_mutex_lock(&store->lock);
    for (size_t i = 0; i < store->layer_count; i++) {
        *ret_bytes += store->layers[i].bytes;
        *ret_inodes += store->layers[i].inodes;
    }
    pthread_mutex_unlock(&store->lock);
}

static struct error *fs_info_handle(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    REQUEST(Runtime__V1__ImageFsInfoRequest, runtime__v1__image_fs_info_request, request);
    struct store *store = &((struct imaged *)state)->store;
    Runtime__V1__ImageFsInfoResponse response = RUNTIME__V1__IMAGE_FS_INFO_RESPONSE__INIT;
    Runtime__V1__FilesystemUsage usage = RUNTIME__V1__FILESYSTEM_USAGE__INIT, *usages[] = {&usage};
    Runtime__V1__FilesystemIdentifier place = RUNTIME__V1__FILESYSTEM_IDENTIFIER__INIT;
    Runtime__V1__UInt64Value bytes = RUNTIME__V1__UINT64_VALUE__INIT, inodes = RUNTIME__V1__UINT64_VALUE__INIT;

    usage_sum(store, &bytes.value, &inodes.value);
    place.mountpoint = store->directory;
    usage.timestamp = clock_realtime_ns();
    usage.fs_id = &place;
    usage.used_bytes = &bytes;
    usage.inodes_used = &inodes;
    response.image_filesystems = usages;
    response.n_image_filesystems = 1;
    response.container_filesystems = usages;
    response.n_container_filesystems = 1;
    reply_pack(&response.base, reply);
    return NULL;
}

static struct error *lease_handle(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    REQUEST(Bulkhead__LeaseImageRequest, bulkhead__lease_image_request, request);

    return store_lease(&((struct imaged *)state)->store, request->lease_id, request->image, &reply->data, &reply->size);
}

static struct error *release_handle(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    REQUEST(Bulkhead__ReleaseImageRequest, bulkhead__release_image_request, request);
    Bulkhead__ReleaseImageReply answer = BULKHEAD__RELEASE_IMAGE_REPLY__INIT;

    TRY(store_lease_release(&((struct imaged *)state)->store, request->lease_id));
    reply_pack(&answer.base, reply);
    return NULL;
}

static struct error *keep_handle(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    REQUEST(Bulkhead__KeepLeasesRequest, bulkhead__keep_leases_request, request);
    Bulkhead__KeepLeasesReply answer = BULKHEAD__KEEP_LEASES_REPLY__INIT;

    TRY(store_leases_keep(&((struct imaged *)state)->store, request->lease_ids, request->n_lease_ids));
    reply_pack(&answer.base, reply);
    return NULL;
}

const struct ipc_method imaged_methods[] = {
    {"PullImage", pull_handle},
    {"ListImages", list_handle},
    {"ImageStatus", status_handle},
    {"RemoveImage", remove_handle},
    {"ImageFsInfo", fs_info_handle},
    {"LeaseImage", lease_handle},
    {"ReleaseImage", release_handle},
    {"KeepLeases", keep_handle},
    {NULL, NULL},
};
