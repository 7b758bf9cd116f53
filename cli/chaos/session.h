/* One streaming exec session, from its URL to its exit code. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

struct session_plan {
    bool is_spdy;      /* else WebSocket */
    unsigned lines;    /* that are sent and come back */
    unsigned pause_ms; /* between them */
    int code;
};

/* For /bin/sh -c: answers each line of its input, and ends with the code. The caller frees it. */
char *session_script(const struct session_plan *plan);

/* Opens the URL and plays the client's part. An error says what came instead; a cut connection is UNAVAILABLE. */
struct error *session_run(const char *url, const struct session_plan *plan) __attribute__((warn_unused_result));

/* "http://HOST:PORT/PATH", HOST possibly in brackets. The caller frees the host; the path points into url. */
struct error *url_split(const char *url, char **ret_host, uint16_t *ret_port, const char **ret_path)
    __attribute__((warn_unused_result));
