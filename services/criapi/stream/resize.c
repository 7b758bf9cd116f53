/* What a terminal's size looks like on its channel (k8s.io/client-go/tools/remotecommand.TerminalSize). */
#include "services/criapi/stream/resize.h"

#include <jansson.h>
#include <string.h>

/* Objects within the object are refused: so the first closing brace ends it. */
static size_t message_length(const uint8_t *data, size_t size)
{
    const uint8_t *brace = memchr(data, '}', size);

    return brace ? (size_t)(brace - data) + 1 : 0;
}

static bool number_get(const json_t *json, const char *name, unsigned short *ret)
{
    const json_t *value = json_object_get(json, name);
    json_int_t number = json_integer_value(value);

    if (!json_is_integer(value) || number < 0 || number > UINT16_MAX)
        return false;
    *ret = (unsigned short)number;
    return true;
}

enum resize_result resize_parse(const uint8_t *data, size_t size, size_t *ret_used, struct winsize *ret)
{
    size_t length = message_length(data, size);

    *ret_used = length;
    if (length == 0)
        return size > RESIZE_MAX ? RESIZE_INVALID : RESIZE_NONE;
    if (length > RESIZE_MAX)
        return RESIZE_INVALID;
    json_t *json = json_loadb((const char *)data, length, 0, NULL);
    struct winsize found = {0};
    bool is_valid = json && number_get(json, "Width", &found.ws_col) && number_get(json, "Height", &found.ws_row);
    json_decref(json);
    if (!is_valid)
        return RESIZE_INVALID;
    *ret = found;
    return RESIZE_FOUND;
}
