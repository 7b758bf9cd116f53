/* What libhttp_parser's callbacks collect of a request's head. */
#include "services/criapi/stream/http_head.h"

#include <http_parser.h>
#include <string.h>
#include <strings.h>

#include "common/memory.h"

struct reading {
    struct http_head *head;
    char *url;
    bool in_value; /* the last callback was a field's value */
    bool is_whole;
    bool is_too_much;
};

static char *text_extend(char *text, const char *more, size_t length)
{
    size_t old = text ? strlen(text) : 0;

    text = xrealloc(text, old + length + 1);
    memcpy(text + old, more, length);
    text[old + length] = '\0';
    return text;
}

static int on_url(http_parser *parser, const char *data, size_t length)
{
    struct reading *reading = parser->data;

    reading->url = text_extend(reading->url, data, length);
    return 0;
}

static int on_field(http_parser *parser, const char *data, size_t length)
{
    struct reading *reading = parser->data;
    struct http_head *head = reading->head;

    if (reading->in_value || head->count == 0) {
        if (head->count == HTTP_FIELDS_MAX) {
            reading->is_too_much = true;
            return -1;
        }
        head->fields[head->count++] = (struct http_field){.value = xstrdup("")};
        reading->in_value = false;
    }
    struct http_field *field = &head->fields[head->count - 1];
    field->name = text_extend(field->name, data, length);
    return 0;
}

static int on_value(http_parser *parser, const char *data, size_t length)
{
    struct reading *reading = parser->data;
    struct http_field *field = &reading->head->fields[reading->head->count - 1];

    field->value = text_extend(field->value, data, length);
    reading->in_value = true;
    return 0;
}

/* 2: no body is to be parsed, what follows belongs to another protocol. */
static int on_whole(http_parser *parser)
{
    struct reading *reading = parser->data;
    bool has_length = parser->content_length != 0 && parser->content_length != UINT64_MAX;

    reading->head->method = xstrdup(http_method_str(parser->method));
    reading->head->has_body = has_length || (parser->flags & F_CHUNKED);
    reading->is_whole = true;
    return 2;
}

static void url_split(struct http_head *head, const char *url)
{
    size_t path = strcspn(url, "?#");

    head->path = xstrndup(url, path);
    const char *query = url[path] == '?' ? url + path + 1 : "";
    head->query = xstrndup(query, strcspn(query, "#"));
}

static struct error *reading_end(struct reading *reading, const http_parser *parser, size_t size)
{
    if (reading->is_whole && reading->url) {
        url_split(reading->head, reading->url);
        return NULL;
    }
    if (reading->is_too_much || size >= HTTP_HEAD_MAX)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "the request's head is too large");
    if (HTTP_PARSER_ERRNO(parser) != HPE_OK)
        return error_new(ERROR_INVALID_ARGUMENT, "malformed request: %s",
                         http_errno_description(HTTP_PARSER_ERRNO(parser)));
    return NULL;
}

struct error *http_head_parse(const void *data, size_t size, struct http_head **ret, size_t *ret_used)
{
    static const http_parser_settings settings = {
        .on_url = on_url, .on_header_field = on_field, .on_header_value = on_value, .on_headers_complete = on_whole};
    autoptr(http_head) head = xcalloc(1, sizeof(*head));
    struct reading reading = {.head = head};
    http_parser parser;

    http_parser_init(&parser, HTTP_REQUEST);
    parser.data = &reading;
    size_t bounded = size < HTTP_HEAD_MAX ? size : HTTP_HEAD_MAX;
    size_t used = http_parser_execute(&parser, &settings, data, bounded);
    struct error *failure = reading_end(&reading, &parser, size);
    free(reading.url);
    *ret = NULL;
    if (!failure && head->path) {
        *ret = TAKE(head);
        *ret_used = used;
    }
    return failure;
}

void http_head_free(struct http_head *head)
{
    if (!head)
        return;
    for (size_t i = 0; i < head->count; i++) {
        free(head->fields[i].name);
        free(head->fields[i].value);
    }
    free(head->method);
    free(head->path);
    free(head->query);
    free(head);
}

const char *http_head_find(const struct http_head *head, const char *name)
{
    for (size_t i = 0; i < head->count; i++)
        if (strcasecmp(head->fields[i].name, name) == 0)
            return head->fields[i].value;
    return NULL;
}

/* Appends the elements of one value. */
static char **list_extend(char **list, size_t *count, const char *value)
{
    while (*value) {
        value += strspn(value, ", \t");
        size_t length = strcspn(value, ",");
        size_t end = length;
        while (end > 0 && (value[end - 1] == ' ' || value[end - 1] == '\t'))
            end--;
        if (end > 0) {
            list = xreallocarray(list, *count + 2, sizeof(*list));
            list[(*count)++] = xstrndup(value, end);
        }
        value += length;
    }
    return list;
}

char **http_head_list(const struct http_head *head, const char *name)
{
    char **list = xcalloc(1, sizeof(*list));
    size_t count = 0;

    for (size_t i = 0; i < head->count; i++)
        if (strcasecmp(head->fields[i].name, name) == 0)
            list = list_extend(list, &count, head->fields[i].value);
    list[count] = NULL;
    return list;
}

void http_list_free(char **list)
{
    for (char **element = list; element && *element; element++)
        free(*element);
    free(list);
}

bool http_head_lists(const struct http_head *head, const char *name, const char *token)
{
    char **list = http_head_list(head, name);
    bool is_found = false;

    for (char **element = list; *element; element++)
        is_found = is_found || strcasecmp(*element, token) == 0;
    http_list_free(list);
    return is_found;
}
