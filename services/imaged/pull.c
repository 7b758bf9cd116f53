/* The steps of a pull, and who waits for it. */
#include "services/imaged/pull.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/failpoint.h"
#include "common/ipc.h"
#include "common/log.h"
#include "common/memory.h"
#include "services/imaged/auth.h"
#include "services/imaged/digest.h"
#include "services/imaged/fetcher.h"
#include "services/imaged/image_config.h"
#include "services/imaged/imaged.h"
#include "services/imaged/layer_pull.h"
#include "services/imaged/manifest.h"
#include "services/imaged/reference.h"
#include "services/imaged/store.h"

enum { LAYERS_AT_ONCE = 2, RUNNING_MAX = 256, WAIT_MS = 200, PULL_ID_SIZE = 17 };

struct pull {
    struct imaged *imaged;
    char key[DIGEST_TEXT_SIZE];
    char id[PULL_ID_SIZE]; /* names its processes; the same after a restart of imaged, so that an older fetch is ended */
    struct reference *reference;
    uint8_t *job; /* for fetch */
    size_t job_size;

    /* Under the lock of pulls. */
    unsigned users; /* callers that wait, and the pull's own thread */
    bool is_done;
    enum error_code code;
    char *text;
    char *image_id;
};

/* What the manifest said, while the layers are made. */
struct layers {
    struct pull *pull;
    const struct manifest *manifest;
    const struct image_config *config;
    struct text_list chains;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t next;
    bool *is_there;        /* of each layer */
    struct error *failure; /* the first one */
};

struct layer_worker {
    struct layers *layers;
    struct fetcher *fetcher;
    pthread_t thread;
};

void pulls_init(struct pulls *pulls)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&pulls->lock, NULL);
    pthread_cond_init(&pulls->done, &attributes);
}

static void pull_free(struct pull *pull)
{
    reference_free(pull->reference);
    free(pull->job);
    free(pull->text);
    free(pull->image_id);
    free(pull);
}

static void fetcher_prepare(struct fetcher *fetcher, struct pull *pull, unsigned number)
{
    char name[KEEPER_NAME_SIZE];

    snprintf(name, sizeof(name), "%s-%u", pull->id, number);
    fetcher_init(fetcher, pull->imaged->keeper, pull->imaged->generation, name);
    fetcher->host = pull->reference->host;
    fetcher->job = pull->job;
    fetcher->job_size = pull->job_size;
}

static bool layer_next(struct layers *layers, size_t *ret)
{
    pthread_mutex_lock(&layers->lock);
    bool is_one = !layers->failure && layers->next < layers->manifest->layer_count;
    *ret = layers->next;
    layers->next += is_one;
    pthread_mutex_unlock(&layers->lock);
    return is_one;
}

/* Takes the failure. */
static void layer_ended(struct layers *layers, size_t index, struct error *failure)
{
    pthread_mutex_lock(&layers->lock);
    layers->is_there[index] = !failure;
    if (layers->failure)
        error_free(failure);
    else
        layers->failure = failure;
    pthread_cond_broadcast(&layers->changed);
    pthread_mutex_unlock(&layers->lock);
}

/* Lock held. */
static bool are_there(const struct layers *layers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!layers->is_there[i])
            return false;
    }
    return true;
}

/* They are taken in their order, so a worker has each of those below, and waits for none above. */
static struct error *layers_below_wait(void *argument, size_t index)
{
    struct layers *layers = argument;
    struct error *failure = NULL;

    pthread_mutex_lock(&layers->lock);
    while (!layers->failure && !are_there(layers, index))
        pthread_cond_wait(&layers->changed, &layers->lock);
    if (layers->failure)
        failure = error_new(layers->failure->code, "a layer below was not made");
    pthread_mutex_unlock(&layers->lock);
    return failure;
}

