/* How JSON web tokens are made, and for whom. */
#include "tests/integration/imaged/token_server.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/memory.h"
#include "tests/integration/imaged/bench.h"

enum { LIFETIME_S = 600 };

static char *base64(const void *data, size_t size)
{
    char *text = xmalloc(size * 4 / 3 + 8);

    EVP_EncodeBlock((unsigned char *)text, data, (int)size);
    return text;
}

static char *base64_url(const void *data, size_t size)
{
    char *text = base64(data, size);

    for (char *at = text; *at; at++) {
        if (*at == '+')
            *at = '-';
        else if (*at == '/')
            *at = '_';
    }
    text[strcspn(text, "=")] = '\0';
    return text;
}

static char *signature_make(const struct token_server *server, const char *text)
{
    unsigned char signature[1024];
    size_t size = sizeof(signature);
    EVP_MD_CTX *context = EVP_MD_CTX_new();

    assert_int_equal(EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, server->key), 1);
    assert_int_equal(EVP_DigestSign(context, signature, &size, (const unsigned char *)text, strlen(text)), 1);
    EVP_MD_CTX_free(context);
    return base64_url(signature, size);
}

static char *token_of(const struct token_server *server, const char *access)
{
    long long now = time(NULL);
    autofree char *head = xasprintf("{\"typ\": \"JWT\", \"alg\": \"RS256\", \"x5c\": [\"%s\"]}", server->certificate);
    autofree char *claims =
        xasprintf("{\"iss\": \"test-issuer\", \"aud\": \"test-registry\", \"sub\": \"user\", \"jti\": \"1\", "
                  "\"nbf\": %lld, \"iat\": %lld, \"exp\": %lld, \"access\": [%s]}",
                  now - 60, now - 60, now + LIFETIME_S, access);
    autofree char *head_text = base64_url(head, strlen(head)), *claims_text = base64_url(claims, strlen(claims));
    autofree char *signed_text = xasprintf("%s.%s", head_text, claims_text);
    autofree char *signature = signature_make(server, signed_text);

    return xasprintf("%s.%s", signed_text, signature);
}

char *token_sign(const struct token_server *server, const char *repository)
{
    autofree char *access =
        xasprintf("{\"type\": \"repository\", \"name\": \"%s\", \"actions\": [\"pull\"]}", repository);

    return token_of(server, access);
}

/* The repository of "scope=repository%3ANAME%3Apull", with its slashes escaped. The caller frees it; NULL: no such
 * scope. */
static char *scope_repository(const char *query)
{
    const char *from = strstr(query, "scope=repository%3A"), *end = from ? strstr(from + 19, "%3Apull") : NULL;

    if (!end)
        return NULL;
    char *name = xstrndup(from + 19, (size_t)(end - from - 19));
    for (char *slash; (slash = strstr(name, "%2F"));) {
        *slash = '/';
        memmove(slash + 1, slash + 3, strlen(slash + 3) + 1);
    }
    return name;
}

/* In the web server's thread. */
static void token_answer(void *argument, const struct web_request *request, struct web_answer *answer)
{
    struct token_server *server = argument;
    bool is_post = strcmp(request->method, "POST") == 0;
    autofree char *repository = scope_repository(is_post ? request->body : request->path);
    autofree char *grant = xasprintf("grant_type=refresh_token&client_id=bulkhead&refresh_token=%s&", server->refresh);
    bool is_known = is_post ? strstr(request->body, grant) != NULL : strcmp(request->authorization, server->basic) == 0;
    bool is_anonymous = !is_post && request->authorization[0] == '\0';

    server->asked++;
    free(TAKE(server->answer));
    if (!repository || !strstr(is_post ? request->body : request->path, "service=test-registry") ||
        (!is_known && !is_anonymous)) {
        *answer = (struct web_answer){.status = 401};
        return;
    }
    autofree char *token = is_known ? token_sign(server, repository) : token_of(server, "");
    server->answer = xasprintf("{\"%s\": \"%s\"}", is_post ? "access_token" : "token", token);
    *answer = (struct web_answer){
        .status = 200, .type = "application/json", .body = server->answer, .size = strlen(server->answer)};
}

static char *certificate_load(const char *path)
{
    unsigned char *der = NULL;
    FILE *file = fopen(path, "re");
    X509 *certificate = file ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;

    assert_non_null(certificate);
    int size = i2d_X509(certificate, &der);
    assert_true(size > 0);
    char *text = base64(der, (size_t)size);
    OPENSSL_free(der);
    X509_free(certificate);
    fclose(file);
    return text;
}

void token_server_open(struct token_server *server, const char *key, const char *certificate)
{
    FILE *file = fopen(key, "re");

    server->key = file ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : NULL;
    assert_non_null(server->key);
    fclose(file);
    server->certificate = certificate_load(certificate);
    fine(web_open(token_answer, server, &server->web));
}

void token_server_close(struct token_server *server)
{
    web_close(server->web);
    EVP_PKEY_free(server->key);
    free(server->certificate);
    free(server->answer);
}
