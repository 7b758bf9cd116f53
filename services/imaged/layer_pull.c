/* How a blob is fetched, hashed, written and unpacked at the same time, over deaths of fetch and unpack. */
#include "services/imaged/layer_pull.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/failpoint.h"
#include "common/log.h"
#include "common/memory.h"
#include "services/imaged/layer_parents.h"
#include "services/imaged/unpack/report.h"
#include "services/imaged/unpack_job.h"

enum { ATTEMPTS = 5, CHUNK_SIZE = 256 << 10, MARK_WAIT_MS = 100 };

struct layer_work {
    struct store *store;
    struct fetcher *fetcher;
    const struct layer_order *order;
    const struct descriptor *blob;
    const char *chain, *diff_id;
    int parents; /* the file that unpack lists directories in */
    char *making; /* name of the layer's directory */
    int blob_fd;
    uint64_t have;    /* bytes on disk and in the digest */
    uint64_t resumed; /* of them, those of an earlier attempt */
    struct digest *digest;
    uint8_t *chunk;
    struct child unpack;
    int watermark, report; /* -1: unpack has no pipes now */
    bool is_reported;      /* result holds what unpack said */
    struct unpack_report result;
    unsigned unpack_deaths;
};

static struct error *pipe_make(int *ret_read, int *ret_write)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_errno(errno, "pipe");
    *ret_read = ends[0];
    *ret_write = ends[1];
    return NULL;
}

static void unpack_end(struct layer_work *work)
{
    if (work->watermark >= 0)
        close(TAKE_FD(work->watermark));
    if (work->report >= 0)
        close(TAKE_FD(work->report));
    child_end(work->fetcher->keeper, &work->unpack);
}

static struct error *unpack_start(struct layer_work *work)
{
    autofree char *blob_name = store_blob_name(work->chain);
    autoclose int blob = openat(work->store->blobs_fd, blob_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    int watermark_end = -1, report_end = -1;

    if (blob < 0)
        return error_errno(errno, "open blob %s", work->blob->digest);
    if (mkdirat(work->store->layers_fd, work->making, 0700) < 0 && errno != EEXIST)
        return error_errno(errno, "make layer directory");
    TRY(pipe_make(&watermark_end, &work->watermark));
    autoclose int closing_watermark = watermark_end;
    TRY(pipe_make(&work->report, &report_end));
    autoclose int closing_report = report_end;
    if (fcntl(work->watermark, F_SETFL, O_NONBLOCK) < 0)
        return error_errno(errno, "pipe");
    const struct child_fds fds = {{"blob", "watermark", "report", "parents"}, {blob, watermark_end, report_end, work->parents}, 4};
    return child_spawn(work->fetcher->keeper, work->fetcher->generation, KEEPER_UNPACK, work->making, &fds, &work->unpack);
}

/* unpack has died without a report: it begins anew, with all that is there. */
static struct error *unpack_restart(struct layer_work *work)
{
    unpack_end(work);
    log_warn("unpack has died", "layer=%s deaths=%u", work->chain, ++work->unpack_deaths);
    if (work->unpack_deaths > ATTEMPTS)
        return error_new(ERROR_INTERNAL, "unpack died %u times at layer %s", work->unpack_deaths, work->chain);
    return unpack_start(work);
}

/* Takes the report, if it is there. A failure that is unpack's own word is final. */
static struct error *report_take(struct layer_work *work)
{
    struct error *failure = child_read(&work->unpack, work->report, &work->result, sizeof(work->result));

    if (failure) {
        error_free(failure);
        return unpack_restart(work);
    }
    work->result.text[sizeof(work->result.text) - 1] = '\0';
    work->result.diff_id[sizeof(work->result.diff_id) - 1] = '\0';
    work->is_reported = true;
    unpack_end(work);
    if (work->result.code == ERROR_OK)
        return NULL;
    return error_new((enum error_code)work->result.code, "unpack: %s", work->result.text);
}

static struct error *watermark_write(struct layer_work *work, uint64_t mark, bool must_arrive)
{
    while (!work->is_reported && write(work->watermark, &mark, sizeof(mark)) < 0) {
        if (errno == EPIPE)
            TRY(report_take(work)); /* or it begins anew, and then the mark is sent again */
        else if (errno != EAGAIN)
            return error_errno(errno, "write watermark");
        else if (!must_arrive)
            return NULL;
        else
            poll(&(struct pollfd){.fd = work->watermark, .events = POLLOUT}, 1, MARK_WAIT_MS);
    }
    return NULL;
}

static struct error *chunk_store(struct layer_work *work, size_t size)
{
    if (size > work->blob->size - work->have)
        return error_new(ERROR_DATA_LOSS, "blob %s is longer than the %llu bytes of its manifest", work->blob->digest,
                         (unsigned long long)work->blob->size);
    for (size_t done = 0; done < size;) {
        ssize_t count = pwrite(work->blob_fd, work->chunk + done, size - done, (off_t)(work->have + done));
        if (count < 0 && errno != EINTR)
            return error_errno(errno, "write blob %s", work->blob->digest);
        done += count > 0 ? (size_t)count : 0;
    }
    digest_add(work->digest, work->chunk, size);
    work->have += size;
    FAILPOINT("imaged.layer.chunk");
    return watermark_write(work, work->have, false);
}

static struct error *blob_fetch_once(struct layer_work *work)
{
    size_t size;

