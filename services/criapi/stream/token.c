/* What a token looks like. */
#include "services/criapi/stream/token.h"

#include <string.h>

static const char hexadecimal[] = "0123456789abcdef";

static const struct {
    const char *prefix;
    enum stream_kind kind;
} kinds[] = {
    {"/exec/", STREAM_EXEC},
    {"/attach/", STREAM_ATTACH},
    {"/portforward/", STREAM_PORT_FORWARD},
};

static const char *kind_parse(const char *path, enum stream_kind *ret)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        size_t length = strlen(kinds[i].prefix);
        if (strncmp(path, kinds[i].prefix, length) == 0) {
            *ret = kinds[i].kind;
            return path + length;
        }
    }
    return NULL;
}

struct error *token_parse(const char *path, struct token *ret)
{
    struct token token = {0};
    const char *text = kind_parse(path, &token.kind);

    if (!text)
        return error_new(ERROR_NOT_FOUND, "no such path");
    size_t pod = strspn(text, hexadecimal);
    if (pod == 0 || pod >= STREAM_POD_SIZE || text[pod] != '-')
        return error_new(ERROR_NOT_FOUND, "no such token");
    const char *secret = text + pod + 1;
    if (strspn(secret, hexadecimal) != STREAM_SECRET_SIZE - 1 || secret[STREAM_SECRET_SIZE - 1] != '\0')
        return error_new(ERROR_NOT_FOUND, "no such token");
    memcpy(token.pod, text, pod);
    memcpy(token.secret, secret, STREAM_SECRET_SIZE - 1);
    *ret = token;
    return NULL;
}
