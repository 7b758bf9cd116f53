/* The encoding of messages to and from the shim: tagged fields that a root process can read without a parser library.
 * A field is tag (u16), zero (u16), length (u32), then its bytes; unknown tags are skipped, a tag may repeat. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

enum { WIRE_SIZE_MAX = 128 << 10 }; /* one message; more than wmem_max's half is refused by the kernel */

struct wire_writer {
    uint8_t *data; /* owned */
    size_t size;
    size_t room;
};

struct wire_field {
    uint16_t tag;
    const uint8_t *data; /* inside the reader's bytes; strings are followed by a NUL that is not in size */
    size_t size;
};

struct wire_reader {
    const uint8_t *data;
    size_t size;
    size_t offset;
};

void wire_writer_fini(struct wire_writer *writer);
void wire_put(struct wire_writer *writer, uint16_t tag, const void *data, size_t size);
void wire_put_string(struct wire_writer *writer, uint16_t tag, const char *text); /* NULL puts nothing */
void wire_put_u64(struct wire_writer *writer, uint16_t tag, uint64_t value);

/* The next field; false at the end. A field that leaves the bounds, or a string tag without its NUL, sets *ret_error. */
bool wire_next(struct wire_reader *reader, struct wire_field *ret_field, struct error **ret_error);

/* The field as a NUL-terminated string without inner NULs, or an INVALID_ARGUMENT error. Points into the message. */
struct error *wire_string(const struct wire_field *field, const char **ret) __attribute__((warn_unused_result));
struct error *wire_u64(const struct wire_field *field, uint64_t *ret) __attribute__((warn_unused_result));
