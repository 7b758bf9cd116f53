/* How frames from fetch become documents and streams again. */
#include "services/imaged/fetcher.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"
#include "common/memory.h"
#include "services/imaged/digest.h"

enum { ATTEMPTS = 5 };

void fetcher_init(struct fetcher *fetcher, struct keeper_client *keeper, uint64_t generation, const char *name)
{
    *fetcher = (struct fetcher){.keeper = keeper, .generation = generation, .name = xstrdup(name), .request = -1, .reply = -1};
    fetcher->child.pidfd = -1;
}

void fetcher_reset(struct fetcher *fetcher)
{
    if (fetcher->request >= 0)
        close(TAKE_FD(fetcher->request));
    if (fetcher->reply >= 0)
        close(TAKE_FD(fetcher->reply));
    child_end(fetcher->keeper, &fetcher->child);
}

void fetcher_fini(struct fetcher *fetcher)
{
    fetcher_reset(fetcher);
    free(TAKE(fetcher->name));
}

static struct error *hello_send(struct fetcher *fetcher)
{
    struct fetch_hello hello = {.version = FETCH_VERSION, .job_size = (uint32_t)fetcher->job_size};

    if (strlen(fetcher->host) >= sizeof(hello.host) || fetcher->job_size > FETCH_FIELDS_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "host or credentials are too long");
    strcpy(hello.host, fetcher->host);
    TRY(fd_write_all(fetcher->request, &hello, sizeof(hello)));
    return fd_write_all(fetcher->request, fetcher->job, fetcher->job_size);
}

static struct error *fetcher_start(struct fetcher *fetcher)
{
    int request[2], reply[2];

    if (fetcher->child.pidfd >= 0)
        return NULL;
    fetcher_reset(fetcher);
    if (pipe2(request, O_CLOEXEC) < 0)
        return error_errno(errno, "pipe");
    fetcher->request = request[1];
    autoclose int request_end = request[0];
    if (pipe2(reply, O_CLOEXEC) < 0)
        return error_errno(errno, "pipe");
    fetcher->reply = reply[0];
    autoclose int reply_end = reply[1];
    fcntl(fetcher->reply, F_SETPIPE_SZ, 1 << 20); /* fewer switches; the default does as well */
    const struct child_fds fds = {{"request", "reply"}, {request_end, reply_end}, 2};
    TRY(child_spawn(fetcher->keeper, fetcher->generation, KEEPER_FETCH, fetcher->name, &fds, &fetcher->child));
    return hello_send(fetcher);
}

/* Reads a frame's head; an ERROR frame becomes an error. */
static struct error *frame_next(struct fetcher *fetcher, struct fetch_frame *ret)
{
    TRY(child_read(&fetcher->child, fetcher->reply, ret, sizeof(*ret)));
    if (ret->size > FETCH_DATA_MAX)
        return error_new(ERROR_INTERNAL, "fetch sent a frame of %u bytes", ret->size);
    if (ret->type != FETCH_ERROR)
        return NULL;
    autofree char *text = xcalloc(1, ret->size + 1);
    TRY(child_read(&fetcher->child, fetcher->reply, text, ret->size));
    bool is_code = ret->code > ERROR_OK && ret->code <= ERROR_UNAUTHENTICATED && ret->code != ERROR_ABORTED;
    return error_new(is_code ? (enum error_code)ret->code : ERROR_INTERNAL, "%s", text);
}

static struct error *begin_read(struct fetcher *fetcher, char **ret_type)
{
    struct fetch_frame frame;

    fetcher->frame_left = 0;
    TRY(frame_next(fetcher, &frame));
    if (frame.type != FETCH_BEGIN)
        return error_new(ERROR_INTERNAL, "fetch sent frame %u first", frame.type);
    autofree char *type = xcalloc(1, frame.size + 1);
    TRY(child_read(&fetcher->child, fetcher->reply, type, frame.size));
    if (ret_type)
        *ret_type = TAKE(type);
    return NULL;
}

/* After an error that leaves fetch at a place of its own the conversation ends; a clean answer from the registry keeps it. */
static struct error *outcome(struct fetcher *fetcher, struct error *failure)
{
    if (failure && (failure->code == ERROR_ABORTED || failure->code == ERROR_INTERNAL))
        fetcher_reset(fetcher);
    return failure;
}

struct error *fetcher_ask(struct fetcher *fetcher, uint32_t kind, const char *reference, uint64_t offset, char **ret_type)
{
    struct fetch_request request = {.kind = kind, .offset = offset};

