/* The bytes that a test container of a given seed writes. */
#include "tests/integration/logd/output.h"

#include <string.h>

uint64_t random_next(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545F4914F6CDD1DULL;
}

void output_init(struct output *output, uint64_t seed)
{
    output->random = seed * 2 + 1;
    output->position = 0;
    output->size = output->at = 0;
}

static size_t record_size(uint64_t *random)
{
    uint64_t kind = random_next(random) % 100, size = random_next(random);

    if (kind < 70)
        return size % 200;
    if (kind < 90)
        return size % 4096;
    return size % (OUTPUT_RECORD_MAX + 1);
}

void output_next(struct output *output)
{
    size_t size = record_size(&output->random);
    uint64_t shape = random_next(&output->random);

    for (size_t i = 0; i < size; i += 8) {
        uint64_t word = random_next(&output->random);
        if (shape % 4 != 0) /* text, so that there are long lines too */
            word = (word & 0x1f1f1f1f1f1f1f1fULL) | 0x4040404040404040ULL;
        memcpy(output->record + i, &word, 8);
    }
    output->size = size;
    output->at = 0;
    if (shape / 4 % 8 != 0)
        output->record[output->size++] = '\n';
}

bool output_matches(struct output *output, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        while (output->at == output->size)
            output_next(output);
        size_t part = output->size - output->at < size ? output->size - output->at : size;
        if (memcmp(output->record + output->at, bytes, part) != 0)
            return false;
        output->at += part;
        output->position += part;
        bytes += part;
        size -= part;
    }
    return true;
}

void output_skip(struct output *output, uint64_t count)
{
    while (count > 0) {
        while (output->at == output->size)
            output_next(output);
        uint64_t part = output->size - output->at < count ? output->size - output->at : count;
        output->at += part;
        output->position += part;
        count -= part;
    }
}
