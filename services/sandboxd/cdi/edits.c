/* What CDI's containerEdits change in a config.json. */
#include <string.h>

#include "common/memory.h"
#include "services/sandboxd/cdi/cdi.h"

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

static json_int_t number_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static const char *host_path_of(const json_t *node)
{
    const char *path = text_of(node, "hostPath");

    return path[0] ? path : text_of(node, "path");
}

static bool lacks_numbers(const json_t *node)
{
    const char *type = text_of(node, "type");

    return !type[0] || (type[0] != 'p' && number_of(node, "major") == 0 && number_of(node, "minor") == 0);
}

json_t *cdi_edits_host_paths(const json_t *edits)
{
    json_t *paths = json_array();
    const json_t *edit, *node;
    size_t i, j;

    json_array_foreach(edits, i, edit)
    {
        json_array_foreach(json_object_get(edit, "deviceNodes"), j, node)
        {
            if (lacks_numbers(node))
                json_array_append_new(paths, json_string(host_path_of(node)));
        }
    }
    return paths;
}

static struct error *node_fill(json_t *node, const struct spec_device *device)
{
    char type[2] = {device->type, '\0'};
    const char *said = text_of(node, "type");
    bool is_same = said[0] == device->type || (said[0] == 'u' && device->type == 'c');

    if (said[0] && !is_same)
        return error_new(ERROR_FAILED_PRECONDITION, "CDI: %s is of type %s, not %s", host_path_of(node), type, said);
    json_object_set_new(node, "type", json_string(type));
    json_object_set_new(node, "major", json_integer(device->major));
    json_object_set_new(node, "minor", json_integer(device->minor));
    return NULL;
}

struct error *cdi_edits_fill(json_t *edits, const char *host_path, const struct spec_device *device)
{
    json_t *edit, *node;
    size_t i, j;

    json_array_foreach(edits, i, edit)
    {
        json_array_foreach(json_object_get(edit, "deviceNodes"), j, node)
        {
            if (lacks_numbers(node) && strcmp(host_path_of(node), host_path) == 0)
                TRY(node_fill(node, device));
        }
    }
    return NULL;
}

/* The entry's place in the list of objects whose `key` is that text; the list's end where there is none. */
static size_t place_of(const json_t *list, const char *key, const char *text)
{
    size_t i = 0;

    while (i < json_array_size(list) && strcmp(text_of(json_array_get(list, i), key), text) != 0)
        i++;
    return i;
}

static json_t *list_of(json_t *object, const char *key)
{
    json_t *list = json_object_get(object, key);

    if (!list) {
        list = json_array();
        json_object_set_new(object, key, list);
    }
    return list;
}

/* A later value takes the place of the earlier one. */
static void env_apply(json_t *env, const char *entry)
{
    size_t length = strcspn(entry, "=") + 1;

    for (size_t i = 0; i < json_array_size(env); i++)
        if (strncmp(json_string_value(json_array_get(env, i)), entry, length) == 0) {
            json_array_set_new(env, i, json_string(entry));
            return;
        }
    json_array_append_new(env, json_string(entry));
}

/* Who is not root gets the device as his own, unless the file says whose it is. */
static void owner_set(json_t *device, const json_t *node, const char *key, const json_t *user)
{
    json_t *said = json_object_get(node, key), *own = json_object_get(user, key);

    if (json_is_integer(said))
        json_object_set(device, key, said);
    else if (json_integer_value(own) > 0)
        json_object_set(device, key, own);
}

