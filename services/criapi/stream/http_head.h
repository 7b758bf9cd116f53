/* The head of a request: its first line and its fields, as libhttp_parser reads them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

enum { HTTP_HEAD_MAX = 16384, HTTP_FIELDS_MAX = 100 };

struct http_field {
    char *name;
    char *value;
};

struct http_head {
    char *method; /* "GET" */
    char *path;   /* as sent, undecoded, without the query */
    char *query;  /* "" where there is none */
    bool has_body;
    struct http_field fields[HTTP_FIELDS_MAX];
    size_t count;
};

/* Parses what has come so far. *ret is NULL while the head is not whole; then *ret_used is its length in bytes.
 * INVALID_ARGUMENT: malformed; RESOURCE_EXHAUSTED: longer than HTTP_HEAD_MAX or more fields than HTTP_FIELDS_MAX. */
struct error *http_head_parse(const void *data, size_t size, struct http_head **ret, size_t *ret_used)
    __attribute__((warn_unused_result));
void http_head_free(struct http_head *head);
DEFINE_AUTOPTR(http_head)

/* The first field of that name, in any case, or NULL. */
const char *http_head_find(const struct http_head *head, const char *name);

/* Does one of the fields of that name list the token, in any case, between commas? */
bool http_head_lists(const struct http_head *head, const char *name, const char *token);

/* The elements of all fields of that name, split at commas and trimmed, NULL-terminated; the caller frees each and all.
 */
char **http_head_list(const struct http_head *head, const char *name);
void http_list_free(char **list);
