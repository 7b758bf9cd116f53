/* How credentials are read, and for which registry they are. */
#include "services/imaged/auth.h"

#include <openssl/evp.h>
#include <stdbool.h>
#include <string.h>

#include "common/memory.h"
#include "common/wire.h"
#include "services/imaged/fetch/protocol.h"

enum { AUTH_MAX = 16 << 10 };

static bool is_given(const char *text)
{
    return text && text[0];
}

/* "https://index.docker.io/v1/" is docker.io. */
static bool is_for(const char *server_address, const char *host)
{
    const char *scheme = strstr(server_address, "://");
    const char *from = scheme ? scheme + 3 : server_address;
    autofree char *server = xstrndup(from, strcspn(from, "/"));

    if (strcmp(server, "index.docker.io") == 0 || strcmp(server, "registry-1.docker.io") == 0)
        return strcmp(host, "docker.io") == 0;
    return strcmp(server, host) == 0;
}

/* "user:password" from base64; *ret_password is inside of *ret_user's bytes, which the caller frees. */
static struct error *basic_decode(const char *text, char **ret_user, const char **ret_password)
{
    size_t size = strlen(text);
    autofree char *plain = xcalloc(1, size + 4);

    int length = size <= AUTH_MAX ? EVP_DecodeBlock((unsigned char *)plain, (const unsigned char *)text, (int)size) : -1;
    if (length < 0)
        return error_new(ERROR_INVALID_ARGUMENT, "\"auth\" is not base64");
    char *colon = strchr(plain, ':');
    if (!colon)
        return error_new(ERROR_INVALID_ARGUMENT, "\"auth\" is not base64 of user:password");
    *colon = '\0';
    colon[1 + strcspn(colon + 1, "\n")] = '\0';
    *ret_password = colon + 1;
    *ret_user = TAKE(plain);
    return NULL;
}

static void text_put(struct wire_writer *writer, enum fetch_job_tag tag, const char *text)
{
    if (is_given(text))
        wire_put_string(writer, tag, text);
}

static struct error *credentials_put(struct wire_writer *writer, const struct pull_auth *auth)
{
    autofree char *decoded = NULL;
    const char *user = auth->username, *password = auth->password;

    if (!is_given(user) && is_given(auth->auth)) {
        TRY(basic_decode(auth->auth, &decoded, &password));
        user = decoded;
    }
    text_put(writer, FETCH_JOB_USERNAME, user);
    text_put(writer, FETCH_JOB_PASSWORD, password);
    text_put(writer, FETCH_JOB_IDENTITY_TOKEN, auth->identity_token);
    text_put(writer, FETCH_JOB_REGISTRY_TOKEN, auth->registry_token);
    if (is_given(auth->server_address)) /* who names the registry means no other, whoever stands in for it */
        text_put(writer, FETCH_JOB_SERVER_ONLY, "yes");
    return NULL;
}

struct error *auth_job_build(const struct reference *reference, const struct pull_auth *auth, uint8_t **ret_job, size_t *ret_size)
{
    struct wire_writer writer = {0};
    struct error *failure = NULL;

    wire_put_string(&writer, FETCH_JOB_REPOSITORY, reference->repository);
    if (!is_given(auth->server_address) || is_for(auth->server_address, reference->host))
        failure = credentials_put(&writer, auth);
    if (!failure && writer.size > FETCH_FIELDS_MAX)
        failure = error_new(ERROR_INVALID_ARGUMENT, "the credentials are larger than %d bytes", FETCH_FIELDS_MAX);
    if (failure) {
        wire_writer_fini(&writer);
        return failure;
    }
    *ret_size = writer.size;
    *ret_job = TAKE(writer.data);
    return NULL;
}
