/* HTTP heads and request lines: read by the piece and at once, which must come to the same. */
#include <stdlib.h>
#include <string.h>

#include "services/criapi/stream/http_head.h"
#include "services/criapi/stream/token.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_head *head = NULL, *early = NULL;
    struct token token;
    size_t used = 0, early_used = 0;
    struct error *failure = http_head_parse(data, size, &head, &used);

    if (failure && head)
        abort();
    if (head) {
        if (used > size || used > HTTP_HEAD_MAX)
            abort();
        struct error *same = http_head_parse(data, used, &early, &early_used);
        if (same || !early || early_used != used || strcmp(early->path, head->path) != 0 || early->count != head->count)
            abort();
        error_free(token_parse(head->path, &token));
        http_list_free(http_head_list(head, "Connection"));
    }
    error_free(failure);
    http_head_free(head);
    http_head_free(early);
    return 0;
}
