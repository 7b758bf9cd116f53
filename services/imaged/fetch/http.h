/* One HTTP exchange at a time. libcurl is included by http.c alone. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "services/imaged/fetch/hosts.h"

struct http;

struct http_request {
    const char *url;
    const struct registry_host *host;  /* its TLS settings */
    const char *accept;                /* NULL: none */
    const char *authorization;         /* the whole value, or NULL */
    const char *form;                  /* POSTed if not NULL */
    uint64_t offset;                   /* bytes before it are not given to sink, wherever the server begins */

    /* Called with each piece of a 200's or 206's body; an error ends the exchange and is returned. NULL: the body is collected. */
    struct error *(*sink)(void *argument, const char *content_type, const void *data, size_t size);
    void *argument;
};

struct http_response {
    long status;
    char *content_type; /* "" if none was sent */
    char *challenge;    /* all WWW-Authenticate values joined, or NULL */
    char *body;         /* NUL-terminated, cut at 1 MiB; of an error, or when there was no sink */
    size_t body_size;
};

void http_response_fini(struct http_response *response);

struct error *http_open(struct http **ret) __attribute__((warn_unused_result));
void http_close(struct http *http);

/* Goes through the exchange; any status is a success. UNAVAILABLE: no connection, TLS that does not hold, a transfer cut or stalled for
 * 60 s. The caller calls http_response_fini in any case. */
struct error *http_exchange(struct http *http, const struct http_request *request, struct http_response *ret)
    __attribute__((warn_unused_result));
