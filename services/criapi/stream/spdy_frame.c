/* How SPDY's frames lie on the wire. */
#include "services/criapi/stream/spdy_frame.h"

uint32_t spdy_number(const uint8_t *data)
{
    return (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3];
}

void spdy_number_format(uint32_t number, uint8_t *data)
{
    for (int i = 0; i < 4; i++)
        data[i] = (uint8_t)(number >> (24 - 8 * i));
}

void spdy_frame_parse(const uint8_t head[SPDY_HEAD_SIZE], struct spdy_frame *ret)
{
    uint32_t first = spdy_number(head), second = spdy_number(head + 4);

    *ret =
        (struct spdy_frame){.is_control = first >> 31, .flags = (uint8_t)(second >> 24), .length = second & 0xffffff};
    if (ret->is_control) {
        ret->version = (first >> 16) & 0x7fff;
        ret->type = first & 0xffff;
    } else {
        ret->stream_id = first;
    }
}

void spdy_frame_format(const struct spdy_frame *frame, uint8_t head[SPDY_HEAD_SIZE])
{
    uint32_t first = frame->is_control ? 1u << 31 | (uint32_t)frame->version << 16 | frame->type : frame->stream_id;

    spdy_number_format(first, head);
    spdy_number_format((uint32_t)frame->flags << 24 | frame->length, head + 4);
}

bool spdy_setting_find(const uint8_t *payload, size_t size, uint32_t id, uint32_t *ret)
{
    if (size < 4)
        return false;
    uint32_t count = spdy_number(payload);
    if (count > (size - 4) / 8)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *entry = payload + 4 + 8 * i;
        if ((spdy_number(entry) & 0xffffff) == id) {
            *ret = spdy_number(entry + 4);
            return true;
        }
    }
    return false;
}
