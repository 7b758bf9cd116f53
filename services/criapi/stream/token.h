/* A session's token, POD-SECRET, and the path of a request that carries it. */
#pragma once

#include "common/error.h"
#include "common/stream_protocol.h"

struct token {
    enum stream_kind kind;
    char pod[STREAM_POD_SIZE];
    char secret[STREAM_SECRET_SIZE];
};

/* Parses the path of a URL, "/exec/TOKEN", without its query. NOT_FOUND for all that is not exactly one. The pod's id
 * is lower-case hexadecimal digits only, so that it may become a part of a file's path. */
struct error *token_parse(const char *path, struct token *ret) __attribute__((warn_unused_result));
