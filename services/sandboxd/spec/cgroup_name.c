/* How systemd's slices and scopes, and the cgroupfs driver's groups, are named. */
#include "services/sandboxd/spec/cgroup_name.h"

#include <stdbool.h>
#include <string.h>

#include "common/memory.h"

/* UNIT_NAME_MAX is systemd's; the shim's room for a cgroup's path is CGROUP_PATH_SIZE (shim/cgroup.h), of which a scope takes its name. */
enum { UNIT_NAME_MAX = 255, SLICE_PATH_MAX = 512 - 96 };

#define SLICE_SUFFIX ".slice"
#define SCOPE_PREFIX "cri-bulkhead"
#define SCOPE_SUFFIX ".scope"

static bool has_suffix(const char *text, const char *suffix)
{
    size_t length = strlen(text), end = strlen(suffix);

    return length > end && strcmp(text + length - end, suffix) == 0;
}

/* systemd.unit(5) and systemd.slice(5): a dash parts the names of a slice and of those above it, so none of them is empty. */
static bool slice_name_is_valid(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@";

    return strlen(name) <= UNIT_NAME_MAX && has_suffix(name, SLICE_SUFFIX) && name[strspn(name, letters)] == '\0' && name[0] != '-' &&
           !strstr(name, "--") && !strstr(name, "-" SLICE_SUFFIX);
}

/* "a-b-c.slice" is in "a-b.slice", and that in "a.slice". */
static char *slice_expand(const char *name)
{
    char *path = xstrdup("");

    for (const char *dash = strchr(name, '-'); dash; dash = strchr(dash + 1, '-')) {
        autofree char *above = path;
        path = xasprintf("%s/%.*s" SLICE_SUFFIX, above, (int)(dash - name), name);
    }
    autofree char *above = path;
    return xasprintf("%s/%s", above, name);
}

struct error *cgroup_slice_parse(const char *parent, char **ret_path)
{
    const char *slash = strrchr(parent, '/'), *name = slash ? slash + 1 : parent;

    if (parent[0] == '\0')
        name = "system" SLICE_SUFFIX;
    if (!slice_name_is_valid(name))
        return error_new(ERROR_INVALID_ARGUMENT, "cgroup_parent \"%.300s\" is no slice of systemd (NAME.slice), the driver is systemd", parent);
    autofree char *path = slice_expand(name);
    if (strlen(path) > SLICE_PATH_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "cgroup_parent \"%s\" is of too many slices: its path is longer than %d bytes", name, SLICE_PATH_MAX);
    *ret_path = TAKE(path);
    return NULL;
}

char *cgroup_container_path(const char *pod, const char *slice, const char *id)
{
    return slice[0] ? xasprintf("%s/" SCOPE_PREFIX "-%s" SCOPE_SUFFIX, slice, id) : xasprintf("%s/%s", pod, id);
}

/* No path of the cgroupfs driver ends so: its last component is a container's id. */
char *cgroup_oci_path(const char *path)
{
    const char *scope = strrchr(path, '/');

    if (!scope || !has_suffix(scope, SCOPE_SUFFIX))
        return xstrdup(path);
    autofree char *above = xstrndup(path, (size_t)(scope - path));
    const char *slice = strrchr(above, '/'), *id = scope + strlen("/" SCOPE_PREFIX "-");
    return xasprintf("%s:" SCOPE_PREFIX ":%.*s", slice ? slice + 1 : above, (int)(strlen(id) - strlen(SCOPE_SUFFIX)), id);
}
