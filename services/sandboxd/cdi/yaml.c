/* How YAML becomes JSON: the types of plain scalars, and the limits. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <yaml.h>

#include "services/sandboxd/cdi/cdi.h"

enum { DEPTH_MAX = 64 };

struct reading {
    yaml_parser_t parser;
    yaml_event_t event;
    bool has_event;
};

static struct error *wrong_here(const struct reading *reading, const char *what)
{
    return error_new(ERROR_INVALID_ARGUMENT, "line %zu: %s", reading->event.start_mark.line + 1, what);
}

static struct error *next(struct reading *reading)
{
    if (reading->has_event)
        yaml_event_delete(&reading->event);
    reading->has_event = yaml_parser_parse(&reading->parser, &reading->event);
    if (reading->has_event)
        return NULL;
    return error_new(ERROR_INVALID_ARGUMENT, "line %zu: %s", reading->parser.problem_mark.line + 1,
                     reading->parser.problem ? reading->parser.problem : "no YAML");
}

static bool is_one_of(const char *text, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(text, *list) == 0)
            return true;
    return false;
}

/* 10, -3, 0x1b, 0o17, 017 */
static bool integer_parse(const char *text, json_int_t *ret)
{
    const char *digits = text + (text[0] == '-' || text[0] == '+');
    bool is_octal = digits[0] == '0' && (digits[1] == 'o' || (digits[1] >= '0' && digits[1] <= '7'));
    int base = is_octal ? 8 : strncasecmp(digits, "0x", 2) == 0 ? 16 : 10;
    const char *from = digits + (is_octal && digits[1] == 'o' ? 2 : 0);
    char *end;

    if (digits[0] < '0' || digits[0] > '9')
        return false;
    errno = 0;
    long long value = strtoll(from, &end, base);
    if (errno || *end || end == from)
        return false;
    *ret = text[0] == '-' ? -value : value;
    return true;
}

static json_t *plain_scalar(const char *text, size_t size)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const trues[] = {"true", "True", "TRUE", NULL}, *const falses[] = {"false", "False", "FALSE", NULL};
    json_int_t integer;

    if (strlen(text) == size && is_one_of(text, nulls))
        return json_null();
    if (is_one_of(text, trues))
        return json_true();
    if (is_one_of(text, falses))
        return json_false();
    return integer_parse(text, &integer) ? json_integer(integer) : json_stringn(text, size);
}

static struct error *node_read(struct reading *reading, unsigned depth, json_t **ret);

static struct error *scalar_read(struct reading *reading, json_t **ret)
{
    const char *text = (const char *)reading->event.data.scalar.value;
    size_t size = reading->event.data.scalar.length;
    bool is_plain = reading->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE && reading->event.data.scalar.plain_implicit;

    *ret = is_plain ? plain_scalar(text, size) : json_stringn(text, size);
    return *ret ? NULL : wrong_here(reading, "a text is not UTF-8");
}

static struct error *sequence_read(struct reading *reading, unsigned depth, json_t *list)
{
    for (;;) {
        json_t *item;
        TRY(next(reading));
        if (reading->event.type == YAML_SEQUENCE_END_EVENT)
            return NULL;
        TRY(node_read(reading, depth + 1, &item));
        json_array_append_new(list, item);
    }
}

static struct error *mapping_read(struct reading *reading, unsigned depth, json_t *object)
{
    for (;;) {
        json_t *value;
        TRY(next(reading));
        if (reading->event.type == YAML_MAPPING_END_EVENT)
            return NULL;
        if (reading->event.type != YAML_SCALAR_EVENT)
            return wrong_here(reading, "a key is no text");
        autofree char *key = strdup((const char *)reading->event.data.scalar.value);
        if (!key || json_object_get(object, key))
            return wrong_here(reading, "a key stands twice");
        TRY(next(reading));
        TRY(node_read(reading, depth + 1, &value));
        if (json_object_set_new(object, key, value) < 0)
            return wrong_here(reading, "a key is not UTF-8");
    }
}

/* The node that begins with the present event. */
static struct error *node_read(struct reading *reading, unsigned depth, json_t **ret)
{
    bool is_sequence = reading->event.type == YAML_SEQUENCE_START_EVENT;

    if (depth > DEPTH_MAX)
        return wrong_here(reading, "nested too deep");
    if (reading->event.type == YAML_ALIAS_EVENT)
        return wrong_here(reading, "aliases are not taken");
    if (reading->event.type == YAML_SCALAR_EVENT)
        return scalar_read(reading, ret);
    if (!is_sequence && reading->event.type != YAML_MAPPING_START_EVENT)
        return wrong_here(reading, "there is no value");
    json_t *node = is_sequence ? json_array() : json_object();
    struct error *failure = is_sequence ? sequence_read(reading, depth, node) : mapping_read(reading, depth, node);
    if (failure)
        json_decref(node);
    else
        *ret = node;
    return failure;
}

/* One document, and nothing behind it. */
static struct error *document_read(struct reading *reading, json_t **ret)
{
    TRY(next(reading)); /* the stream's start */
    TRY(next(reading));
    if (reading->event.type != YAML_DOCUMENT_START_EVENT)
        return wrong_here(reading, "there is no document");
    TRY(next(reading));
    return node_read(reading, 0, ret);
}

static struct error *end_read(struct reading *reading)
{
    TRY(next(reading)); /* the document's end */
    TRY(next(reading));
    return reading->event.type == YAML_STREAM_END_EVENT ? NULL : wrong_here(reading, "there is a second document");
}

struct error *cdi_yaml_parse(const char *data, size_t size, json_t **ret)
{
    struct reading reading = {0};
    json_t *root = NULL;

    if (!yaml_parser_initialize(&reading.parser))
        return error_new(ERROR_RESOURCE_EXHAUSTED, "no YAML parser can be made");
    yaml_parser_set_input_string(&reading.parser, (const unsigned char *)data, size);
    struct error *failure = document_read(&reading, &root);
    if (!failure)
        failure = end_read(&reading);
    if (reading.has_event)
        yaml_event_delete(&reading.event);
    yaml_parser_delete(&reading.parser);
    if (failure)
        json_decref(root);
    else
        *ret = root;
    return failure;
}
