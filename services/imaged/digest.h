/* SHA-256 digests as OCI writes them, "sha256:" and 64 hex digits. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

enum { DIGEST_TEXT_SIZE = 72, DIGEST_HEX_SIZE = 65 };

struct digest;

struct digest *digest_new(void);
void digest_free(struct digest *digest);
DEFINE_AUTOPTR(digest)
void digest_add(struct digest *digest, const void *data, size_t size);

/* Writes the text and begins anew. */
void digest_finish(struct digest *digest, char text[DIGEST_TEXT_SIZE]);

void digest_of(const void *data, size_t size, char text[DIGEST_TEXT_SIZE]);

/* Is this "sha256:" and 64 lower-case hex digits? (No other algorithm is known here.) */
bool digest_is_valid(const char *text);

/* The hex part of a valid digest. */
const char *digest_hex(const char *text);

/* The chain id of a layer above the chain `below` (NULL: the lowest). */
void digest_chain(const char *below, const char *diff_id, char text[DIGEST_TEXT_SIZE]);
