/* How a user as an image or the CRI names it becomes a uid, a gid and supplementary groups, as containerd decides it.
 */
#include "services/sandboxd/files/user.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/memory.h"
#include "services/sandboxd/files/user_lines.h"

void user_free(struct user *user)
{
    if (!user)
        return;
    free(user->groups);
    free(user);
}

/* One more than is allowed is kept, so that the caller sees it. */
static void user_add_group(struct user *user, uint32_t gid)
{
    if (user->group_count > USER_GROUPS_MAX)
        return;
    for (size_t i = 0; i < user->group_count; i++) {
        if (user->groups[i] == gid)
            return;
    }
    user->groups = xreallocarray(user->groups, user->group_count + 1, sizeof(*user->groups));
    user->groups[user->group_count++] = gid;
}

static struct error *file_check(const struct user_file *file, const char *name)
{
    if (file->data && file->size > USER_FILE_MAX)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "the container's %s has %zu bytes, %d are allowed", name, file->size,
                         USER_FILE_MAX);
    return NULL;
}

static bool passwd_find(const struct user_file *passwd, bool by_uid, uint32_t uid, struct slice name,
                        struct passwd_line *ret)
{
    size_t offset = 0;

    while (passwd_next(passwd, &offset, ret)) {
        if (by_uid ? ret->uid == uid : ret->name.size == name.size && !memcmp(ret->name.data, name.data, name.size))
            return true;
    }
    return false;
}

/* Digits alone mean a number, even one that is too large: it must never be taken for a name or wrap around. */
static bool is_number(struct slice slice)
{
    for (size_t i = slice.size && slice.data[0] == '-' ? 1 : 0; i < slice.size; i++) {
        if (slice.data[i] < '0' || slice.data[i] > '9')
            return false;
    }
    return slice.size > 0 && !(slice.size == 1 && slice.data[0] == '-');
}

static struct error *number_parse(struct slice slice, const char *what, uint32_t *ret)
{
    if (slice_number(slice, ret))
        return NULL;
    return error_new(ERROR_INVALID_ARGUMENT, "%s %.*s is not in 0..2147483647", what, (int)slice.size, slice.data);
}

/* *ret_name is the entry's name, for the groups that list it; empty where there is none. */
static struct error *user_find(struct slice who, const struct user_file *passwd, struct user *user,
                               struct slice *ret_name)
{
    struct passwd_line line;
    bool by_uid = is_number(who);

    if (by_uid)
        TRY(number_parse(who, "user", &user->uid));
    if (passwd_find(passwd, by_uid, user->uid, who, &line)) {
        user->uid = line.uid;
        user->gid = line.gid;
        *ret_name = line.name;
        return NULL;
    }
    if (by_uid)
        return NULL;
    return error_new(ERROR_NOT_FOUND, "no user \"%.*s\" in the container's /etc/passwd%s", (int)who.size, who.data,
                     passwd->data ? "" : ", which does not exist");
}

static struct error *group_find(struct slice who, const struct user_file *group, uint32_t *ret_gid)
{
    struct group_line line;
    size_t offset = 0;

    if (is_number(who))
        return number_parse(who, "group", ret_gid);
    while (group_next(group, &offset, &line)) {
        if (line.name.size == who.size && memcmp(line.name.data, who.data, who.size) == 0) {
            *ret_gid = line.gid;
            return NULL;
        }
    }
    return error_new(ERROR_NOT_FOUND, "no group \"%.*s\" in the container's /etc/group%s", (int)who.size, who.data,
                     group->data ? "" : ", which does not exist");
}

/* A user's own group by name is no supplementary one; the primary gid comes first in any case. */
static void user_add_member_groups(struct user *user, struct slice name, const struct user_file *group)
{
    struct group_line line;
    size_t offset = 0;

    while (name.size > 0 && group_next(group, &offset, &line)) {
        bool is_own = line.name.size == name.size && memcmp(line.name.data, name.data, name.size) == 0;
        if (!is_own && group_has_member(&line, name))
            user_add_group(user, line.gid);
    }
}

static struct error *identity_check(const int64_t *id, const char *what)
{
    if (id && (*id < 0 || *id > INT32_MAX))
        return error_new(ERROR_INVALID_ARGUMENT, "%s %" PRId64 " is not in 0..2147483647", what, *id);
    return NULL;
}

struct error *user_resolve(const struct user_request *request, const struct user_file *passwd,
                           const struct user_file *group, struct user **ret)
{
    autoptr(user) user = xcalloc(1, sizeof(*user));
    const char *text = request->user && request->user[0] ? request->user : "0";
    const char *colon = strchr(text, ':');
    struct slice who = {text, colon ? (size_t)(colon - text) : strlen(text)};
    struct slice name = {0};
    char digits[32];

    TRY(file_check(passwd, "/etc/passwd"));
    TRY(file_check(group, "/etc/group"));
    TRY(identity_check(request->uid, "user"));
    TRY(identity_check(request->gid, "group"));
    if (request->uid) {
        who.size = (size_t)snprintf(digits, sizeof(digits), "%" PRId64, *request->uid);
        who.data = digits;
        colon = NULL;
    }
    if (who.size == 0)
        return error_new(ERROR_INVALID_ARGUMENT, "user \"%s\" names no user", text);
    TRY(user_find(who, passwd, user, &name));
    if (request->gid)
        user->gid = (uint32_t)*request->gid;
    else if (colon && colon[1])
        TRY(group_find((struct slice){colon + 1, strlen(colon + 1)}, group, &user->gid));
    user_add_group(user, user->gid);
    if (!request->is_strict)
        user_add_member_groups(user, name, group);
    for (size_t i = 0; i < request->group_count; i++)
        user_add_group(user, request->groups[i]);
    if (user->group_count > USER_GROUPS_MAX)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "user \"%s\" is in more than %d groups", text, USER_GROUPS_MAX);
    *ret = TAKE(user);
    return NULL;
}
