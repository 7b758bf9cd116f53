/* What is garbage: layers without image, lease or pull, half-made ones without a worker, parts of blobs that nobody fetches any more. */
#include "services/imaged/sweep.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/memory.h"
#include "common/record.h"
#include "services/imaged/imaged.h"
#include "services/imaged/layer_pull.h"

enum { SWEEP_EVERY_S = 60, BLOB_KEPT_S = 600, START_GRACE_S = 5 };

static bool name_ends_with(const char *name, const char *ending)
{
    size_t length = strlen(name), end = strlen(ending);

    return length > end && strcmp(name + length - end, ending) == 0;
}

/* The chain that "HEX.new" or "HEX.blob" is of; NULL if it is no such name. The caller frees it. */
static char *chain_of(const char *name, const char *ending)
{
    if (!name_ends_with(name, ending))
        return NULL;
    autofree char *chain = xasprintf("sha256:%.*s", (int)(strlen(name) - strlen(ending)), name);
    return digest_is_valid(chain) ? TAKE(chain) : NULL;
}

/* Lock held: it is no layer any more from the moment its record is gone. */
static void layer_put_aside(struct store *store, struct layer *layer)
{
    const char *name = digest_hex(layer->chain);
    autofree char *gone = xasprintf("%s.gone", name);
    struct error *failure = record_remove(store->records_fd, name);

    if (!failure && renameat(store->layers_fd, name, store->layers_fd, gone) < 0 && errno != ENOENT)
        failure = error_errno(errno, "put layer %s aside", name);
    if (failure)
        log_warn("layer not removed", "error=%s", log_quote(failure->text));
    else
        log_info("layer removed", "layer=%s", layer->chain);
    error_free(failure);
    *layer = store->layers[--store->layer_count];
}

/* Lock held: is the place free to which it would be put? What went there before may not be emptied yet: then it stays a layer
 * until the next sweep, as it must not lose its record and keep its name. */
static bool can_go(const struct store *store, const struct layer *layer)
{
    autofree char *gone = xasprintf("%s.gone", digest_hex(layer->chain));

    return faccessat(store->layers_fd, gone, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
}

static void layers_judge(struct store *store)
{
    pthread_mutex_lock(&store->lock);
    for (size_t i = store->layer_count; i > 0; i--) {
        if (!store_layer_is_needed(store, store->layers[i - 1].chain) && can_go(store, &store->layers[i - 1]))
            layer_put_aside(store, &store->layers[i - 1]);
    }
    pthread_mutex_unlock(&store->lock);
}

static void unsynced_list(struct store *store, struct text_list *ret)
{
    pthread_mutex_lock(&store->lock);
    for (size_t i = 0; i < store->layer_count; i++) {
        if (!store->layers[i].is_synced)
            text_list_add(ret, store->layers[i].chain);
    }
    pthread_mutex_unlock(&store->lock);
}

static void layer_mark_synced(struct store *store, const char *chain)
{
    pthread_mutex_lock(&store->lock);
    struct layer *layer = store_layer_find(store, chain);
    if (layer) {
        layer->is_synced = true;
        struct error *failure = layer_save(store, layer);
        if (failure)
            log_warn("layer not marked as synced", "error=%s", log_quote(failure->text));
        layer->is_synced = !failure;
        error_free(failure);
    }
    pthread_mutex_unlock(&store->lock);
}

static void layers_sync(struct store *store)
{
    struct text_list chains = {0};

    unsynced_list(store, &chains);
    if (chains.count > 0 && syncfs(store->layers_fd) == 0) {
        for (size_t i = 0; i < chains.count; i++)
            layer_mark_synced(store, chains.list[i]);
    }
    text_list_fini(&chains);
}

static void directory_remove(struct imaged *imaged, const char *name)
{
    struct error *failure = layer_discard(&imaged->store, imaged->keeper, imaged->generation, name);

    if (failure)
        log_warn("directory not removed", "name=%s error=%s", name, log_quote(failure->text));
    error_free(failure);
}

static void directory_judge_each(void *argument, const char *name)
{
    struct imaged *imaged = argument;
    autofree char *chain = chain_of(name, ".new");

    if (name_ends_with(name, ".gone")) {
        directory_remove(imaged, name);
    } else if (chain && !store_layer_claim(&imaged->store, chain)) { /* waits for whoever makes it, and then finds it made */
        directory_remove(imaged, name);
        store_layer_release(&imaged->store, chain);
    }
}

/* Lock taken: does a pull have the blob in hand? Its claim is of the same chain. */
static bool is_claimed(struct store *store, const char *chain)
{
    pthread_mutex_lock(&store->lock);
    bool is = text_list_has(&store->claims, chain);
    pthread_mutex_unlock(&store->lock);
    return is;
}

static void blob_judge_each(void *argument, const char *name)
{
    struct imaged *imaged = argument;
    struct store *store = &imaged->store;
    autofree char *chain = chain_of(name, ".blob");
    struct stat status;

    if (fstatat(store->blobs_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0 || time(NULL) - status.st_mtime < BLOB_KEPT_S)
        return;
    if (!chain) {
        unlinkat(store->blobs_fd, name, 0);
    } else if (!is_claimed(store, chain)) {
        bool is_made = store_layer_claim(store, chain);
        unlinkat(store->blobs_fd, name, 0);
        if (!is_made)
            store_layer_release(store, chain);
    }
}

static void sweep_wait(struct store *store)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += SWEEP_EVERY_S;
    pthread_mutex_lock(&store->lock);
    while (!store->is_sweep_wanted && pthread_cond_timedwait(&store->changed, &store->lock, &until) != ETIMEDOUT)
        continue;
    store->is_sweep_wanted = false;
    pthread_mutex_unlock(&store->lock);
}

static void *sweep_main(void *argument)
{
    struct imaged *imaged = argument;

    sleep(START_GRACE_S); /* pulls that a death cut short come again first, and claim the layers that they had finished */
    for (;;) {
        sweep_wait(&imaged->store);
        store_names_each(imaged->store.layers_fd, directory_judge_each, imaged); /* first what is left of a sweep before */
        layers_judge(&imaged->store);
        store_names_each(imaged->store.layers_fd, directory_judge_each, imaged);
        store_names_each(imaged->store.blobs_fd, blob_judge_each, imaged);
        layers_sync(&imaged->store);
    }
    return NULL;
}

struct error *sweep_start(struct imaged *imaged)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, sweep_main, imaged) != 0)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "no thread for the sweeper");
    pthread_detach(thread);
    return NULL;
}
