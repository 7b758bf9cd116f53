/* What the test's containers say: a stream of bytes that two can make alike, the writer and the one that reads the log. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OUTPUT_RECORD_MAX = 100 << 10 };

struct output {
    uint64_t random;
    uint64_t position; /* bytes that were given out */
    size_t size, at;   /* of the record in hand */
    uint8_t record[OUTPUT_RECORD_MAX + 16];
};

void output_init(struct output *output, uint64_t seed);

/* The next record, whole: text, binary, with and without a newline at the end, 0 to 100 KiB. */
void output_next(struct output *output);

/* Are these the next bytes? Goes past them if so. */
bool output_matches(struct output *output, const uint8_t *bytes, size_t size);

void output_skip(struct output *output, uint64_t count);

/* xorshift64*: fast, and the same everywhere. */
uint64_t random_next(uint64_t *state);
