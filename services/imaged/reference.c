/* How the text of an image reference is taken apart, by the grammar of distribution's reference package. */
#include "services/imaged/reference.h"

#include <ctype.h>
#include <string.h>

#include "common/memory.h"
#include "services/imaged/digest.h"

enum { NAME_MAX_SIZE = 255, TAG_MAX_SIZE = 128 };

void reference_free(struct reference *reference)
{
    if (!reference)
        return;
    free(reference->host);
    free(reference->repository);
    free(reference->tag);
    free(reference->digest);
    free(reference);
}

static bool is_lower_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* A path component: runs of [a-z0-9] with single separators between: ".", "_", "__", or any number of "-". */
static bool component_is_valid(const char *text, size_t length)
{
    size_t i = 0;

    while (i < length && is_lower_alnum(text[i])) {
        while (i < length && is_lower_alnum(text[i]))
            i++;
        if (i == length)
            return true;
        if (text[i] == '.')
            i++;
        else if (text[i] == '_')
            i += i + 1 < length && text[i + 1] == '_' ? 2 : 1;
        else
            while (i < length && text[i] == '-')
                i++;
    }
    return false;
}

static bool repository_is_valid(const char *text)
{
    for (;;) {
        size_t length = strcspn(text, "/");
        if (!component_is_valid(text, length))
            return false;
        if (!text[length])
            return true;
        text += length + 1;
    }
}

static bool tag_is_valid(const char *text)
{
    size_t length = strlen(text);

    if (length == 0 || length > TAG_MAX_SIZE || text[0] == '.' || text[0] == '-')
        return false;
    return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == length;
}

static bool label_is_valid(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (!isalnum((unsigned char)text[i]) && (text[i] != '-' || i == 0 || i + 1 == length))
            return false;
    }
    return length > 0;
}

static bool port_is_valid(const char *text)
{
    size_t length = strlen(text);

    return length > 0 && length <= 5 && strspn(text, "0123456789") == length;
}

static bool host_is_valid(const char *host)
{
    const char *at = host;

    if (*at == '[') {
        size_t length = strspn(at + 1, "0123456789abcdefABCDEF:");
        if (length < 2 || at[1 + length] != ']')
            return false;
        at += length + 2;
    } else {
        for (;; at++) {
            size_t length = strcspn(at, ".:");
            if (!label_is_valid(at, length))
                return false;
            at += length;
            if (*at != '.')
                break;
        }
    }
    return *at == '\0' || (*at == ':' && port_is_valid(at + 1));
}

/* Is the first component a host? docker's rule: it has a dot or a colon, is "localhost", or has capital letters. */
static bool is_host(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '.' || text[i] == ':' || isupper((unsigned char)text[i]))
            return true;
    }
    return length == 9 && strncmp(text, "localhost", 9) == 0;
}

static void name_split(const char *name, struct reference *reference)
{
    size_t length = strcspn(name, "/");

    if (name[length] && is_host(name, length)) {
        reference->host = xstrndup(name, length);
        name += length + 1;
    } else {
        reference->host = xstrdup("docker.io");
    }
    if (strcmp(reference->host, "index.docker.io") == 0) {
        free(reference->host);
        reference->host = xstrdup("docker.io");
    }
    bool is_official = strcmp(reference->host, "docker.io") == 0 && !strchr(name, '/');
    reference->repository = is_official ? xasprintf("library/%s", name) : xstrdup(name);
}

static struct error *invalid(const char *text, const char *what)
{
    return error_new(ERROR_INVALID_ARGUMENT, "image reference \"%.300s\": %s", text, what);
}

static struct error *reference_check(const char *text, const struct reference *reference)
{
    if (reference->digest && !digest_is_valid(reference->digest))
        return invalid(text, "its digest is not sha256: and 64 hex digits");
    if (reference->tag && !tag_is_valid(reference->tag))
        return invalid(text, "its tag is not 1 to 128 of letters, digits, _ . -");
    if (!host_is_valid(reference->host))
        return invalid(text, "its registry is no host name");
    if (strlen(reference->host) + 1 + strlen(reference->repository) > NAME_MAX_SIZE)
        return invalid(text, "its name is longer than 255 bytes");
    if (strpbrk(reference->repository, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
        return invalid(text, "its repository has capital letters");
    if (!repository_is_valid(reference->repository))
        return invalid(text, "its repository is not lower-case words between slashes");
    return NULL;
}

struct error *reference_parse(const char *text, struct reference **ret)
{
    autoptr(reference) reference = xcalloc(1, sizeof(*reference));
    autofree char *name = xstrdup(text);

    if (text[0] == '\0')
        return error_new(ERROR_INVALID_ARGUMENT, "the image reference is empty");
    char *at = strchr(name, '@');
    if (at) {
        reference->digest = xstrdup(at + 1);
        *at = '\0';
    }
    char *slash = strrchr(name, '/');
    char *colon = strchr(slash ? slash : name, ':');
    if (colon) {
        reference->tag = xstrdup(colon + 1);
        *colon = '\0';
    }
    if (!at && digest_is_valid(text))
        return invalid(text, "it is an id, not a name to pull");
    name_split(name, reference);
    if (!reference->tag && !reference->digest)
        reference->tag = xstrdup("latest");
    TRY(reference_check(text, reference));
    *ret = TAKE(reference);
    return NULL;
}

char *reference_name(const struct reference *reference)
{
    return xasprintf("%s/%s", reference->host, reference->repository);
}

char *reference_tagged(const struct reference *reference)
{
    if (!reference->tag)
        return NULL;
    return xasprintf("%s/%s:%s", reference->host, reference->repository, reference->tag);
}

char *reference_digested(const struct reference *reference, const char *digest)
{
    return xasprintf("%s/%s@%s", reference->host, reference->repository, digest);
}

char *reference_format(const struct reference *reference)
{
    return reference->digest ? reference_digested(reference, reference->digest) : reference_tagged(reference);
}

bool reference_is_id(const char *text)
{
    size_t skip = strncmp(text, "sha256:", 7) == 0 ? 7 : 0;
    size_t length = strlen(text + skip);

    return length >= 1 && length <= 64 && strspn(text + skip, "0123456789abcdef") == length;
}

bool reference_is_name(const char *text)
{
    const char *slash = strrchr(text, '/');

    return !strchr(text, '@') && !strchr(slash ? slash : text, ':');
}
