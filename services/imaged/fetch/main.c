/* fetch leads one conversation with a registry for imaged, and writes to nothing but its pipe. */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "common/fd.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/service.h"
#include "common/wire.h"
#include "services/imaged/fetch/frame.h"
#include "services/imaged/fetch/privileges.h"
#include "services/imaged/fetch/registry.h"
#include "services/imaged/inherited.h"

struct fetch {
    int request;
    int reply;
    struct fetch_hello hello;
    struct registry_hosts *hosts;
    struct registry *registry;
};

/* Reads exactly size bytes; NOT_FOUND: the pipe has ended before the first. */
static struct error *read_exactly(int fd, void *data, size_t size)
{
    char *to = data;

    for (size_t left = size; left > 0;) {
        ssize_t count = read(fd, to, left);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return error_errno(errno, "read request");
        if (count == 0)
            return error_new(left == size ? ERROR_NOT_FOUND : ERROR_DATA_LOSS, "the request pipe has ended");
        to += count;
        left -= (size_t)count;
    }
    return NULL;
}

static struct error *hello_read(struct fetch *fetch)
{
    struct fetch_hello *hello = &fetch->hello;

    TRY(read_exactly(fetch->request, hello, sizeof(*hello)));
    hello->host[FETCH_HOST_SIZE - 1] = '\0';
    if (hello->version != FETCH_VERSION || hello->job_size > FETCH_FIELDS_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "a hello of version %u", hello->version);
    size_t length = strspn(hello->host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]");
    if (hello->host[0] == '\0' || hello->host[0] == '.' || hello->host[length] != '\0')
        return error_new(ERROR_INVALID_ARGUMENT, "the registry's name is none");
    return NULL;
}

/* As root: the operator's own files, which may be nobody else's to read. */
static struct error *fetch_open(struct fetch *fetch, int argc, char **argv)
{
    autoptr(config) config = NULL;

    TRY(config_from_arguments(&argc, argv, &config));
    TRY(hello_read(fetch));
    struct error *hosts_failure = registry_hosts_load(config->registry_config_path, fetch->hello.host, &fetch->hosts);
    struct error *failure = service_confine(config, &fetch_privileges);
    if (!failure)
        return hosts_failure;
    error_free(hosts_failure);
    return failure;
}

static void job_field_take(const struct wire_field *field, const char *text, char **repository, struct credentials *credentials)
{
    char **places[] = {
        [FETCH_JOB_REPOSITORY] = repository,
        [FETCH_JOB_USERNAME] = &credentials->username,
        [FETCH_JOB_PASSWORD] = &credentials->password,
        [FETCH_JOB_IDENTITY_TOKEN] = &credentials->identity_token,
        [FETCH_JOB_REGISTRY_TOKEN] = &credentials->registry_token,
        [FETCH_JOB_SERVER_ONLY] = &credentials->server_only,
    };

    if (field->tag < FETCH_JOB_REPOSITORY || field->tag > FETCH_JOB_SERVER_ONLY)
        return;
    free(*places[field->tag]);
    *places[field->tag] = xstrdup(text);
}

static struct error *job_parse(const uint8_t *data, size_t size, char **repository, struct credentials *credentials)
{
    struct wire_reader reader = {.data = data, .size = size};
    struct wire_field field;
    struct error *failure = NULL;

    while (wire_next(&reader, &field, &failure)) {
        const char *text;
        TRY(wire_string(&field, &text));
        job_field_take(&field, text, repository, credentials);
    }
    if (!failure && !*repository)
        return error_new(ERROR_INVALID_ARGUMENT, "a job without its repository");
    return failure;
}

static struct error *job_read(struct fetch *fetch)
{
    autofree uint8_t *data = xmalloc(fetch->hello.job_size + 1);
    struct credentials credentials = {0};
    char *repository = NULL;

    TRY(read_exactly(fetch->request, data, fetch->hello.job_size));
    struct error *failure = job_parse(data, fetch->hello.job_size, &repository, &credentials);
    if (!failure)
        return registry_open(fetch->hello.host, TAKE(fetch->hosts), repository, &credentials, fetch->reply, &fetch->registry);
    credentials_fini(&credentials);
    free(repository);
    return failure;
}

static struct error *fetch_run(struct fetch *fetch)
{
    struct fetch_request request;

    for (;;) {
        struct error *failure = read_exactly(fetch->request, &request, sizeof(request));
        if (failure && failure->code == ERROR_NOT_FOUND) { /* no more work */
            error_free(failure);
            return NULL;
        }
        if (failure)
            return failure;
        request.reference[sizeof(request.reference) - 1] = '\0';
        TRY(registry_serve(fetch->registry, &request));
    }
}

int main(int argc, char **argv)
{
    struct fetch fetch = {.request = inherited_fd("request"), .reply = inherited_fd("reply")};

    signal(SIGPIPE, SIG_IGN);
    log_open("fetch", LOG_LEVEL_INFO);
    struct error *failure = fetch_open(&fetch, argc, argv);
    if (!failure)
        failure = job_read(&fetch);
    if (failure)
        error_free(frame_send_error(fetch.reply, failure)); /* nobody reads it: imaged has died */
    else
        failure = fetch_run(&fetch);
    bool is_failed = failure && failure->code != ERROR_CANCELLED;
    if (is_failed)
        log_warn("fetch failed", "host=%s error=%s", log_quote(fetch.hello.host), log_quote(failure->text));
    error_free(failure);
    if (fetch.registry)
        registry_close(fetch.registry);
    registry_hosts_free(fetch.hosts);
    return is_failed ? 1 : 0;
}