    snprintf(request.reference, sizeof(request.reference), "%s", reference);
    struct error *failure = fetcher_start(fetcher);
    if (failure) {
        fetcher_reset(fetcher);
        return failure;
    }
    failure = fd_write_all(fetcher->request, &request, sizeof(request));
    error_free(failure); /* a fetch that has ended says why, or is found dead */
    return outcome(fetcher, begin_read(fetcher, ret_type));
}

static struct error *data_read(struct fetcher *fetcher, void *data, size_t room, size_t *ret_size)
{
    struct fetch_frame frame;

    *ret_size = 0;
    if (fetcher->frame_left == 0) {
        TRY(frame_next(fetcher, &frame));
        if (frame.type == FETCH_END)
            return NULL;
        if (frame.type != FETCH_DATA || frame.size == 0)
            return error_new(ERROR_INTERNAL, "fetch sent frame %u amid data", frame.type);
        fetcher->frame_left = frame.size;
    }
    size_t size = fetcher->frame_left < room ? fetcher->frame_left : room;
    TRY(child_read(&fetcher->child, fetcher->reply, data, size));
    fetcher->frame_left -= size;
    *ret_size = size;
    return NULL;
}

struct error *fetcher_read(struct fetcher *fetcher, void *data, size_t room, size_t *ret_size)
{
    return outcome(fetcher, data_read(fetcher, data, room, ret_size));
}

bool fetcher_error_is_passing(const struct error *failure)
{
    return failure->code == ERROR_ABORTED || failure->code == ERROR_UNAVAILABLE;
}

static struct error *document_read(struct fetcher *fetcher, size_t limit, char **ret_data, size_t *ret_size)
{
    autofree char *data = NULL;
    size_t size = 0, more;

    do {
        data = xrealloc(data, size + FETCH_DATA_MAX + 1);
        TRY(fetcher_read(fetcher, data + size, FETCH_DATA_MAX, &more));
        size += more;
        if (size > limit) {
            fetcher_reset(fetcher);
            return error_new(ERROR_RESOURCE_EXHAUSTED, "it is larger than %zu bytes", limit);
        }
    } while (more > 0);
    data[size] = '\0';
    *ret_data = TAKE(data);
    *ret_size = size;
    return NULL;
}

static struct error *get_once(struct fetcher *fetcher, uint32_t kind, const char *reference, size_t limit, char **ret_data,
                              size_t *ret_size, char **ret_type)
{
    autofree char *type = NULL;

    TRY(fetcher_ask(fetcher, kind, reference, 0, &type));
    TRY(document_read(fetcher, limit, ret_data, ret_size));
    *ret_type = TAKE(type);
    return NULL;
}

static void pause_ms(unsigned ms)
{
    const struct timespec time = {ms / 1000, (long)(ms % 1000) * 1000000};

    nanosleep(&time, NULL);
}

/* A dead fetch costs an attempt, not the pull; a registry that can't be reached is the caller's to judge, who tries again later. */
static struct error *get_whole(struct fetcher *fetcher, uint32_t kind, const char *reference, size_t limit, char **ret_data,
                               size_t *ret_size, char **ret_type)
{
    for (unsigned attempt = 1;; attempt++) {
        struct error *failure = get_once(fetcher, kind, reference, limit, ret_data, ret_size, ret_type);
        if (!failure || failure->code != ERROR_ABORTED)
            return failure;
        log_warn("fetch has died", "name=%s attempt=%u error=%s", fetcher->name, attempt, log_quote(failure->text));
        if (attempt == ATTEMPTS) {
            failure->code = ERROR_UNAVAILABLE;
            return failure;
        }
        error_free(failure);
        pause_ms(50u << attempt);
    }
}

struct error *fetcher_get(struct fetcher *fetcher, uint32_t kind, const char *reference, const char *expected_digest, size_t limit,
                          char **ret_data, size_t *ret_size, char **ret_type)
{
    autofree char *data = NULL, *type = NULL;
    char digest[DIGEST_TEXT_SIZE];

    TRY(get_whole(fetcher, kind, reference, limit, &data, ret_size, &type));
    digest_of(data, *ret_size, digest);
    if (expected_digest && strcmp(digest, expected_digest) != 0)
        return error_new(ERROR_DATA_LOSS, "digest mismatch: asked for %s, got %s", expected_digest, digest);
    *ret_data = TAKE(data);
    *ret_type = TAKE(type);
    return NULL;
}