static void device_apply(json_t *root, const json_t *node)
{
    json_t *linux = json_object_get(root, "linux"), *devices = list_of(linux, "devices");
    json_t *user = json_object_get(json_object_get(root, "process"), "user");
    const char *path = text_of(node, "path"), *type = text_of(node, "type"), *permissions = text_of(node, "permissions");
    json_t *device = json_pack("{ss ss sI sI}", "path", path, "type", type, "major", number_of(node, "major"), "minor",
                               number_of(node, "minor"));

    if (json_is_integer(json_object_get(node, "fileMode")))
        json_object_set(device, "fileMode", json_object_get(node, "fileMode"));
    owner_set(device, node, "uid", user);
    owner_set(device, node, "gid", user);
    json_array_remove(devices, place_of(devices, "path", path));
    json_array_append_new(devices, device);
    if (type[0] == 'p')
        return;
    json_array_append_new(list_of(json_object_get(linux, "resources"), "devices"),
                          json_pack("{sb ss sI sI ss}", "allow", 1, "type", type[0] == 'u' ? "c" : type, "major",
                                    number_of(node, "major"), "minor", number_of(node, "minor"), "access",
                                    permissions[0] ? permissions : "rwm"));
}

static bool has_text(const json_t *list, const char *text)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (strcmp(json_string_value(json_array_get(list, i)), text) == 0)
            return true;
    return false;
}

/* Before the first mount that lies below it: that one would be hidden. */
static size_t mount_place(const json_t *mounts, const char *destination)
{
    size_t length = strlen(destination), i = 0;

    for (; i < json_array_size(mounts); i++) {
        const char *other = text_of(json_array_get(mounts, i), "destination");
        if (strncmp(other, destination, length) == 0 && other[length] == '/')
            break;
    }
    return i;
}

static void mount_apply(json_t *mounts, const json_t *mount)
{
    const char *destination = text_of(mount, "containerPath"), *type = text_of(mount, "type");
    const json_t *said = json_object_get(mount, "options");
    json_t *options = said && !json_is_null(said) ? json_deep_copy(said) : json_array();
    bool is_bind = !type[0] || strcmp(type, "bind") == 0;

    if (is_bind && !has_text(options, "bind") && !has_text(options, "rbind"))
        json_array_append_new(options, json_string("rbind"));
    json_array_remove(mounts, place_of(mounts, "destination", destination));
    json_array_insert_new(mounts, mount_place(mounts, destination),
                          json_pack("{ss ss ss so}", "destination", destination, "type", is_bind ? "bind" : type, "source",
                                    text_of(mount, "hostPath"), "options", options));
}

static void hook_apply(json_t *hooks, const json_t *hook)
{
    static const char *const members[] = {"path", "args", "env", "timeout"};
    json_t *entry = json_object();

    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        json_t *value = json_object_get(hook, members[i]);
        if (value && !json_is_null(value))
            json_object_set(entry, members[i], value);
    }
    json_array_append_new(list_of(hooks, text_of(hook, "hookName")), entry);
}

static void group_apply(json_t *groups, const json_t *group)
{
    for (size_t i = 0; i < json_array_size(groups); i++)
        if (json_integer_value(json_array_get(groups, i)) == json_integer_value(group))
            return;
    if (json_integer_value(group) > 0)
        json_array_append_new(groups, json_integer(json_integer_value(group)));
}

static void edit_apply(json_t *root, const json_t *edit)
{
    json_t *process = json_object_get(root, "process");
    const json_t *item;
    size_t i;

    json_array_foreach(json_object_get(edit, "env"), i, item)
    {
        env_apply(list_of(process, "env"), json_string_value(item));
    }
    json_array_foreach(json_object_get(edit, "deviceNodes"), i, item)
    {
        device_apply(root, item);
    }
    json_array_foreach(json_object_get(edit, "mounts"), i, item)
    {
        mount_apply(list_of(root, "mounts"), item);
    }
    json_array_foreach(json_object_get(edit, "hooks"), i, item)
    {
        if (!json_object_get(root, "hooks"))
            json_object_set_new(root, "hooks", json_object());
        hook_apply(json_object_get(root, "hooks"), item);
    }
    json_array_foreach(json_object_get(edit, "additionalGids"), i, item)
    {
        group_apply(list_of(json_object_get(process, "user"), "additionalGids"), item);
    }
}

void cdi_edits_apply(const json_t *edits, json_t *root)
{
    const json_t *edit;
    size_t i;

    json_array_foreach(edits, i, edit)
    {
        edit_apply(root, edit);
    }
}
