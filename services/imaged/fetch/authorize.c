/* How a token is had from a registry's token server (docker's token protocol, and its OAuth2 form for identity tokens). */
#include "services/imaged/fetch/authorize.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <string.h>

#include "common/memory.h"

void credentials_fini(struct credentials *credentials)
{
    free(TAKE(credentials->username));
    free(TAKE(credentials->password));
    free(TAKE(credentials->identity_token));
    free(TAKE(credentials->registry_token));
    free(TAKE(credentials->server_only));
}

static char *basic_build(const struct credentials *credentials)
{
    autofree char *plain = xasprintf("%s:%s", credentials->username, credentials->password ? credentials->password : "");
    size_t size = strlen(plain);
    autofree char *text = xmalloc(size * 4 / 3 + 8);

    EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)plain, (int)size);
    return xasprintf("Basic %s", text);
}

char *authorization_first(const struct credentials *credentials)
{
    return credentials->registry_token ? xasprintf("Bearer %s", credentials->registry_token) : NULL;
}

/* Percent-encodes all but the unreserved characters. */
static char *url_escape(const char *text)
{
    static const char digits[] = "0123456789ABCDEF";
    char *escaped = xmalloc(strlen(text) * 3 + 1), *end = escaped;

    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;
        if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~", byte)) {
            *end++ = (char)byte;
        } else {
            *end++ = '%';
            *end++ = digits[byte >> 4];
            *end++ = digits[byte & 15];
        }
    }
    *end = '\0';
    return escaped;
}

static void json_put(json_t **json)
{
    json_decref(*json);
}

static struct error *token_parse(const char *body, char **ret)
{
    __attribute__((cleanup(json_put))) json_t *root = json_loads(body ? body : "", 0, NULL);
    const char *token = json_string_value(json_object_get(root, "token"));

    if (!token)
        token = json_string_value(json_object_get(root, "access_token"));
    if (!token || strpbrk(token, "\r\n"))
        return error_new(ERROR_UNAUTHENTICATED, "the token server's answer has no token");
    *ret = xasprintf("Bearer %s", token);
    return NULL;
}

static struct error *token_ask(struct http *http, const struct http_request *request, char **ret)
{
    struct http_response response;
    struct error *failure = http_exchange(http, request, &response);

    if (!failure && response.status >= 500)
        failure = error_new(ERROR_UNAVAILABLE, "token server %s answers %ld", request->url, response.status);
    else if (!failure && response.status != 200)
        failure = error_new(ERROR_UNAUTHENTICATED, "token server %s answers %ld", request->url, response.status);
    if (!failure)
        failure = token_parse(response.body, ret);
    http_response_fini(&response);
    return failure;
}

static struct error *token_get(struct http *http, const struct registry_host *host, const char *scope,
                               const struct credentials *credentials, const struct challenge *challenge, char **ret)
{
    autofree char *service = url_escape(challenge->service ? challenge->service : "");
    autofree char *escaped_scope = url_escape(challenge->scope ? challenge->scope : scope);
    autofree char *query = xasprintf("service=%s&scope=%s", service, escaped_scope);
    autofree char *url = xasprintf("%s%c%s", challenge->realm, strchr(challenge->realm, '?') ? '&' : '?', query);
    autofree char *authorization = credentials->username ? basic_build(credentials) : NULL;
    struct http_request request = {.url = url, .host = host, .authorization = authorization};

    if (!credentials->identity_token)
        return token_ask(http, &request, ret);
    autofree char *token = url_escape(credentials->identity_token);
    autofree char *form = xasprintf("grant_type=refresh_token&client_id=bulkhead&refresh_token=%s&%s", token, query);
    request = (struct http_request){.url = challenge->realm, .host = host, .form = form};
    return token_ask(http, &request, ret);
}

static struct error *realm_check(const struct registry_host *host, const struct challenge *challenge)
{
    bool host_is_https = strncmp(host->url, "https:", 6) == 0;

    if (!challenge->realm)
        return error_new(ERROR_UNAUTHENTICATED, "the registry names no token server");
    if (strncmp(challenge->realm, "https://", 8) != 0 && (host_is_https || strncmp(challenge->realm, "http://", 7) != 0))
        return error_new(ERROR_UNAUTHENTICATED, "token server \"%s\" is not to be trusted with credentials", challenge->realm);
    return NULL;
}

static struct error *challenge_answer(struct http *http, const struct registry_host *host, const char *scope,
                                      const struct credentials *credentials, const struct challenge *challenge, char **ret)
{
    if (challenge->scheme == CHALLENGE_BEARER) {
        TRY(realm_check(host, challenge));
        return token_get(http, host, scope, credentials, challenge, ret);
    }
    if (challenge->scheme == CHALLENGE_NONE)
        return error_new(ERROR_UNAUTHENTICATED, "the registry asks for a proof that is neither Basic nor Bearer");
    if (!credentials->username)
        return error_new(ERROR_UNAUTHENTICATED, "the registry asks for a user and password, and none were given");
    *ret = basic_build(credentials);
    return NULL;
}

struct error *authorization_get(struct http *http, const struct registry_host *host, const char *repository,
                                const struct credentials *credentials, const char *challenge, char **ret)
{
    struct challenge parsed;
    autofree char *scope = xasprintf("repository:%s:pull", repository);

    challenge_parse(challenge ? challenge : "", &parsed);
    struct error *failure = challenge_answer(http, host, scope, credentials, &parsed, ret);
    challenge_fini(&parsed);
    return failure;
}