static void *layer_worker_main(void *argument)
{
    struct layer_worker *worker = argument;
    struct layers *layers = worker->layers;
    struct layer_order order = {.chains = layers->chains.list, .wait_below = layers_below_wait, .argument = layers};

    while (layer_next(layers, &order.index)) {
        size_t i = order.index;
        layer_ended(layers, i, layer_pull(&layers->pull->imaged->store, worker->fetcher, &layers->manifest->layers[i],
                                          layers->config->diff_ids.list[i], &order));
    }
    return NULL;
}

/* The first worker goes on with the conversation that brought the manifest; the other leads one of its own. */
static struct error *layers_make(struct layers *layers, struct fetcher *first)
{
    struct fetcher second;
    struct layer_worker workers[LAYERS_AT_ONCE] = {{.layers = layers, .fetcher = first}, {.layers = layers, .fetcher = &second}};

    pthread_mutex_init(&layers->lock, NULL);
    pthread_cond_init(&layers->changed, NULL);
    layers->is_there = xcalloc(layers->manifest->layer_count + 1, sizeof(layers->is_there[0]));
    fetcher_prepare(&second, layers->pull, 1);
    bool is_second = layers->manifest->layer_count > 1 && pthread_create(&workers[1].thread, NULL, layer_worker_main, &workers[1]) == 0;
    layer_worker_main(&workers[0]);
    if (is_second)
        pthread_join(workers[1].thread, NULL);
    fetcher_fini(&second);
    pthread_mutex_destroy(&layers->lock);
    pthread_cond_destroy(&layers->changed);
    free(layers->is_there);
    return layers->failure;
}

static struct error *chains_build(const struct manifest *manifest, const struct image_config *config, struct text_list *ret)
{
    char chain[DIGEST_TEXT_SIZE] = "";

    if (manifest->layer_count != config->diff_ids.count)
        return error_new(ERROR_INVALID_ARGUMENT, "the manifest has %zu layers, the configuration %zu", manifest->layer_count,
                         config->diff_ids.count);
    for (size_t i = 0; i < config->diff_ids.count; i++) {
        char above[DIGEST_TEXT_SIZE];
        digest_chain(i > 0 ? chain : NULL, config->diff_ids.list[i], above);
        strcpy(chain, above);
        text_list_add(ret, chain);
    }
    return NULL;
}

static struct error *image_publish(struct pull *pull, const char *image_id, const char *repo_digest, const char *config_text,
                                   const struct text_list *chains)
{
    autoptr(image) image = image_new(image_id);
    autofree char *tag = pull->reference->digest ? NULL : reference_tagged(pull->reference);
    autofree char *digested = reference_digested(pull->reference, repo_digest);

    if (tag)
        text_list_add(&image->tags, tag);
    text_list_add(&image->digests, digested);
    for (size_t i = 0; i < chains->count; i++)
        text_list_add(&image->chains, chains->list[i]);
    image->config_text = xstrdup(config_text);
    TRY(image_config_parse(config_text, strlen(config_text), &image->config));
    FAILPOINT("imaged.pull.before_record");
    return store_image_put(&pull->imaged->store, TAKE(image));
}

/* The manifest of the reference, or of its index's entry for this machine; *ret_digest: of what the reference itself names. */
static struct error *manifest_get(struct pull *pull, struct fetcher *fetcher, struct manifest **ret, char ret_digest[DIGEST_TEXT_SIZE])
{
    const struct reference *reference = pull->reference;
    autofree char *text = NULL, *type = NULL, *chosen = NULL, *inner = NULL, *inner_type = NULL, *deeper = NULL;
    size_t size;

