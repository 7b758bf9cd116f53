/* How bytes get their OCI digest. */
#include "services/imaged/digest.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "common/memory.h"

enum { HASH_SIZE = 32 };

static const char prefix[] = "sha256:";

struct digest {
    EVP_MD_CTX *context;
};

static void must(int ok)
{
    if (ok != 1)
        abort(); /* SHA-256 fails only when memory is out */
}

struct digest *digest_new(void)
{
    struct digest *digest = xcalloc(1, sizeof(*digest));

    digest->context = EVP_MD_CTX_new();
    must(digest->context && EVP_DigestInit_ex(digest->context, EVP_sha256(), NULL));
    return digest;
}

void digest_free(struct digest *digest)
{
    if (!digest)
        return;
    EVP_MD_CTX_free(digest->context);
    free(digest);
}

void digest_add(struct digest *digest, const void *data, size_t size)
{
    must(EVP_DigestUpdate(digest->context, data, size));
}

void digest_finish(struct digest *digest, char text[DIGEST_TEXT_SIZE])
{
    unsigned char hash[EVP_MAX_MD_SIZE];

    must(EVP_DigestFinal_ex(digest->context, hash, NULL));
    must(EVP_DigestInit_ex(digest->context, EVP_sha256(), NULL));
    strcpy(text, prefix);
    for (size_t i = 0; i < HASH_SIZE; i++)
        snprintf(text + sizeof(prefix) - 1 + 2 * i, 3, "%02x", hash[i]);
}

void digest_of(const void *data, size_t size, char text[DIGEST_TEXT_SIZE])
{
    autoptr(digest) digest = digest_new();

    digest_add(digest, data, size);
    digest_finish(digest, text);
}

bool digest_is_valid(const char *text)
{
    if (strncmp(text, prefix, sizeof(prefix) - 1) != 0)
        return false;
    const char *hex = text + sizeof(prefix) - 1;
    return strlen(hex) == 2 * HASH_SIZE && strspn(hex, "0123456789abcdef") == 2 * HASH_SIZE;
}

const char *digest_hex(const char *text)
{
    return text + sizeof(prefix) - 1;
}

void digest_chain(const char *below, const char *diff_id, char text[DIGEST_TEXT_SIZE])
{
    char both[2 * DIGEST_TEXT_SIZE];

    if (!below) {
        snprintf(text, DIGEST_TEXT_SIZE, "%s", diff_id);
        return;
    }
    int size = snprintf(both, sizeof(both), "%s %s", below, diff_id);
    digest_of(both, (size_t)size, text);
}
