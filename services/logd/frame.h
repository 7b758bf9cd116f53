/* What logd appends to a log file for bytes that a container wrote. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FRAME_CONTENT_MAX = 16 << 10, /* of one line, as containerd's default; a longer line goes on in the next, tagged P */
    FRAME_ROOM = 1 << 20,         /* the output buffer: any batch fits in part, any line fits whole */
};

struct frame_input {
    const uint8_t *bytes;
    size_t size;
    uint32_t stream;      /* 0 stdout, 1 stderr */
    int64_t timestamp_ns; /* CLOCK_REALTIME, for every line */
    bool flush;           /* an unfinished rest goes out too, as P */
    bool mid;             /* the stream's last line in the log is unfinished */
};

struct frame_output {
    size_t consumed; /* bytes of the input that are in the output */
    size_t length;   /* bytes of output */
    bool mid;
};

/* Writes lines `TIME stdout|stderr P|F content\n` into out (FRAME_ROOM bytes) until input or room ends. Pure: the same input gives the same
 * output, and framing the consumed bytes again with `flush` gives the same output too. */
void frame_bytes(const struct frame_input *input, uint8_t *out, struct frame_output *ret);

/* The line that tells of dropped bytes. Returns its length. */
size_t frame_marker(uint32_t stream, int64_t timestamp_ns, uint64_t dropped_bytes, uint8_t *out);
