/* How a line of /etc/passwd and of /etc/group is cut into its fields. */
#include "services/sandboxd/files/user_lines.h"

#include <string.h>

bool slice_is(struct slice slice, const char *text)
{
    return slice.size == strlen(text) && memcmp(slice.data, text, slice.size) == 0;
}

bool slice_number(struct slice slice, uint32_t *ret)
{
    uint64_t value = 0;

    if (slice.size == 0 || slice.size > 10)
        return false;
    for (size_t i = 0; i < slice.size; i++) {
        if (slice.data[i] < '0' || slice.data[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(slice.data[i] - '0');
    }
    if (value > INT32_MAX)
        return false;
    *ret = (uint32_t)value;
    return true;
}

/* Takes what comes before the separator off the front of rest; the whole rest where there is none. */
static struct slice slice_cut(struct slice *rest, char separator)
{
    const char *end = rest->size ? memchr(rest->data, separator, rest->size) : NULL;
    struct slice head = {rest->data, end ? (size_t)(end - rest->data) : rest->size};
    size_t used = head.size + (end ? 1 : 0);

    if (used > 0)
        *rest = (struct slice){rest->data + used, rest->size - used};
    return head;
}

/* Spaces and a carriage return around a line do not count. */
static struct slice slice_trim(struct slice slice)
{
    while (slice.size > 0 && strchr(" \t\r", slice.data[slice.size - 1]) && slice.data[slice.size - 1])
        slice.size--;
    while (slice.size > 0 && (*slice.data == ' ' || *slice.data == '\t')) {
        slice.data++;
        slice.size--;
    }
    return slice;
}

static bool line_next(const struct user_file *file, size_t *offset, struct slice *ret)
{
    if (!file->data || *offset >= file->size)
        return false;
    struct slice rest = {file->data + *offset, file->size - *offset};
    struct slice line = slice_cut(&rest, '\n');

    *offset = file->size - rest.size;
    *ret = slice_trim(line);
    return true;
}

/* name:password:uid:gid:gecos:home:shell; the last three may be missing. */
static bool passwd_parse(struct slice line, struct passwd_line *ret)
{
    ret->name = slice_cut(&line, ':');
    slice_cut(&line, ':');
    return ret->name.size > 0 && slice_number(slice_cut(&line, ':'), &ret->uid) &&
           slice_number(slice_cut(&line, ':'), &ret->gid);
}

/* name:password:gid:members */
static bool group_parse(struct slice line, struct group_line *ret)
{
    ret->name = slice_cut(&line, ':');
    slice_cut(&line, ':');
    if (ret->name.size == 0 || !slice_number(slice_cut(&line, ':'), &ret->gid))
        return false;
    ret->members = line;
    return true;
}

bool passwd_next(const struct user_file *file, size_t *offset, struct passwd_line *ret)
{
    struct slice line;

    while (line_next(file, offset, &line)) {
        if (passwd_parse(line, ret))
            return true;
    }
    return false;
}

bool group_next(const struct user_file *file, size_t *offset, struct group_line *ret)
{
    struct slice line;

    while (line_next(file, offset, &line)) {
        if (group_parse(line, ret))
            return true;
    }
    return false;
}

bool group_has_member(const struct group_line *line, struct slice name)
{
    struct slice rest = line->members;

    while (rest.size > 0) {
        struct slice member = slice_cut(&rest, ',');
        if (member.size == name.size && memcmp(member.data, name.data, name.size) == 0)
            return true;
    }
    return false;
}
