/* Who a container's process runs as: decided from what was asked and the text of its /etc/passwd and /etc/group. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

enum { USER_FILE_MAX = 8 << 20 /* a longer passwd or group is refused */, USER_GROUPS_MAX = 65536 /* as the kernel */ };

/* A file's text; data NULL: there is no such file. No NUL need follow. */
struct user_file {
    const char *data;
    size_t size;
};

struct user_request {
    const char *user;       /* "", "NAME", "UID", "NAME:GROUP", "UID:GID" ... as images say it; NULL or "": root */
    const int64_t *uid;     /* instead of user; NULL: not given */
    const int64_t *gid;     /* instead of the user's own group; NULL: not given */
    const uint32_t *groups; /* supplementary ones, beside those of /etc/group */
    size_t group_count;
    bool is_strict;         /* those alone, not what /etc/group says of the user */
};

struct user {
    uint32_t uid;
    uint32_t gid;
    uint32_t *groups; /* all supplementary groups, the primary one among them, none twice */
    size_t group_count;
};

void user_free(struct user *user);
DEFINE_AUTOPTR(user)

/* As containerd does: a number needs no entry (its group is then 0), a name does. NOT_FOUND when the user or the group
 * is in no file, INVALID_ARGUMENT for numbers outside 0..2147483647. Lines that do not parse are skipped. */
struct error *user_resolve(const struct user_request *request, const struct user_file *passwd,
                           const struct user_file *group, struct user **ret) __attribute__((warn_unused_result));