    TRY(fetcher_ask(work->fetcher, FETCH_BLOB, work->blob->digest, work->have, NULL));
    for (;;) {
        TRY(fetcher_read(work->fetcher, work->chunk, CHUNK_SIZE, &size));
        if (size == 0)
            break;
        struct error *failure = chunk_store(work, size);
        if (failure) {
            fetcher_reset(work->fetcher); /* there is more of this answer in the pipe */
            return failure;
        }
    }
    if (work->have < work->blob->size)
        return error_new(ERROR_UNAVAILABLE, "blob %s ends at byte %llu of %llu", work->blob->digest,
                         (unsigned long long)work->have, (unsigned long long)work->blob->size);
    return NULL;
}

static void pause_before(unsigned attempt)
{
    const struct timespec time = {0, 50000000L << (attempt < 4 ? attempt : 4)};

    nanosleep(&time, NULL);
}

/* What ends the fetching for good. The registry has nothing behind a byte that the manifest promises: it or the manifest is damaged. */
static struct error *blob_fetch_end(const struct layer_work *work, struct error *failure)
{
    if (failure->code == ERROR_ABORTED)
        failure->code = ERROR_UNAVAILABLE;
    if (failure->code != ERROR_OUT_OF_RANGE)
        return failure;
    failure->code = ERROR_DATA_LOSS;
    return error_wrap(failure, "blob %s is shorter than the %llu bytes of its manifest", work->blob->digest,
                      (unsigned long long)work->blob->size);
}

/* As often as bytes arrive; without any, ATTEMPTS times. */
static struct error *blob_fetch(struct layer_work *work)
{
    for (unsigned idle = 0; work->have < work->blob->size;) {
        uint64_t before = work->have;
        struct error *failure = blob_fetch_once(work);
        if (!failure)
            return NULL;
        idle = work->have > before ? 0 : idle + 1;
        if (!fetcher_error_is_passing(failure) || idle >= ATTEMPTS)
            return blob_fetch_end(work, failure);
        log_warn("blob is fetched further", "blob=%s have=%llu error=%s", work->blob->digest, (unsigned long long)work->have,
                 log_quote(failure->text));
        error_free(failure);
        pause_before(idle);
    }
    return NULL;
}

/* The part on disk is hashed again: nothing is trusted that this process has not seen. */
static struct error *blob_resume(struct layer_work *work)
{
    ssize_t size = 0;

    do {
        size = pread(work->blob_fd, work->chunk, CHUNK_SIZE, (off_t)work->have);
        if (size < 0)
            return error_errno(errno, "read blob %s", work->blob->digest);
        digest_add(work->digest, work->chunk, (size_t)size);
        work->have += (uint64_t)size;
    } while (size > 0 && work->have <= work->blob->size);
    work->resumed = work->have;
    if (work->have > 0)
        log_info("blob resumed", "blob=%s have=%llu size=%llu", work->blob->digest, (unsigned long long)work->have,
                 (unsigned long long)work->blob->size);
    return NULL;
}

static struct error *blob_forget(struct layer_work *work)
{
    char unused[DIGEST_TEXT_SIZE];

    digest_finish(work->digest, unused);
    work->have = work->resumed = 0;
    return ftruncate(work->blob_fd, 0) < 0 ? error_errno(errno, "empty blob %s", work->blob->digest) : NULL;
}

static struct error *blob_open(struct layer_work *work)
{
    autofree char *name = store_blob_name(work->chain);

    work->blob_fd = openat(work->store->blobs_fd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (work->blob_fd < 0)
        return error_errno(errno, "open blob %s", work->blob->digest);
    TRY(blob_resume(work));
    return work->have > work->blob->size ? blob_forget(work) : NULL;
}

static struct error *blob_verify(struct layer_work *work)
{
    char digest[DIGEST_TEXT_SIZE];

