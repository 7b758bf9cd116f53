/* An error's text, as much of it as fits a gRPC trailer. */
#pragma once

#include <stddef.h>

/* Trailers above 8 KB are refused by many clients, and gRPC writes up to three bytes for one. */
enum { STATUS_TEXT_MAX = 2000 };

/* How many bytes of text to send: all, or at most STATUS_TEXT_MAX without cutting through a UTF-8 character. */
size_t status_text_size(const char *text);
