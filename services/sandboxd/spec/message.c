/* How a message's strings are walked by its descriptor: protobuf-c takes any bytes for a string. */
#include "services/sandboxd/spec/message.h"

#include <jansson.h>
#include <stdbool.h>

static bool is_utf8(const char *text)
{
    json_t *string = json_string(text);
    bool valid = string != NULL;

    json_decref(string);
    return valid;
}

static struct error *value_check(const ProtobufCFieldDescriptor *field, const void *pointer)
{
    if (!pointer)
        return NULL;
    if (field->type == PROTOBUF_C_TYPE_MESSAGE)
        return message_check_utf8(pointer);
    if (!is_utf8(pointer))
        return error_new(ERROR_INVALID_ARGUMENT, "%s is not UTF-8", field->name);
    return NULL;
}

struct error *message_check_utf8(const ProtobufCMessage *message)
{
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        const char *place = (const char *)message + field->offset;
        if (field->type != PROTOBUF_C_TYPE_STRING && field->type != PROTOBUF_C_TYPE_MESSAGE)
            continue;
        if (field->label != PROTOBUF_C_LABEL_REPEATED) {
            TRY(value_check(field, *(void *const *)place));
            continue;
        }
        size_t count = *(const size_t *)((const char *)message + field->quantifier_offset);
        for (size_t j = 0; j < count; j++)
            TRY(value_check(field, (*(void **const *)place)[j]));
    }
    return NULL;
}
