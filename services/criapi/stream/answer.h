/* HTTP answers, as bytes. Pure. */
#pragma once

#include <stddef.h>

/* A refusal as Go's net/http writes it: "HTTP/1.1 404 Not Found", plain text, and the connection's end. `fields` are
 * whole lines with their CRLF, or "". The caller frees it. */
char *answer_error(int status, const char *fields, const char *text);

/* 101 Switching Protocols with these fields. The caller frees it. */
char *answer_upgrade(const char *fields);
