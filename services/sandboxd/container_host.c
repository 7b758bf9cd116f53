/* How the host's files and devices that a container names are asked of its pod's shim. */
#include "services/sandboxd/container_host.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/memory.h"
#include "services/sandboxd/apparmor.h"
#include "services/sandboxd/cdi/cdi.h"
#include "services/sandboxd/pod_shim.h"

enum { FOUND_SIZE_MAX = 32 << 20 };

void container_host_fini(struct container_host *host)
{
    for (size_t i = 0; i < host->found.device_count; i++) {
        free((char *)host->devices[i].path);
        free((char *)host->devices[i].host_path);
    }
    free(host->devices);
    free(host->seccomp_path);
    free(host->seccomp_text);
    json_decref(host->cdi_edits);
}

/* ---- what the shim answers: entries, each a path with what was found there ---- */

struct entry {
    const char *path;
    const uint8_t *data; /* a file's */
    size_t size;
    const char *device;  /* its next device; an entry with more comes again */
    int code;
    const char *text;
};

struct entries {
    char *data;
    struct wire_reader reader;
    struct wire_field field; /* read already, or tag 0 */
    struct entry entry;
};

static void entries_fini(struct entries *entries)
{
    free(entries->data);
}
#define auto_entries __attribute__((cleanup(entries_fini))) struct entries

static struct error *entry_take(struct entries *entries)
{
    struct entry *entry = &entries->entry;
    uint64_t code = 0;

    switch (entries->field.tag) {
    case SHIM_TAG_PATH:
        *entry = (struct entry){0};
        return wire_string(&entries->field, &entry->path);
    case SHIM_TAG_DATA:
        entry->data = entries->field.data;
        entry->size = entries->field.size;
        return NULL;
    case SHIM_TAG_DEVICE:
        return wire_string(&entries->field, &entry->device);
    case SHIM_TAG_CODE:
        TRY(wire_u64(&entries->field, &code));
        entry->code = (int)code;
        return NULL;
    case SHIM_TAG_TEXT:
        return wire_string(&entries->field, &entry->text);
    default:
        return NULL;
    }
}

/* The next path, or the next device of the same; *ret NULL at the end. */
static struct error *entries_next(struct entries *entries, const struct entry **ret)
{
    struct error *failure = NULL;
    bool is_begun = entries->field.tag != 0, is_over = false;

    entries->entry.device = NULL;
    if (is_begun)
        TRY(entry_take(entries));
    while (!is_over && wire_next(&entries->reader, &entries->field, &failure)) {
        is_over = is_begun && (entries->field.tag == SHIM_TAG_PATH ||
                               (entries->field.tag == SHIM_TAG_DEVICE && entries->entry.device));
        is_begun = true;
        if (!is_over)
            TRY(entry_take(entries));
    }
    TRY(failure);
    if (!is_over)
        entries->field = (struct wire_field){0};
    *ret = is_begun ? &entries->entry : NULL;
    return NULL;
}

static uint64_t step_of(const struct container *container, const char *name)
{
    return shim_step_derive(container->record->id, name, 0);
}

/* paths: a list of strings. */
static struct error *shim_ask(struct container *container, const char *name, enum shim_type type, const json_t *paths,
                              const struct shim_patience *patience, struct entries *ret)
{
    struct wire_writer fields = {0};
    auto_shim_reply reply = {0};
    size_t size = 0;

    for (size_t i = 0; i < json_array_size(paths); i++)
        wire_put_string(&fields, SHIM_TAG_PATH, json_string_value(json_array_get(paths, i)));
    struct error *failure = shim_client_call(pod_shim(container->pod), step_of(container, name), type, &fields, patience, &reply);
    wire_writer_fini(&fields);
    TRY(failure);
    autoclose int fd = shim_reply_take_fd(&reply, 0);
    if (fd < 0 || lseek(fd, 0, SEEK_SET) < 0) /* a predecessor may have read it: the position is shared */
        return error_new(ERROR_INTERNAL, "the shim handed nothing over");
    TRY(fd_read_all(fd, FOUND_SIZE_MAX, &ret->data, &size));
    ret->reader = (struct wire_reader){.data = (const uint8_t *)ret->data, .size = size};
    return NULL;
}

/* ---- files: the seccomp profile, CDI's, AppArmor's list ---- */

