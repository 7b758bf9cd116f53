/* How tagged fields are laid out: each field's bytes are followed by one NUL that its length does not count. */
#include "common/wire.h"

#include <string.h>

#include "common/memory.h"

struct field_header {
    uint16_t tag;
    uint16_t zero;
    uint32_t length;
};

void wire_writer_fini(struct wire_writer *writer)
{
    free(writer->data);
    *writer = (struct wire_writer){0};
}

static void make_room(struct wire_writer *writer, size_t more)
{
    if (writer->room - writer->size >= more)
        return;
    writer->room = (writer->size + more) * 2;
    writer->data = xrealloc(writer->data, writer->room);
}

void wire_put(struct wire_writer *writer, uint16_t tag, const void *data, size_t size)
{
    struct field_header header = {.tag = tag, .length = (uint32_t)size};

    make_room(writer, sizeof(header) + size + 1);
    memcpy(writer->data + writer->size, &header, sizeof(header));
    writer->size += sizeof(header);
    if (size)
        memcpy(writer->data + writer->size, data, size);
    writer->size += size;
    writer->data[writer->size++] = 0;
}

void wire_put_string(struct wire_writer *writer, uint16_t tag, const char *text)
{
    if (text)
        wire_put(writer, tag, text, strlen(text));
}

void wire_put_u64(struct wire_writer *writer, uint16_t tag, uint64_t value)
{
    wire_put(writer, tag, &value, sizeof(value));
}

static struct error *malformed(const struct wire_reader *reader, const char *how)
{
    return error_new(ERROR_INVALID_ARGUMENT, "message of %zu bytes, at byte %zu: %s", reader->size, reader->offset, how);
}

bool wire_next(struct wire_reader *reader, struct wire_field *ret_field, struct error **ret_error)
{
    struct field_header header;
    size_t left = reader->size - reader->offset;

    if (left == 0)
        return false;
    if (left < sizeof(header)) {
        *ret_error = malformed(reader, "a field's header is cut");
        return false;
    }
    memcpy(&header, reader->data + reader->offset, sizeof(header));
    if (header.zero != 0 || header.length >= left - sizeof(header)) { /* the NUL must fit too */
        *ret_error = malformed(reader, "a field leaves the message");
        return false;
    }
    const uint8_t *data = reader->data + reader->offset + sizeof(header);
    if (data[header.length] != 0) {
        *ret_error = malformed(reader, "a field is not followed by NUL");
        return false;
    }
    reader->offset += sizeof(header) + header.length + 1;
    *ret_field = (struct wire_field){.tag = header.tag, .data = data, .size = header.length};
    return true;
}

struct error *wire_string(const struct wire_field *field, const char **ret)
{
    if (memchr(field->data, 0, field->size))
        return error_new(ERROR_INVALID_ARGUMENT, "field %u: a string with a NUL inside", field->tag);
    *ret = (const char *)field->data;
    return NULL;
}

struct error *wire_u64(const struct wire_field *field, uint64_t *ret)
{
    if (field->size != sizeof(*ret))
        return error_new(ERROR_INVALID_ARGUMENT, "field %u: %zu bytes where a number has 8", field->tag, field->size);
    memcpy(ret, field->data, sizeof(*ret));
    return NULL;
}
