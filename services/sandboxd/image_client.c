/* The calls to imaged, as messages. */
#include "services/sandboxd/image_client.h"

#include <dirent.h>
#include <fcntl.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"

enum { WAIT_SLICE_MS = 100 };

/* New leases wait until imaged has dropped what is not ours, or it might drop the new one too. */
static struct error *await_leases_kept(struct sandboxd *d, int64_t deadline_ns)
{
    pthread_mutex_lock(&d->lock);
    while (!d->leases_are_kept && (!deadline_ns || clock_boottime_ns() < deadline_ns))
        condition_wait(d, &d->leases_changed, WAIT_SLICE_MS);
    bool is_kept = d->leases_are_kept;
    pthread_mutex_unlock(&d->lock);
    return is_kept ? NULL : error_new(ERROR_UNAVAILABLE, "imaged has not answered yet");
}

static struct error *call(struct sandboxd *d, const char *method, const ProtobufCMessage *request, int64_t deadline_ns,
                          uint8_t **ret, size_t *ret_size)
{
    size_t size = protobuf_c_message_get_packed_size(request);
    autofree uint8_t *payload = xmalloc(size + 1);

    protobuf_c_message_pack(request, payload);
    return ipc_client_call(d->imaged, method, NULL, deadline_ns, payload, size, ret, ret_size);
}

struct error *image_lease(struct sandboxd *d, const char *lease, const char *image, int64_t deadline_ns,
                          Bulkhead__LeaseImageReply **ret)
{
    Bulkhead__LeaseImageRequest request = BULKHEAD__LEASE_IMAGE_REQUEST__INIT;
    autofree uint8_t *data = NULL;
    size_t size = 0;

    request.lease_id = (char *)lease;
    request.image = (char *)image;
    TRY(await_leases_kept(d, deadline_ns));
    TRY_TO(call(d, "LeaseImage", &request.base, deadline_ns, &data, &size), "lease image \"%s\"", image);
    *ret = bulkhead__lease_image_reply__unpack(NULL, size, data);
    return *ret ? NULL : error_new(ERROR_INTERNAL, "imaged's answer does not parse");
}

struct error *image_release(struct sandboxd *d, const char *container, int64_t deadline_ns)
{
    Bulkhead__ReleaseImageRequest request = BULKHEAD__RELEASE_IMAGE_REQUEST__INIT;
    autofree uint8_t *data = NULL;
    size_t size = 0;

    request.lease_id = (char *)container;
    TRY_TO(call(d, "ReleaseImage", &request.base, deadline_ns, &data, &size), "release the images of container %s",
           container);
    return NULL;
}

/* The names below ROOT/sandboxd/containers; *ret ends with NULL and is freed with its texts. */
static size_t container_names(struct sandboxd *d, char ***ret)
{
    int fd = openat(d->containers_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;
    size_t count = 0;

    *ret = xcalloc(1, sizeof(**ret));
    while (directory && (entry = readdir(directory))) {
        if (entry->d_name[0] == '.')
            continue;
        *ret = xreallocarray(*ret, count + 2, sizeof(**ret));
        (*ret)[count++] = xstrdup(entry->d_name);
        (*ret)[count] = NULL;
    }
    if (directory)
        closedir(directory);
    else if (fd >= 0)
        close(fd);
    return count;
}

void image_keep_leases(struct sandboxd *d)
{
    Bulkhead__KeepLeasesRequest request = BULKHEAD__KEEP_LEASES_REQUEST__INIT;
    struct error *error;

    request.n_lease_ids = container_names(d, &request.lease_ids);
    for (;;) {
        autofree uint8_t *data = NULL;
        size_t size = 0;
        error = call(d, "KeepLeases", &request.base, 0, &data, &size);
        if (!error)
            break;
        log_warn("imaged does not take the list of leases", "error=%s", log_quote(error->text));
        error_free(error);
        sleep(1);
    }
    for (size_t i = 0; i < request.n_lease_ids; i++)
        free(request.lease_ids[i]);
    free(request.lease_ids);
    pthread_mutex_lock(&d->lock);
    d->leases_are_kept = true;
    pthread_cond_broadcast(&d->leases_changed);
    pthread_mutex_unlock(&d->lock);
}