    TRY_TO(fetcher_get(fetcher, FETCH_MANIFEST, reference->digest ? reference->digest : reference->tag, reference->digest,
                       MANIFEST_SIZE_MAX, &text, &size, &type), "manifest");
    digest_of(text, size, ret_digest);
    TRY(manifest_parse(text, size, type, &platform_here, ret, &chosen));
    if (!chosen)
        return NULL;
    TRY_TO(fetcher_get(fetcher, FETCH_MANIFEST, chosen, chosen, MANIFEST_SIZE_MAX, &inner, &size, &inner_type), "manifest");
    TRY(manifest_parse(inner, size, inner_type, &platform_here, ret, &deeper));
    return deeper ? error_new(ERROR_UNIMPLEMENTED, "an index within an index") : NULL;
}

static struct error *config_get(struct fetcher *fetcher, const struct manifest *manifest, char **ret_text, struct image_config **ret)
{
    autofree char *type = NULL;
    size_t size;

    TRY_TO(fetcher_get(fetcher, FETCH_BLOB, manifest->config.digest, manifest->config.digest, IMAGE_CONFIG_SIZE_MAX, ret_text,
                       &size, &type), "configuration");
    TRY(image_config_parse(*ret_text, size, ret));
    if (strcmp((*ret)->os, platform_here.os) == 0 && strcmp((*ret)->architecture, platform_here.architecture) == 0)
        return NULL;
    return error_new(ERROR_INVALID_ARGUMENT, "the image is for %.30s/%.30s, this machine is %s/%s", (*ret)->os, (*ret)->architecture,
                     platform_here.os, platform_here.architecture);
}

static struct error *pull_steps(struct pull *pull, struct fetcher *fetcher, char **ret_image_id)
{
    autoptr(manifest) manifest = NULL;
    autoptr(image_config) config = NULL;
    autofree char *config_text = NULL;
    char repo_digest[DIGEST_TEXT_SIZE];
    struct layers layers = {.pull = pull};

    TRY(manifest_get(pull, fetcher, &manifest, repo_digest));
    TRY(config_get(fetcher, manifest, &config_text, &config));
    layers.manifest = manifest;
    layers.config = config;
    struct error *failure = chains_build(manifest, config, &layers.chains);
    store_pin(&pull->imaged->store, &layers.chains);
    if (!failure)
        failure = layers_make(&layers, fetcher);
    if (!failure)
        failure = image_publish(pull, manifest->config.digest, repo_digest, config_text, &layers.chains);
    store_unpin(&pull->imaged->store, &layers.chains);
    text_list_fini(&layers.chains);
    if (!failure)
        *ret_image_id = xstrdup(manifest->config.digest);
    return failure;
}

/* Lock held. */
static void pull_leave(struct pull *pull)
{
    if (--pull->users == 0)
        pull_free(pull);
}

/* Takes the failure. */
static void pull_finish(struct pull *pull, struct error *failure, char *image_id)
{
    struct pulls *pulls = &pull->imaged->pulls;

    pthread_mutex_lock(&pulls->lock);
    for (size_t i = 0; i < pulls->count; i++) {
        if (pulls->running[i] == pull)
            pulls->running[i] = pulls->running[--pulls->count];
    }
    pull->is_done = true;
    pull->code = failure ? failure->code : ERROR_OK;
    pull->text = failure ? xstrdup(failure->text) : NULL;
    pull->image_id = image_id;
    pthread_cond_broadcast(&pulls->done);
    pull_leave(pull);
    pthread_mutex_unlock(&pulls->lock);
    error_free(failure);
}

static void *pull_main(void *argument)
{
    struct pull *pull = argument;
    autofree char *name = reference_format(pull->reference);
    struct fetcher fetcher;
    char *image_id = NULL;

    log_info("pull begins", "image=%s", log_quote(name));
    fetcher_prepare(&fetcher, pull, 0);
    struct error *failure = pull_steps(pull, &fetcher, &image_id);
    fetcher_fini(&fetcher);
    if (failure) {
        failure = error_wrap(failure, "pull %s", name);
        log_warn("pull failed", "code=%s error=%s", error_code_name(failure->code), log_quote(failure->text));
    } else {
        log_info("pull done", "image=%s id=%s", log_quote(name), image_id);
    }
    pull_finish(pull, failure, image_id);
    return NULL;
}

