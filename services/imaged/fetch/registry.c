/* How a manifest or a blob is asked of one host after the other, and what their answers mean. */
#include "services/imaged/fetch/registry.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "common/memory.h"
#include "services/imaged/fetch/frame.h"
#include "services/imaged/fetch/http.h"

static const char manifest_types[] = "application/vnd.oci.image.index.v1+json, "
                                     "application/vnd.oci.image.manifest.v1+json, "
                                     "application/vnd.docker.distribution.manifest.list.v2+json, "
                                     "application/vnd.docker.distribution.manifest.v2+json, */*;q=0.1";

struct registry {
    char *name;
    struct registry_hosts *hosts;
    char **authorizations; /* of each host, NULL where none was asked for */
    char *repository;
    struct credentials credentials;
    struct http *http;
    int reply;
    bool is_begun; /* BEGIN of this answer is sent: no other host can take over */
};

/* What this host may be shown. */
static const struct credentials *credentials_for(const struct registry *registry, const struct registry_host *host)
{
    static const struct credentials none;

    return registry->credentials.server_only && !host->is_server ? &none : &registry->credentials;
}

struct error *registry_open(const char *name, struct registry_hosts *hosts, char *repository, struct credentials *credentials,
                            int reply, struct registry **ret)
{
    struct registry *registry = xcalloc(1, sizeof(*registry));

    registry->name = xstrdup(name);
    registry->hosts = hosts;
    registry->authorizations = xcalloc(hosts->count, sizeof(char *));
    registry->repository = repository;
    registry->credentials = *credentials;
    registry->reply = reply;
    for (size_t i = 0; i < hosts->count; i++)
        registry->authorizations[i] = authorization_first(credentials_for(registry, &hosts->list[i]));
    struct error *failure = http_open(&registry->http);
    if (failure) {
        registry_close(registry);
        return failure;
    }
    *ret = registry;
    return NULL;
}

void registry_close(struct registry *registry)
{
    for (size_t i = 0; i < registry->hosts->count; i++)
        free(registry->authorizations[i]);
    free(registry->authorizations);
    registry_hosts_free(registry->hosts);
    free(registry->repository);
    credentials_fini(&registry->credentials);
    if (registry->http)
        http_close(registry->http);
    free(registry->name);
    free(registry);
}

static struct error *begin(struct registry *registry, const char *content_type)
{
    if (registry->is_begun)
        return NULL;
    registry->is_begun = true;
    return frame_send(registry->reply, FETCH_BEGIN, content_type, strlen(content_type));
}

static struct error *body_send(void *argument, const char *content_type, const void *data, size_t size)
{
    struct registry *registry = argument;

    TRY(begin(registry, content_type));
    return frame_send(registry->reply, FETCH_DATA, data, size);
}

static char *url_build(const struct registry *registry, const struct registry_host *host, const struct fetch_request *request)
{
    bool is_manifest = request->kind == FETCH_MANIFEST;
    autofree char *url = xasprintf("%s/%s/%s/%s", host->url, registry->repository, is_manifest ? "manifests" : "blobs",
                                   request->reference);

    return host->is_server ? TAKE(url) : xasprintf("%s?ns=%s", url, registry->name);
}

static void json_put(json_t **json)
{
    json_decref(*json);
}

/* The registry's own words, where it has some: {"errors": [{"code": ..., "message": ...}]}. */
static char *reason_parse(const char *body)
{
    __attribute__((cleanup(json_put))) json_t *root = json_loads(body ? body : "", 0, NULL);
    json_t *first = json_array_get(json_object_get(root, "errors"), 0);
    const char *message = json_string_value(json_object_get(first, "message"));

    return message && message[0] ? xasprintf(" (%.200s)", message) : xstrdup("");
}

static struct error *status_judge(const char *url, const struct http_response *response)
{
    autofree char *reason = reason_parse(response->body);
    enum error_code code;

    switch (response->status) {
    case 200:
    case 206:
        return NULL;
    case 400:
        code = ERROR_INVALID_ARGUMENT;
        break;
    case 401:
        code = ERROR_UNAUTHENTICATED;
        break;
    case 403:
        code = ERROR_PERMISSION_DENIED;
        break;
    case 404:
    case 410:
        code = ERROR_NOT_FOUND;
        break;
    case 416:
        code = ERROR_OUT_OF_RANGE;
        break;
    default:
        code = ERROR_UNAVAILABLE;
    }
    return error_new(code, "%s answers %ld%s", url, response->status, reason);
}

/* One request; a 401 that was answered makes *ret_again true. */
static struct error *host_ask_once(struct registry *registry, size_t index, const struct fetch_request *request,
                                   bool may_answer, bool *ret_again)
{
    const struct registry_host *host = &registry->hosts->list[index];
    autofree char *url = url_build(registry, host, request);
    struct http_response response;
    struct http_request ask = {
        .url = url,
        .host = host,
        .accept = request->kind == FETCH_MANIFEST ? manifest_types : NULL,
        .authorization = registry->authorizations[index],
        .offset = request->offset,
        .sink = body_send,
        .argument = registry,
    };

    *ret_again = false;
    struct error *failure = http_exchange(registry->http, &ask, &response);
    if (!failure && response.status == 401 && may_answer) {
        free(TAKE(registry->authorizations[index]));
        failure = authorization_get(registry->http, host, registry->repository, credentials_for(registry, host),
                                    response.challenge, &registry->authorizations[index]);
        *ret_again = !failure;
    } else if (!failure) {
        failure = status_judge(url, &response);
    }
    if (!failure && !*ret_again)
        failure = begin(registry, response.content_type); /* of an empty body */
    http_response_fini(&response);
    return failure;
}

static struct error *host_ask(struct registry *registry, size_t index, const struct fetch_request *request)
{
    bool again;

    TRY(host_ask_once(registry, index, request, true, &again));
    return again ? host_ask_once(registry, index, request, false, &again) : NULL;
}

static bool host_can(const struct registry_host *host, const struct fetch_request *request)
{
    bool is_tag = request->kind == FETCH_MANIFEST && !strchr(request->reference, ':');

    return (host->can & (is_tag ? HOSTS_CAN_RESOLVE : HOSTS_CAN_PULL)) != 0;
}

static struct error *hosts_ask(struct registry *registry, const struct fetch_request *request)
{
    struct error *failure = NULL;

    registry->is_begun = false;
    for (size_t i = 0; i < registry->hosts->count; i++) {
        if (!host_can(&registry->hosts->list[i], request))
            continue;
        struct error *next = host_ask(registry, i, request);
        if (!next || registry->is_begun || next->code == ERROR_CANCELLED) {
            error_free(failure);
            return next;
        }
        if (failure) /* the server's word comes last, and counts; the mirrors' are told with it */
            next = error_wrap(next, "%s; then", failure->text);
        error_free(failure);
        failure = next;
    }
    return failure ? failure : error_new(ERROR_UNAVAILABLE, "no host of %s may be asked for it", registry->name);
}

struct error *registry_serve(struct registry *registry, const struct fetch_request *request)
{
    autoptr(error) failure = hosts_ask(registry, request);

    if (!failure)
        return frame_send(registry->reply, FETCH_END, NULL, 0);
    if (failure->code == ERROR_CANCELLED)
        return TAKE(failure);
    return frame_send_error(registry->reply, failure);
}
