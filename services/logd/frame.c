/* The text of a container's log: CRI's line format. */
#include "services/logd/frame.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { PREFIX_MAX = 64 };

/* `2026-01-02T03:04:05.123456789Z stdout F `; nine digits always, so that all lines of a stream are as long. */
static size_t prefix_format(uint32_t stream, int64_t timestamp_ns, char prefix[PREFIX_MAX])
{
    time_t seconds = timestamp_ns / 1000000000;
    struct tm tm;

    gmtime_r(&seconds, &tm);
    size_t size = strftime(prefix, PREFIX_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
    size += (size_t)snprintf(prefix + size, PREFIX_MAX - size, ".%09dZ %s F ", (int)(timestamp_ns % 1000000000),
                             stream == 0 ? "stdout" : "stderr");
    return size;
}

struct line {
    size_t content;
    size_t taken; /* content, and the newline of a whole line */
    bool whole;
};

/* The next line of what is left; false when it must wait for more bytes. A line of exactly the maximum stays one line. */
static bool line_next(const uint8_t *bytes, size_t size, bool flush, struct line *ret)
{
    size_t window = size > FRAME_CONTENT_MAX ? FRAME_CONTENT_MAX + 1 : size;
    const uint8_t *newline = window > 0 ? memchr(bytes, '\n', window) : NULL;

    if (newline) {
        size_t content = (size_t)(newline - bytes);
        *ret = (struct line){.content = content, .taken = content + 1, .whole = true};
        return true;
    }
    if (size > FRAME_CONTENT_MAX)
        size = FRAME_CONTENT_MAX;
    else if (!flush || size == 0)
        return false;
    *ret = (struct line){.content = size, .taken = size};
    return true;
}

static size_t line_write(uint8_t *out, const char *prefix, size_t prefix_size, const uint8_t *content,
                         const struct line *line)
{
    memcpy(out, prefix, prefix_size);
    out[prefix_size - 2] = line->whole ? 'F' : 'P';
    memcpy(out + prefix_size, content, line->content);
    out[prefix_size + line->content] = '\n';
    return prefix_size + line->content + 1;
}

void frame_bytes(const struct frame_input *input, uint8_t *out, struct frame_output *ret)
{
    char prefix[PREFIX_MAX];
    size_t prefix_size = prefix_format(input->stream, input->timestamp_ns, prefix);
    struct line line;

    *ret = (struct frame_output){.mid = input->mid};
    while (line_next(input->bytes + ret->consumed, input->size - ret->consumed, input->flush, &line)) {
        if (ret->length + prefix_size + line.content + 1 > FRAME_ROOM)
            break;
        ret->length += line_write(out + ret->length, prefix, prefix_size, input->bytes + ret->consumed, &line);
        ret->consumed += line.taken;
        ret->mid = !line.whole;
    }
}

size_t frame_marker(uint32_t stream, int64_t timestamp_ns, uint64_t dropped_bytes, uint8_t *out)
{
    char prefix[PREFIX_MAX];

    prefix_format(stream, timestamp_ns, prefix);
    return (size_t)snprintf((char *)out, FRAME_ROOM, "%s[bulkhead: dropped %llu bytes]\n", prefix,
                            (unsigned long long)dropped_bytes);
}