static struct error *thread_start(struct pull *pull)
{
    pthread_attr_t attributes;
    pthread_t thread;

    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    int failure = pthread_create(&thread, &attributes, pull_main, pull);
    pthread_attr_destroy(&attributes);
    return failure ? error_new(ERROR_RESOURCE_EXHAUSTED, "no thread for the pull") : NULL;
}

static void key_build(struct pull *pull)
{
    autoptr(digest) digest = digest_new();
    autofree char *name = reference_format(pull->reference);

    digest_add(digest, name, strlen(name) + 1);
    digest_add(digest, pull->job, pull->job_size);
    digest_finish(digest, pull->key);
    snprintf(pull->id, sizeof(pull->id), "%.16s", digest_hex(pull->key));
}

static struct pull *running_find(struct pulls *pulls, const char *key)
{
    for (size_t i = 0; i < pulls->count; i++) {
        if (strcmp(pulls->running[i]->key, key) == 0)
            return pulls->running[i];
    }
    return NULL;
}

/* Lock held. Takes the fresh pull, and returns it or the one that runs already, with this caller as a user. */
static struct error *pull_join(struct pulls *pulls, struct pull *fresh, struct pull **ret)
{
    struct pull *running = running_find(pulls, fresh->key);
    struct error *failure = NULL;

    if (!running && pulls->count >= RUNNING_MAX)
        failure = error_new(ERROR_RESOURCE_EXHAUSTED, "%d pulls are running", RUNNING_MAX);
    if (!running && !failure)
        failure = thread_start(fresh);
    if (running || failure) {
        pull_free(fresh);
    } else {
        running = fresh;
        running->users = 1; /* its thread */
        pulls->running = xreallocarray(pulls->running, pulls->count + 1, sizeof(pulls->running[0]));
        pulls->running[pulls->count++] = running;
    }
    if (failure)
        return failure;
    running->users++;
    *ret = running;
    return NULL;
}

/* Lock held. */
static struct error *pull_wait(struct pulls *pulls, struct pull *pull, const struct ipc_call *call, char **ret_image_id)
{
    while (!pull->is_done && !ipc_call_is_over(call)) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += WAIT_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        pthread_cond_timedwait(&pulls->done, &pulls->lock, &until);
    }
    if (!pull->is_done)
        return error_new(ERROR_DEADLINE_EXCEEDED, "the pull goes on; ask again to wait for its end");
    if (pull->code != ERROR_OK)
        return error_new(pull->code, "%s", pull->text);
    *ret_image_id = xstrdup(pull->image_id);
    return NULL;
}

static struct error *pull_new(struct imaged *imaged, const char *name, const struct pull_auth *auth, struct pull **ret)
{
    struct pull *pull = xcalloc(1, sizeof(*pull));

    pull->imaged = imaged;
    struct error *failure = reference_parse(name, &pull->reference);
    if (!failure)
        failure = auth_job_build(pull->reference, auth, &pull->job, &pull->job_size);
    if (failure) {
        pull_free(pull);
        return failure;
    }
    key_build(pull);
    *ret = pull;
    return NULL;
}

struct error *pull_image(struct imaged *imaged, const struct ipc_call *call, const char *name, const struct pull_auth *auth,
                         char **ret_image_id)
{
    struct pulls *pulls = &imaged->pulls;
    struct pull *fresh, *pull = NULL;

    TRY(pull_new(imaged, name, auth, &fresh));
    pthread_mutex_lock(&pulls->lock);
    struct error *failure = pull_join(pulls, fresh, &pull);
    if (!failure) {
        failure = pull_wait(pulls, pull, call, ret_image_id);
        pull_leave(pull);
    }
    pthread_mutex_unlock(&pulls->lock);
    return failure;
}
