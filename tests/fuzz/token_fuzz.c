/* Tokens: what is taken as one may become a part of a file's path. */
#include <stdlib.h>
#include <string.h>

#include "services/criapi/stream/token.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char hexadecimal[] = "0123456789abcdef";
    char *path = calloc(1, size + 1);
    struct token token;

    memcpy(path, data, size);
    struct error *failure = token_parse(path, &token);
    if (!failure) {
        size_t pod = strlen(token.pod), secret = strlen(token.secret);
        if (pod == 0 || strspn(token.pod, hexadecimal) != pod || secret != 32 ||
            strspn(token.secret, hexadecimal) != 32)
            abort();
    } else if (failure->code != ERROR_NOT_FOUND) {
        abort();
    }
    error_free(failure);
    free(path);
    return 0;
}