struct wish {
    const char *seccomp;  /* path, or NULL */
    const char *apparmor; /* profile, or NULL */
    json_t *cdi_names;
    struct cdi_registry *registry;
    bool has_apparmor;
};

static void wish_fini(struct wish *wish)
{
    json_decref(wish->cdi_names);
    cdi_registry_free(wish->registry);
}

static bool is_below(const char *path, const char *directory)
{
    size_t length = strlen(directory);

    while (length > 0 && directory[length - 1] == '/')
        length--;
    return strncmp(path, directory, length) == 0 && path[length] == '/';
}

static struct error *seccomp_take(const struct entry *entry, struct container_host *ret)
{
    if (entry->code)
        return error_new((enum error_code)entry->code, "seccomp: profile %s", entry->text ? entry->text : "");
    ret->seccomp_text = xstrndup(entry->size ? (const char *)entry->data : "", entry->size);
    ret->found.seccomp_path = ret->seccomp_path;
    ret->found.seccomp_text = ret->seccomp_text;
    ret->found.seccomp_size = entry->size;
    return NULL;
}

static void cdi_take(struct sandboxd *d, const struct entry *entry, struct wish *wish)
{
    for (unsigned i = 0; d->config->cdi_spec_dirs[i]; i++)
        if (!entry->code && is_below(entry->path, d->config->cdi_spec_dirs[i]))
            cdi_registry_add(wish->registry, i, entry->path, entry->size ? (const char *)entry->data : "", entry->size);
}

static struct error *file_take(struct sandboxd *d, const struct entry *entry, struct wish *wish, struct container_host *ret)
{
    if (ret->seccomp_path && !ret->seccomp_text && strcmp(entry->path, ret->seccomp_path) == 0)
        return seccomp_take(entry, ret);
    if (wish->apparmor && strcmp(entry->path, apparmor_list_path) == 0)
        wish->has_apparmor = !entry->code && apparmor_list_has((const char *)entry->data, entry->size, wish->apparmor);
    else
        cdi_take(d, entry, wish);
    return NULL;
}

static json_t *files_wanted(struct sandboxd *d, const struct wish *wish, const struct container_host *host)
{
    json_t *paths = json_array();

    if (host->seccomp_path)
        json_array_append_new(paths, json_string(host->seccomp_path));
    if (wish->apparmor)
        json_array_append_new(paths, json_string(apparmor_list_path));
    for (size_t i = 0; json_array_size(wish->cdi_names) > 0 && d->config->cdi_spec_dirs[i]; i++)
        json_array_append_new(paths, json_string(d->config->cdi_spec_dirs[i]));
    return paths;
}

static struct error *files_find(struct container *container, const struct shim_patience *patience, struct wish *wish,
                                struct container_host *ret)
{
    const struct entry *entry = NULL;
    auto_entries entries = {0};

    if (wish->seccomp)
        ret->seccomp_path = wish->seccomp[0] == '/'
                                ? xstrdup(wish->seccomp)
                                : xasprintf("%s/%s", container->d->config->seccomp_profiles_dir, wish->seccomp);
    json_t *paths = files_wanted(container->d, wish, ret);
    struct error *failure = json_array_size(paths) ? shim_ask(container, "files", SHIM_READ_FILES, paths, patience, &entries) : NULL;
    json_decref(paths);
    while (!failure && !(failure = entries_next(&entries, &entry)) && entry)
        failure = file_take(container->d, entry, wish, ret);
    return failure;
}

/* ---- devices ---- */

/* "c 1 3 666 0 0 /dev/null"; the path stays the entry's. */
static struct error *device_parse(const char *text, struct spec_device *ret)
{
    unsigned major, minor, mode, uid, gid;
    int end = 0;
    char type;

    if (sscanf(text, "%c %u %u %o %u %u %n", &type, &major, &minor, &mode, &uid, &gid, &end) != 6 || end == 0)
        return error_new(ERROR_INTERNAL, "the shim's word on a device is none: %s", text);
    *ret = (struct spec_device){.path = text + end, .type = type, .major = major, .minor = minor, .mode = mode, .uid = uid, .gid = gid};
    return NULL;
}

