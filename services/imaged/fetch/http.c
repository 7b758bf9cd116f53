/* How libcurl is told what to do, and what it says becomes an error of ours. */
#include "services/imaged/fetch/http.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#include "common/memory.h"

enum { BODY_MAX = 1 << 20, CONNECT_TIMEOUT_S = 20, STALL_S = 60, REDIRECTS_MAX = 10 };

struct http {
    CURL *curl;
};

struct exchange {
    const struct http_request *request;
    struct http_response *response;
    CURL *curl;
    uint64_t skip; /* bytes that were not asked for and still come */
    bool is_begun;
    struct error *failure; /* of the sink */
};

void http_response_fini(struct http_response *response)
{
    free(TAKE(response->content_type));
    free(TAKE(response->challenge));
    free(TAKE(response->body));
}

struct error *http_open(struct http **ret)
{
    struct http *http = xcalloc(1, sizeof(*http));

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || !(http->curl = curl_easy_init())) {
        free(http);
        return error_new(ERROR_INTERNAL, "libcurl does not start");
    }
    *ret = http;
    return NULL;
}

void http_close(struct http *http)
{
    curl_easy_cleanup(http->curl);
    free(http);
}

static size_t header_take(char *data, size_t one, size_t size, void *argument)
{
    static const char name[] = "www-authenticate:";
    struct exchange *exchange = argument;
    struct http_response *response = exchange->response;

    (void)one;
    if (size >= 5 && memcmp(data, "HTTP/", 5) == 0)
        http_response_fini(response); /* what came before was a redirect's */
    if (size > sizeof(name) - 1 && strncasecmp(data, name, sizeof(name) - 1) == 0) {
        autofree char *value = xstrndup(data + sizeof(name) - 1, size - sizeof(name) + 1);
        autofree char *before = response->challenge;
        value[strcspn(value, "\r\n")] = '\0';
        response->challenge = before ? xasprintf("%s, %s", before, value) : xstrdup(value);
    }
    return size;
}

static void response_describe(struct exchange *exchange)
{
    const char *type = NULL;

    curl_easy_getinfo(exchange->curl, CURLINFO_RESPONSE_CODE, &exchange->response->status);
    curl_easy_getinfo(exchange->curl, CURLINFO_CONTENT_TYPE, &type);
    free(exchange->response->content_type);
    exchange->response->content_type = xstrdup(type ? type : "");
}

static void body_collect(struct http_response *response, const char *data, size_t size)
{
    if (size > BODY_MAX - response->body_size)
        size = BODY_MAX - response->body_size;
    response->body = xrealloc(response->body, response->body_size + size + 1);
    memcpy(response->body + response->body_size, data, size);
    response->body_size += size;
    response->body[response->body_size] = '\0';
}

static size_t body_take(char *data, size_t one, size_t size, void *argument)
{
    struct exchange *exchange = argument;
    const struct http_request *request = exchange->request;
    size_t all = size;

    (void)one;
    if (!exchange->is_begun) {
        response_describe(exchange);
        exchange->skip = exchange->response->status == 206 ? 0 : request->offset;
        exchange->is_begun = true;
    }
    if (!request->sink || (exchange->response->status != 200 && exchange->response->status != 206)) {
        body_collect(exchange->response, data, size);
        return all;
    }
    size_t skipped = exchange->skip < size ? exchange->skip : size;
    exchange->skip -= skipped;
    if (size > skipped)
        exchange->failure = request->sink(request->argument, exchange->response->content_type, data + skipped, size - skipped);
    return exchange->failure ? 0 : all;
}

static void pem_set(CURL *curl, CURLoption option, const char *pem)
{
    struct curl_blob blob = {(void *)pem, pem ? strlen(pem) : 0, CURL_BLOB_COPY};

    if (pem)
        curl_easy_setopt(curl, option, &blob);
}

static void options_set_tls(CURL *curl, const struct registry_host *host)
{
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, host->skip_verify ? 0L : 1L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, host->skip_verify ? 0L : 2L);
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    pem_set(curl, CURLOPT_CAINFO_BLOB, host->ca);
    pem_set(curl, CURLOPT_SSLCERT_BLOB, host->client_cert);
    pem_set(curl, CURLOPT_SSLKEY_BLOB, host->client_key);
}

/* A redirect never leads from https to http; libcurl takes Authorization away when the host changes. */
static void options_set_redirects(CURL *curl, const char *url)
{
    bool is_https = strncmp(url, "https:", 6) == 0;

    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, is_https ? "https" : "http,https");
}

static void header_add(struct curl_slist **list, const char *name, const char *value)
{
    if (!value)
        return;
    autofree char *line = xasprintf("%s: %s", name, value);
    *list = curl_slist_append(*list, line);
}

static void options_set(CURL *curl, const struct http_request *request, struct exchange *exchange)
{
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, request->url);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "bulkhead/" BULKHEAD_VERSION);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)STALL_S);
    curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, 256L << 10);
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, header_take);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, exchange);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, body_take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, exchange);
    if (request->form)
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->form);
    options_set_redirects(curl, request->url);
    options_set_tls(curl, request->host);
}

static struct error *exchange_end(struct exchange *exchange, CURLcode result, const char *detail)
{
    if (exchange->failure)
        return exchange->failure;
    if (result != CURLE_OK)
        return error_new(ERROR_UNAVAILABLE, "%s: %s", exchange->request->url,
                         detail[0] ? detail : curl_easy_strerror(result));
    response_describe(exchange);
    return NULL;
}

struct error *http_exchange(struct http *http, const struct http_request *request, struct http_response *ret)
{
    struct exchange exchange = {.request = request, .response = ret, .curl = http->curl};
    char detail[CURL_ERROR_SIZE] = "", range[32];
    struct curl_slist *headers = NULL;

    *ret = (struct http_response){.status = 0};
    options_set(http->curl, request, &exchange);
    header_add(&headers, "Accept", request->accept);
    header_add(&headers, "Authorization", request->authorization);
    snprintf(range, sizeof(range), "%llu-", (unsigned long long)request->offset);
    if (request->offset > 0)
        curl_easy_setopt(http->curl, CURLOPT_RANGE, range);
    curl_easy_setopt(http->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(http->curl, CURLOPT_ERRORBUFFER, detail);
    CURLcode result = curl_easy_perform(http->curl);
    struct error *failure = exchange_end(&exchange, result, detail);
    curl_easy_setopt(http->curl, CURLOPT_ERRORBUFFER, NULL);
    curl_slist_free_all(headers);
    return failure;
}
