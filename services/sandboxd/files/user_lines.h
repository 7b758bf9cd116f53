/* The lines of /etc/passwd and /etc/group, read from bytes that a container's image made. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "services/sandboxd/files/user.h"

/* A piece of the file, not NUL-terminated. */
struct slice {
    const char *data;
    size_t size;
};

struct passwd_line {
    struct slice name;
    uint32_t uid;
    uint32_t gid;
};

struct group_line {
    struct slice name;
    uint32_t gid;
    struct slice members; /* "a,b,c" */
};

bool slice_is(struct slice slice, const char *text);

/* A decimal number without sign, 0..2147483647. */
bool slice_number(struct slice slice, uint32_t *ret);

/* The next line that parses, from *offset on; false at the end. Others are skipped. */
bool passwd_next(const struct user_file *file, size_t *offset, struct passwd_line *ret);
bool group_next(const struct user_file *file, size_t *offset, struct group_line *ret);

bool group_has_member(const struct group_line *line, struct slice name);
