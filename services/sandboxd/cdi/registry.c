/* Which devices the CDI files describe, and which description of a name counts. */
#include <string.h>

#include "common/memory.h"
#include "services/sandboxd/cdi/check.h"

enum { DEVICES_MAX = 65536 };

struct device {
    char *name; /* "vendor.com/class=device" */
    unsigned priority;
    bool is_ambiguous;
    size_t file;  /* which: its own edits come once */
    char *path;
    json_t *common; /* the file's containerEdits, or NULL */
    json_t *edits;
};

struct cdi_registry {
    struct device *devices;
    size_t count, files;
    char *first_failure; /* what is wrong with the first file that cannot be used */
};

struct cdi_registry *cdi_registry_new(void)
{
    return xcalloc(1, sizeof(struct cdi_registry));
}

static void device_fini(struct device *device)
{
    free(device->name);
    free(device->path);
    json_decref(device->common);
    json_decref(device->edits);
}

void cdi_registry_free(struct cdi_registry *registry)
{
    if (!registry)
        return;
    for (size_t i = 0; i < registry->count; i++)
        device_fini(&registry->devices[i]);
    free(registry->devices);
    free(registry->first_failure);
    free(registry);
}

static struct device *device_find(const struct cdi_registry *registry, const char *name)
{
    for (size_t i = 0; i < registry->count; i++)
        if (strcmp(registry->devices[i].name, name) == 0)
            return &registry->devices[i];
    return NULL;
}

/* Takes the name. */
static void device_add(struct cdi_registry *registry, char *name, unsigned priority, const char *path, json_t *common,
                       json_t *edits)
{
    struct device *known = device_find(registry, name);

    if (known && known->priority >= priority) {
        known->is_ambiguous |= known->priority == priority;
        free(name);
        return;
    }
    if (known)
        device_fini(known);
    else {
        registry->devices = xreallocarray(registry->devices, registry->count + 1, sizeof(*registry->devices));
        known = &registry->devices[registry->count++];
    }
    *known = (struct device){.name = name,
                             .priority = priority,
                             .file = registry->files,
                             .path = xstrdup(path),
                             .common = json_incref(common),
                             .edits = json_incref(edits)};
}

/* YAML may have a number for a name. */
static char *device_name(const char *kind, const json_t *device)
{
    const json_t *name = json_object_get(device, "name");

    if (json_is_integer(name))
        return xasprintf("%s=%" JSON_INTEGER_FORMAT, kind, json_integer_value(name));
    return xasprintf("%s=%s", kind, json_is_string(name) ? json_string_value(name) : "");
}

static struct error *devices_check(const char *kind, const json_t *devices)
{
    const json_t *device;
    size_t i;

    if (!json_is_array(devices) || json_array_size(devices) == 0)
        return error_new(ERROR_INVALID_ARGUMENT, "there are no devices");
    json_array_foreach(devices, i, device)
    {
        autofree char *name = device_name(kind, device);
        if (!cdi_name_is_valid(name))
            return error_new(ERROR_INVALID_ARGUMENT, "devices[%zu]: \"%.200s\" is no device's name", i, name);
        TRY_TO(cdi_edits_check(json_object_get(device, "containerEdits")), "device %s", name);
    }
    return NULL;
}

static struct error *file_check(const json_t *root, const char **ret_kind)
{
    const char *version = json_string_value(json_object_get(root, "cdiVersion"));
    const char *kind = json_string_value(json_object_get(root, "kind"));

    if (!version || (strncmp(version, "0.", 2) != 0 && strncmp(version, "1.", 2) != 0))
        return error_new(ERROR_INVALID_ARGUMENT, "cdiVersion is %.20s", version ? version : "missing");
    if (!kind)
        return error_new(ERROR_INVALID_ARGUMENT, "kind is missing");
    TRY_TO(cdi_edits_check(json_object_get(root, "containerEdits")), "containerEdits");
    *ret_kind = kind;
    return devices_check(kind, json_object_get(root, "devices"));
}

static struct error *text_parse(const char *path, const char *data, size_t size, json_t **ret)
{
    size_t length = strlen(path);
    json_error_t where;

    if (length > 5 && strcmp(path + length - 5, ".yaml") == 0)
        return cdi_yaml_parse(data, size, ret);
    *ret = json_loadb(data, size, JSON_REJECT_DUPLICATES, &where);
    return *ret ? NULL : error_new(ERROR_INVALID_ARGUMENT, "line %d: %s", where.line, where.text);
}

static struct error *file_add(struct cdi_registry *registry, unsigned priority, const char *path, const json_t *root)
{
    const json_t *devices = json_object_get(root, "devices"), *device;
    const char *kind = NULL;
    size_t i;

    TRY(file_check(root, &kind));
    if (registry->count + json_array_size(devices) > DEVICES_MAX)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "there are more than %d devices", DEVICES_MAX);
    json_array_foreach(devices, i, device)
    {
        device_add(registry, device_name(kind, device), priority, path, json_object_get(root, "containerEdits"),
                   json_object_get(device, "containerEdits"));
    }
    registry->files++;
    return NULL;
}

static bool has_suffix(const char *path, const char *suffix)
{
    size_t length = strlen(path), end = strlen(suffix);

    return length > end && strcmp(path + length - end, suffix) == 0;
}

void cdi_registry_add(struct cdi_registry *registry, unsigned priority, const char *path, const char *data, size_t size)
{
    json_t *root = NULL;

    if (!has_suffix(path, ".json") && !has_suffix(path, ".yaml"))
        return;
    autoptr(error) failure = text_parse(path, data, size, &root);
    if (!failure)
        failure = file_add(registry, priority, path, root);
    json_decref(root);
    if (failure && !registry->first_failure)
        registry->first_failure = xasprintf("%s: %s", path, failure->text);
}

static struct error *device_get(const struct cdi_registry *registry, const char *name, const struct device **ret)
{
    const struct device *device = device_find(registry, name);

    if (!device)
        return error_new(ERROR_NOT_FOUND, "CDI device %s is in no file%s%s%s", name, registry->first_failure ? " (" : "",
                         registry->first_failure ? registry->first_failure : "", registry->first_failure ? ")" : "");
    if (device->is_ambiguous)
        return error_new(ERROR_FAILED_PRECONDITION, "CDI device %s is described twice, one of them in %s", name, device->path);
    *ret = device;
    return NULL;
}

static struct error *edits_add(const struct cdi_registry *registry, const json_t *names, json_t *list)
{
    autofree bool *seen = xcalloc(registry->files + 1, sizeof(*seen));

    for (size_t i = 0; i < json_array_size(names); i++) {
        const struct device *device = NULL;
        TRY(device_get(registry, json_string_value(json_array_get(names, i)), &device));
        if (!seen[device->file] && device->common)
            json_array_append_new(list, json_deep_copy(device->common));
        seen[device->file] = true;
        if (device->edits)
            json_array_append_new(list, json_deep_copy(device->edits));
        TRY_TO(cdi_edits_check_supported(list), "CDI device %s", device->name);
    }
    return NULL;
}

struct error *cdi_registry_edits(const struct cdi_registry *registry, const json_t *names, json_t **ret)
{
    json_t *list = json_array();
    struct error *failure = edits_add(registry, names, list);

    if (failure)
        json_decref(list);
    else
        *ret = list;
    return failure;
}