    digest_finish(work->digest, digest);
    if (strcmp(digest, work->blob->digest) != 0)
        return error_new(ERROR_DATA_LOSS, "digest mismatch: asked for %s, got %s", work->blob->digest, digest);
    return NULL;
}

/* Fetches and verifies, while unpack works behind the watermark. */
static struct error *blob_complete(struct layer_work *work)
{
    TRY(unpack_start(work));
    TRY(watermark_write(work, work->have, false));
    TRY(blob_fetch(work));
    return blob_verify(work);
}

/* What the archive left unsaid is said by the layers below, once they are there. */
static struct error *parents_mend(struct layer_work *work)
{
    const struct layer_order *order = work->order;

    if (work->result.parents_size == 0 || order->index == 0)
        return NULL;
    TRY(order->wait_below(order->argument, order->index));
    FAILPOINT("imaged.layer.before_mend");
    return layer_parents_mend(work->fetcher->keeper, work->fetcher->generation, work->making, work->parents,
                              work->result.parents_size, order->chains, order->index);
}

static struct error *layer_finish(struct layer_work *work)
{
    struct layer layer = {.bytes = 0};

    while (!work->is_reported) {
        TRY(watermark_write(work, work->have | UNPACK_WATERMARK_END, true));
        if (!work->is_reported)
            TRY(report_take(work));
    }
    if (strcmp(work->result.diff_id, work->diff_id) != 0)
        return error_new(ERROR_DATA_LOSS, "diff id mismatch: the configuration says %s, layer %s unpacks to %s", work->diff_id,
                         work->blob->digest, work->result.diff_id);
    TRY(parents_mend(work));
    snprintf(layer.chain, sizeof(layer.chain), "%s", work->chain);
    snprintf(layer.diff_id, sizeof(layer.diff_id), "%s", work->diff_id);
    layer.bytes = work->result.bytes;
    layer.inodes = work->result.inodes;
    FAILPOINT("imaged.layer.before_publish");
    return store_layer_publish(work->store, &layer);
}

static struct error *layer_make(struct layer_work *work)
{
    TRY(blob_open(work));
    TRY(layer_parents_open(&work->parents));
    struct error *failure = blob_complete(work);
    if (failure && work->resumed > 0 && !fetcher_error_is_passing(failure)) { /* was it the old part that is bad? Once more from nothing */
        log_warn("blob is fetched anew", "blob=%s error=%s", work->blob->digest, log_quote(failure->text));
        error_free(failure);
        unpack_end(work);
        work->is_reported = false;
        TRY(blob_forget(work));
        failure = blob_complete(work);
    }
    if (failure)
        return failure;
    return layer_finish(work);
}

struct error *layer_discard(struct store *store, struct keeper_client *keeper, uint64_t generation, const char *name)
{
    struct error *failure = NULL;

    for (unsigned attempt = 0; attempt < ATTEMPTS; attempt++) {
        if (unlinkat(store->layers_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
            return NULL;
        if (errno != ENOTEMPTY && errno != EEXIST)
            return error_errno(errno, "remove layer directory %s", name);
        error_free(failure);
        failure = unpack_job_run(keeper, generation, name, &(struct unpack_job){.count = 0});
    }
    return failure ? failure : error_new(ERROR_INTERNAL, "layer directory %s does not become empty", name);
}

static void remains_clear(struct layer_work *work, const struct error *failure)
{
    autofree char *blob_name = store_blob_name(work->chain);

    if (!failure || failure->code != ERROR_UNAVAILABLE)
        unlinkat(work->store->blobs_fd, blob_name, 0);
    if (!failure)
        return;
    struct error *left = layer_discard(work->store, work->fetcher->keeper, work->fetcher->generation, work->making);
    if (left)
        log_warn("layer directory is left to the sweeper", "layer=%s error=%s", work->chain, log_quote(left->text));
    error_free(left);
}

static void work_fini(struct layer_work *work)
{
    unpack_end(work);
    if (work->blob_fd >= 0)
        close(work->blob_fd);
    if (work->parents >= 0)
        close(work->parents);
    digest_free(work->digest);
    free(work->chunk);
    free(work->making);
}

struct error *layer_pull(struct store *store, struct fetcher *fetcher, const struct descriptor *blob, const char *diff_id,
                         const struct layer_order *order)
{
    const char *chain = order->chains[order->index];

    if (store_layer_claim(store, chain))
        return NULL;
    struct layer_work work = {
        .store = store,
        .fetcher = fetcher,
        .order = order,
        .parents = -1,
        .blob = blob,
        .chain = chain,
        .diff_id = diff_id,
        .making = store_layer_making(chain),
        .blob_fd = -1,
        .digest = digest_new(),
        .chunk = xmalloc(CHUNK_SIZE),
        .unpack = {.pidfd = -1},
        .watermark = -1,
        .report = -1,
    };
    struct error *failure = layer_make(&work);
    unpack_end(&work);
    remains_clear(&work, failure);
    work_fini(&work);
    store_layer_release(store, chain);
    return failure ? error_wrap(failure, "layer %s", blob->digest) : NULL;
}
