/* What is wrong with containerEdits. */
#include "services/sandboxd/cdi/check.h"

#include <string.h>

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

static bool is_absent_or(const json_t *value, json_type type)
{
    return !value || json_is_null(value) || json_typeof(value) == type;
}

static struct error *texts_check(const json_t *object, const char *key)
{
    const json_t *list = json_object_get(object, key), *value;
    size_t i;

    if (!is_absent_or(list, JSON_ARRAY))
        return error_new(ERROR_INVALID_ARGUMENT, "%s is no list", key);
    json_array_foreach(list, i, value)
    {
        if (!json_is_string(value))
            return error_new(ERROR_INVALID_ARGUMENT, "%s[%zu] is no text", key, i);
    }
    return NULL;
}

static struct error *numbers_check(const json_t *object, const char *const *keys)
{
    for (; *keys; keys++) {
        const json_t *value = json_object_get(object, *keys);
        if (!is_absent_or(value, JSON_INTEGER) || json_integer_value(value) < 0 || json_integer_value(value) > UINT32_MAX)
            return error_new(ERROR_INVALID_ARGUMENT, "%s is no number", *keys);
    }
    return NULL;
}

static struct error *env_check(const json_t *edits)
{
    const json_t *list = json_object_get(edits, "env"), *value;
    size_t i;

    TRY(texts_check(edits, "env"));
    json_array_foreach(list, i, value)
    {
        if (strchr(json_string_value(value), '=') == NULL || json_string_value(value)[0] == '=')
            return error_new(ERROR_INVALID_ARGUMENT, "env[%zu] is not NAME=VALUE", i);
    }
    return NULL;
}

static struct error *device_check(const json_t *node)
{
    static const char *const numbers[] = {"major", "minor", "fileMode", "uid", "gid", NULL};
    const char *path = text_of(node, "path"), *host = text_of(node, "hostPath"), *type = text_of(node, "type");
    const char *permissions = text_of(node, "permissions");

    if (path[0] != '/' || (host[0] && host[0] != '/'))
        return error_new(ERROR_INVALID_ARGUMENT, "a path is not absolute");
    if (type[0] && (!strchr("bcup", type[0]) || type[1]))
        return error_new(ERROR_INVALID_ARGUMENT, "\"%.20s\" is no type of device", type);
    if (permissions[strspn(permissions, "rwm")])
        return error_new(ERROR_INVALID_ARGUMENT, "permissions are not of r, w and m");
    return numbers_check(node, numbers);
}

static struct error *mount_check(const json_t *mount)
{
    if (text_of(mount, "containerPath")[0] != '/' || !text_of(mount, "hostPath")[0])
        return error_new(ERROR_INVALID_ARGUMENT, "containerPath or hostPath is missing");
    return texts_check(mount, "options");
}

static struct error *hook_check(const json_t *hook)
{
    static const char *const names[] = {"prestart",       "createRuntime", "createContainer",
                                        "startContainer", "poststart",     "poststop", NULL};
    static const char *const numbers[] = {"timeout", NULL};
    const char *name = text_of(hook, "hookName");
    const char *const *known = names;

    while (*known && strcmp(*known, name) != 0)
        known++;
    if (!*known)
        return error_new(ERROR_INVALID_ARGUMENT, "\"%.100s\" is no hook", name);
    if (text_of(hook, "path")[0] != '/')
        return error_new(ERROR_INVALID_ARGUMENT, "the path is not absolute");
    TRY(texts_check(hook, "args"));
    TRY(texts_check(hook, "env"));
    return numbers_check(hook, numbers);
}

static struct error *list_check(const json_t *edits, const char *key, struct error *(*check)(const json_t *item))
{
    const json_t *list = json_object_get(edits, key), *item;
    size_t i;

    if (!is_absent_or(list, JSON_ARRAY))
        return error_new(ERROR_INVALID_ARGUMENT, "%s is no list", key);
    json_array_foreach(list, i, item)
    {
        if (!json_is_object(item))
            return error_new(ERROR_INVALID_ARGUMENT, "%s[%zu] is no object", key, i);
        TRY_TO(check(item), "%s[%zu]", key, i);
    }
    return NULL;
}

static struct error *groups_check(const json_t *edits)
{
    const json_t *list = json_object_get(edits, "additionalGids"), *value;
    size_t i;

    if (!is_absent_or(list, JSON_ARRAY))
        return error_new(ERROR_INVALID_ARGUMENT, "additionalGids is no list");
    json_array_foreach(list, i, value)
    {
        if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > INT32_MAX)
            return error_new(ERROR_INVALID_ARGUMENT, "additionalGids[%zu] is no group", i);
    }
    return NULL;
}

static struct error *keys_check(const json_t *edits)
{
    static const char *const known[] = {"env",      "deviceNodes",    "mounts",     "hooks",
                                        "intelRdt", "additionalGids", "netDevices", NULL};
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)edits, key, value)
    {
        const char *const *name = known;
        while (*name && strcmp(*name, key) != 0)
            name++;
        if (!*name)
            return error_new(ERROR_INVALID_ARGUMENT, "unknown key \"%.100s\"", key);
    }
    return NULL;
}

struct error *cdi_edits_check(const json_t *edits)
{
    if (!edits || json_is_null(edits))
        return NULL;
    if (!json_is_object(edits))
        return error_new(ERROR_INVALID_ARGUMENT, "is no object");
    TRY(keys_check(edits));
    TRY(env_check(edits));
    TRY(list_check(edits, "deviceNodes", device_check));
    TRY(list_check(edits, "mounts", mount_check));
    TRY(list_check(edits, "hooks", hook_check));
    return groups_check(edits);
}

struct error *cdi_edits_check_supported(const json_t *list)
{
    static const char *const unsupported[] = {"intelRdt", "netDevices"};
    const json_t *edits;
    size_t i;

    json_array_foreach(list, i, edits)
    {
        for (size_t k = 0; k < sizeof(unsupported) / sizeof(unsupported[0]); k++) {
            const json_t *value = json_object_get(edits, unsupported[k]);
            if (value && !json_is_null(value))
                return error_new(ERROR_UNIMPLEMENTED, "%s is not supported", unsupported[k]);
        }
    }
    return NULL;
}
