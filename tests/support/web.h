/* A web server of a test's own, on a free port of loopback: what it answers is the test's to say, and where it breaks
 * off. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

struct web;

struct web_request {
    const char *method;
    const char *path;          /* with its query */
    const char *authorization; /* "" if there is none */
    const char *body;          /* "" if there is none */
    uint64_t offset;           /* of "Range: bytes=OFFSET-", 0 if there is none */
};

struct web_answer {
    int status;         /* 0: the connection is closed without an answer */
    const char *type;   /* Content-Type, or NULL */
    const char *header; /* one more, as "Name: value", or NULL */
    const void *body;
    size_t size;
    size_t cut; /* the connection breaks off that many bytes before the body's end */
};

/* Called in the server's thread, one request after the other; *answer is zero. What it points to must last until the
 * next call. */
typedef void (*web_handler)(void *argument, const struct web_request *request, struct web_answer *answer);

struct error *web_open(web_handler handler, void *argument, struct web **ret) __attribute__((warn_unused_result));
void web_close(struct web *web);
unsigned web_port(const struct web *web);
