/* Image references, as docker writes and reads them. Pure. */
#pragma once

#include <stdbool.h>

#include "common/error.h"

struct reference {
    char *host;       /* "docker.io", "localhost:5000" */
    char *repository; /* "library/busybox" */
    char *tag;        /* NULL when there is only a digest */
    char *digest;     /* "sha256:...", or NULL */
};

/* Parses and normalizes: "busybox" becomes docker.io/library/busybox:latest. INVALID_ARGUMENT says what is wrong. */
struct error *reference_parse(const char *text, struct reference **ret) __attribute__((warn_unused_result));
void reference_free(struct reference *reference);
DEFINE_AUTOPTR(reference)

/* "docker.io/library/busybox"; the caller frees these. */
char *reference_name(const struct reference *reference);
/* The name with its tag; NULL when it has none. */
char *reference_tagged(const struct reference *reference);
/* The name at this digest. */
char *reference_digested(const struct reference *reference, const char *digest);
/* What names it best: with the digest if there is one (docker then ignores the tag), else with the tag. */
char *reference_format(const struct reference *reference);

/* Could the text be an image's id, whole or cut short: hex digits, perhaps behind "sha256:"? */
bool reference_is_id(const char *text);

/* Is it a name alone, with neither tag nor digest? (A port is neither.) */
bool reference_is_name(const char *text);