/* A directory's devices keep their place below it. */
static void device_add(struct container_host *host, const Runtime__V1__Device *asked, const struct spec_device *device)
{
    const char *below = device->path + strlen(asked->host_path);
    bool is_inside = is_below(device->path, asked->host_path);
    struct spec_device own = *device;

    while (is_inside && *below == '/')
        below++;
    own.path = is_inside ? xasprintf("%s/%s", asked->container_path, below) : xstrdup(asked->container_path);
    own.host_path = xstrdup(device->path);
    own.access = asked->permissions[0] ? asked->permissions : NULL;
    host->devices = xreallocarray(host->devices, host->found.device_count + 1, sizeof(*host->devices));
    host->devices[host->found.device_count++] = own;
    host->found.devices = host->devices;
}

static struct error *device_take(const struct container *container, const struct entry *entry, struct container_host *ret)
{
    const Runtime__V1__ContainerConfig *config = container->config;
    struct spec_device device;

    if (entry->code)
        return error_new((enum error_code)entry->code, "%s", entry->text ? entry->text : "");
    if (!entry->device)
        return NULL;
    TRY(device_parse(entry->device, &device));
    for (size_t i = 0; i < config->n_devices; i++)
        if (strcmp(config->devices[i]->host_path, entry->path) == 0)
            device_add(ret, config->devices[i], &device);
    return ret->cdi_edits ? cdi_edits_fill(ret->cdi_edits, entry->path, &device) : NULL;
}

static void path_add(json_t *paths, const char *path)
{
    for (size_t i = 0; i < json_array_size(paths); i++)
        if (strcmp(json_string_value(json_array_get(paths, i)), path) == 0)
            return;
    json_array_append_new(paths, json_string(path));
}

static struct error *devices_find(struct container *container, const struct shim_patience *patience, struct container_host *ret)
{
    json_t *paths = ret->cdi_edits ? cdi_edits_host_paths(ret->cdi_edits) : json_array();
    const struct entry *entry = NULL;
    auto_entries entries = {0};

    for (size_t i = 0; i < container->config->n_devices; i++)
        path_add(paths, container->config->devices[i]->host_path);
    struct error *failure =
        json_array_size(paths) ? shim_ask(container, "devices", SHIM_FIND_DEVICES, paths, patience, &entries) : NULL;
    json_decref(paths);
    while (!failure && !(failure = entries_next(&entries, &entry)) && entry)
        failure = device_take(container, entry, ret);
    return failure;
}

/* ---- all of it ---- */

static struct error *apparmor_find(struct container *container, const struct shim_patience *patience, const struct wish *wish,
                                   struct container_host *ret)
{
    if (!wish->apparmor)
        return NULL;
    if (!wish->has_apparmor && strcmp(wish->apparmor, SPEC_APPARMOR_DEFAULT) != 0)
        return error_new(ERROR_NOT_FOUND, "apparmor: profile %s is not loaded", wish->apparmor);
    if (!wish->has_apparmor)
        TRY_TO(apparmor_load_default(container->pod, step_of(container, "apparmor"), patience), "apparmor: default profile");
    ret->found.apparmor_profile = wish->apparmor;
    return NULL;
}

static struct error *cdi_find(const struct wish *wish, struct container_host *ret)
{
    if (json_array_size(wish->cdi_names) == 0)
        return NULL;
    TRY(cdi_registry_edits(wish->registry, wish->cdi_names, &ret->cdi_edits));
    ret->found.cdi_edits = ret->cdi_edits;
    return NULL;
}

struct error *container_host_find(struct container *container, const struct shim_patience *patience, struct container_host *ret)
{
    __attribute__((cleanup(wish_fini))) struct wish wish = {
        .seccomp = spec_seccomp_localhost(container->config),
        .apparmor = spec_apparmor_profile(container->config, &container->d->host),
        .registry = cdi_registry_new(),
    };

    TRY(cdi_names_wanted(container->config, &wish.cdi_names));
    TRY(files_find(container, patience, &wish, ret));
    TRY(cdi_find(&wish, ret));
    TRY(devices_find(container, patience, ret));
    return apparmor_find(container, patience, &wish, ret);
}

void container_host_forget_steps(struct container *container)
{
    static const char *const steps[] = {"files", "devices", "apparmor"};

    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
        shim_client_ack(pod_shim(container->pod), step_of(container, steps[i]));
}
