/* How bytes and errors are framed on their way to imaged. */
#include "services/imaged/fetch/frame.h"

#include <string.h>

#include "common/fd.h"

static struct error *one_send(int reply, const struct fetch_frame *frame, const void *data)
{
    struct error *failure = fd_write_all(reply, frame, sizeof(*frame));

    if (!failure && frame->size > 0)
        failure = fd_write_all(reply, data, frame->size);
    if (failure)
        failure->code = ERROR_CANCELLED;
    return failure;
}

struct error *frame_send(int reply, enum fetch_frame_type type, const void *data, size_t size)
{
    const char *from = data;

    do {
        size_t part = size < FETCH_DATA_MAX ? size : FETCH_DATA_MAX;
        struct fetch_frame frame = {.type = type, .size = (uint32_t)part};
        TRY(one_send(reply, &frame, from));
        from += part;
        size -= part;
    } while (size > 0);
    return NULL;
}

struct error *frame_send_error(int reply, const struct error *failure)
{
    size_t size = strlen(failure->text);
    struct fetch_frame frame = {.type = FETCH_ERROR, .code = (int32_t)failure->code};

    frame.size = (uint32_t)(size < 4096 ? size : 4096);
    return one_send(reply, &frame, failure->text);
}
