/* Every key of the configuration: its name, its type, its default. */
#include "common/config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/config_line.h"
#include "common/fd.h"
#include "common/memory.h"

/* A socket's path has 107 bytes. The longest that has to fit are STATE/supervisor/sock.GENERATION, of 20 digits, and
 * ADDRESS.new; a pod's socket is longer, and reached through its directory (fd.c). */
enum {
    CONFIG_SIZE_MAX = 1 << 20,
    SOCKET_PATH_MAX = 107,
    STATE_MAX = SOCKET_PATH_MAX - 37,
    ADDRESS_MAX = SOCKET_PATH_MAX - 4
};

static const char default_file[] = "/etc/bulkhead/config.json";

enum key_type { KEY_PATH, KEY_ADDRESS, KEY_NAME, KEY_CHOICE, KEY_IP, KEY_PATHS, KEY_NAMES, KEY_NUMBER, KEY_PORT, KEY_RUNTIMES };

struct key {
    const char *name;
    enum key_type type;
    size_t offset;            /* in struct config */
    const char *choices;      /* KEY_CHOICE: "a|b" */
    uint32_t lowest, highest; /* KEY_NUMBER */
    uint32_t longest;         /* of a text, in bytes; 0: any */
};

#define KEY(key_name, key_type, field) .name = key_name, .type = key_type, .offset = offsetof(struct config, field)

static const struct key keys[] = {
    {KEY("root", KEY_PATH, root)},
    {KEY("state", KEY_PATH, state), .longest = STATE_MAX},
    {KEY("programs", KEY_PATH, programs)},
    {KEY("grpc.address", KEY_ADDRESS, address), .longest = ADDRESS_MAX},
    {KEY("registry.config_path", KEY_PATH, registry_config_path)},
    {KEY("cni.conf_dir", KEY_PATH, cni_conf_dir)},
    {KEY("cni.bin_dirs", KEY_PATHS, cni_bin_dirs)},
    {KEY("cni.ip_pref", KEY_CHOICE, cni_ip_pref), .choices = "ipv4|ipv6|cni"},
    {KEY("cni.timeout_seconds", KEY_NUMBER, cni_timeout_s), .lowest = 1, .highest = 3600},
    {KEY("runtimes", KEY_RUNTIMES, runtimes)},
    {KEY("default_runtime_name", KEY_NAME, default_runtime_name)},
    {KEY("seccomp_profiles_dir", KEY_PATH, seccomp_profiles_dir)},
    {KEY("cdi_spec_dirs", KEY_PATHS, cdi_spec_dirs)},
    {KEY("pinned_images", KEY_NAMES, pinned_images)},
    {KEY("cgroup_driver", KEY_CHOICE, cgroup_driver), .choices = "cgroupfs|systemd"},
    {KEY("stream_server_address", KEY_IP, stream_server_address)},
    {KEY("stream_server_port", KEY_PORT, stream_server_port)},
    {KEY("log_level", KEY_CHOICE, log_level), .choices = "error|warn|info|debug"},
    {KEY("stream_idle_timeout_seconds", KEY_NUMBER, stream_idle_timeout_s), .lowest = 1, .highest = 30 * 86400},
    {KEY("uid_first", KEY_NUMBER, uid_first), .lowest = 1000, .highest = 2000000000},
};

/* ---- values ---- */

static void *field_of(struct config *config, const struct key *key)
{
    return (char *)config + key->offset;
}

static void set_string(char **field, const char *value)
{
    free(*field);
    *field = xstrdup(value);
}

static bool is_choice(const char *choices, const char *value)
{
    size_t length = strlen(value);

    for (const char *choice = choices; choice; choice = strchr(choice, '|')) {
        choice += *choice == '|';
        if (strncmp(choice, value, length) == 0 && (choice[length] == '|' || choice[length] == '\0'))
            return length > 0;
    }
    return false;
}

static struct error *check_path(const char *value)
{
    if (value[0] != '/' || strlen(value) >= PATH_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "'%.200s' is no absolute path", value);
    return NULL;
}

static bool is_ip(const char *value)
{
    struct in6_addr address;

    return inet_pton(AF_INET, value, &address) == 1 || inet_pton(AF_INET6, value, &address) == 1;
}

/* Sets a key whose value is one text; also the flags' way. */
static struct error *set_text(struct config *config, const struct key *key, const char *value)
{
    if (key->type == KEY_ADDRESS && strncmp(value, "unix://", 7) == 0)
        value += 7;
    if (key->type == KEY_PATH || key->type == KEY_ADDRESS)
        TRY(check_path(value));
    if (key->longest && strlen(value) > key->longest)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "'%.200s' has %zu bytes and may have %u: the path of a socket ends at %d", value,
                         strlen(value), key->longest, SOCKET_PATH_MAX);
    if (key->type == KEY_CHOICE && !is_choice(key->choices, value))
        return error_new(ERROR_INVALID_ARGUMENT, "'%.200s' is none of: %s", value, key->choices);
    if (value[0] == '\0')
        return error_new(ERROR_INVALID_ARGUMENT, "must not be empty");
    if (key->type == KEY_IP && !is_ip(value))
        return error_new(ERROR_INVALID_ARGUMENT, "'%.200s' is no IP address", value);
    set_string(field_of(config, key), value);
    return NULL;
}

static void strings_free(char **strings)
{
    for (char **string = strings; string && *string; string++)
        free(*string);
    free(strings);
}

static struct error *check_name(const char *value)
{
    return value[0] ? NULL : error_new(ERROR_INVALID_ARGUMENT, "must not hold an empty string");
}

static struct error *set_list(struct config *config, const struct key *key, const json_t *value)
{
    bool has_paths = key->type == KEY_PATHS;
    char ***field = field_of(config, key);
    char **paths = xcalloc(json_array_size(value) + 1, sizeof(*paths));
    struct error *failure = json_is_array(value) ? NULL : error_new(ERROR_INVALID_ARGUMENT, "must be a list of %s", has_paths ? "paths" : "strings");

    for (size_t i = 0; !failure && i < json_array_size(value); i++) {
        const char *path = json_string_value(json_array_get(value, i));
        failure = path ? (has_paths ? check_path : check_name)(path) : error_new(ERROR_INVALID_ARGUMENT, "must hold only strings");
        if (!failure)
            paths[i] = xstrdup(path);
    }
    if (failure) {
        strings_free(paths);
        return failure;
    }
    strings_free(*field);
    *field = paths;
    return NULL;
}

static void runtimes_clear(struct config *config)
{
    for (size_t i = 0; i < config->runtime_count; i++) {
        free(config->runtimes[i].name);
        free(config->runtimes[i].path);
    }
    free(config->runtimes);
    config->runtimes = NULL;
    config->runtime_count = 0;
}

static void runtime_add(struct config *config, const char *name, const char *path)
{
    config->runtimes = xreallocarray(config->runtimes, config->runtime_count + 1, sizeof(*config->runtimes));
    config->runtimes[config->runtime_count++] = (struct config_runtime){xstrdup(name), xstrdup(path)};
}

static struct error *runtime_path(const char *name, const json_t *settings, const char **ret)
{
    const char *key;
    json_t *value;

    *ret = json_string_value(json_object_get(settings, "path"));
    if (!*ret)
        return error_new(ERROR_INVALID_ARGUMENT, "runtime '%.64s' must be an object with a string \"path\"", name);
    json_object_foreach((json_t *)settings, key, value)
    {
        if (strcmp(key, "path") != 0)
            return error_new(ERROR_INVALID_ARGUMENT, "runtime '%.64s': unknown key '%.64s'", name, key);
    }
    TRY_TO(check_path(*ret), "runtime '%.64s'", name);
    return NULL;
}

static struct error *set_runtimes(struct config *config, const json_t *value)
{
    const char *name, *path;
    json_t *settings;

    if (!json_is_object(value))
        return error_new(ERROR_INVALID_ARGUMENT, "must be an object of runtimes");
    runtimes_clear(config);
    json_object_foreach((json_t *)value, name, settings)
    {
        TRY(runtime_path(name, settings, &path));
        runtime_add(config, name, path);
    }
    return NULL;
}

static struct error *set_number(struct config *config, const struct key *key, const json_t *value)
{
    if (!json_is_integer(value))
        return error_new(ERROR_INVALID_ARGUMENT, "must be a whole number");
    if (json_integer_value(value) < key->lowest || json_integer_value(value) > key->highest)
        return error_new(ERROR_INVALID_ARGUMENT, "must be from %u to %u", key->lowest, key->highest);
    *(uint32_t *)field_of(config, key) = (uint32_t)json_integer_value(value);
    return NULL;
}

static struct error *set_port(struct config *config, const struct key *key, const json_t *value)
{
    const char *text = json_string_value(value);
    json_int_t port = text ? strtol(text, NULL, 10) : json_integer_value(value);

    if (text ? !text[0] || strlen(text) > 5 || text[strspn(text, "0123456789")] : !json_is_integer(value))
        return error_new(ERROR_INVALID_ARGUMENT, "must be a port number");
    if (port < 0 || port > UINT16_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "must be from 0 to %d", UINT16_MAX);
    *(uint32_t *)field_of(config, key) = (uint32_t)port;
    return NULL;
}

static struct error *set_value(struct config *config, const struct key *key, const json_t *value)
{
    switch (key->type) {
    case KEY_PATHS:
    case KEY_NAMES:
        return set_list(config, key, value);
    case KEY_RUNTIMES:
        return set_runtimes(config, value);
    case KEY_NUMBER:
        return set_number(config, key, value);
    case KEY_PORT:
        return set_port(config, key, value);
    default:
        if (!json_is_string(value))
            return error_new(ERROR_INVALID_ARGUMENT, "must be a string");
        return set_text(config, key, json_string_value(value));
    }
}

/* ---- the file ---- */

static const struct key *key_find(const char *name)
{
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (strcmp(keys[i].name, name) == 0)
            return &keys[i];
    }
    return NULL;
}

/* Is there a key inside this one, as "grpc.address" is in "grpc"? */
static bool is_section(const char *name)
{
    size_t length = strlen(name);

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (strncmp(keys[i].name, name, length) == 0 && keys[i].name[length] == '.')
            return true;
    }
    return false;
}

static struct error *apply_object(struct config *config, const json_t *object, const char *path, const char *text);

static struct error *apply_member(struct config *config, const json_t *value, const char *path, const char *text)
{
    const struct key *key = key_find(path);
    struct error *failure;

    if (key)
        failure = set_value(config, key, value);
    else if (is_section(path) && json_is_object(value))
        return apply_object(config, value, path, text);
    else
        failure = error_new(ERROR_INVALID_ARGUMENT, is_section(path) ? "must be an object" : "unknown key");
    if (!failure)
        return NULL;
    return error_wrap(failure, "%s:%u: %s", config->file, config_line(text, path), path);
}

static struct error *apply_object(struct config *config, const json_t *object, const char *path, const char *text)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)object, name, value)
    {
        autofree char *own = xasprintf("%s%s%s", path, *path ? "." : "", name);
        TRY(apply_member(config, value, own, text));
    }
    return NULL;
}

static struct error *apply_text(struct config *config, const char *text, size_t size)
{
    json_error_t position;
    json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, &position);

    if (!json)
        return error_new(ERROR_INVALID_ARGUMENT, "%s:%d: %s", config->file, position.line, position.text);
    struct error *failure = json_is_object(json)
                                ? apply_object(config, json, "", text)
                                : error_new(ERROR_INVALID_ARGUMENT, "%s:1: must be an object", config->file);
    json_decref(json);
    return failure;
}

static struct error *apply_file(struct config *config, const char *file)
{
    autofree char *text = NULL;
    size_t size;

    struct error *failure = file_read_all(file ? file : default_file, CONFIG_SIZE_MAX, &text, &size);
    if (failure && !file && failure->code == ERROR_NOT_FOUND) {
        error_free(failure);
        return NULL;
    }
    if (failure)
        return error_wrap(failure, "configuration");
    config->file = xstrdup(file ? file : default_file);
    return apply_text(config, text, size);
}

/* ---- defaults ---- */

static void default_runtimes(struct config *config)
{
    static const char *const known[][2] = {
        {"crun", "/usr/bin/crun"}, {"runc", "/usr/bin/runc"}, {"runc", "/usr/sbin/runc"}};

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        bool is_first = i == 0 || config->runtime_count == 0 ||
                        strcmp(config->runtimes[config->runtime_count - 1].name, known[i][0]) != 0;
        if (is_first && access(known[i][1], X_OK) == 0)
            runtime_add(config, known[i][0], known[i][1]);
    }
}

static char *own_directory(void)
{
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);

    if (length < 0)
        return xstrdup("/usr/libexec/bulkhead");
    path[length] = '\0';
    return xstrdup(dirname(path));
}

static bool has_keeper(const char *directory)
{
    autofree char *path = xasprintf("%s/bulkhead-keeper", directory);

    return access(path, X_OK) == 0;
}

/* Beside the running program, as in a build directory; installed, `bulkhead` is in PREFIX/bin and the others are in
 * PREFIX/lib/bulkhead. */
static char *default_programs(void)
{
    autofree char *own = own_directory();
    autofree char *copy = xstrdup(own);
    autofree char *library = xasprintf("%s/lib/bulkhead", dirname(copy));

    return has_keeper(own) || !has_keeper(library) ? TAKE(own) : TAKE(library);
}

static struct config *config_default(void)
{
    struct config *config = xcalloc(1, sizeof(*config));

    config->root = xstrdup("/var/lib/bulkhead");
    config->state = xstrdup("/run/bulkhead");
    config->programs = default_programs();
    config->registry_config_path = xstrdup("/etc/bulkhead/certs.d");
    config->cni_conf_dir = xstrdup("/etc/cni/net.d");
    config->cni_bin_dirs = xcalloc(3, sizeof(char *));
    config->cni_bin_dirs[0] = xstrdup("/opt/cni/bin");
    config->cni_bin_dirs[1] = xstrdup("/usr/lib/cni");
    config->seccomp_profiles_dir = xstrdup("/var/lib/kubelet/seccomp");
    config->cdi_spec_dirs = xcalloc(3, sizeof(char *));
    config->cdi_spec_dirs[0] = xstrdup("/etc/cdi");
    config->cdi_spec_dirs[1] = xstrdup("/var/run/cdi");
    config->pinned_images = xcalloc(1, sizeof(char *));
    config->cni_ip_pref = xstrdup("ipv4");
    config->cgroup_driver = xstrdup("cgroupfs");
    config->stream_server_address = xstrdup("127.0.0.1");
    config->log_level = xstrdup("info");
    config->uid_first = 61300;
    config->cni_timeout_s = 60;
    config->stream_idle_timeout_s = 4 * 3600;
    default_runtimes(config);
    return config;
}

void config_free(struct config *config)
{
    if (!config)
        return;
    runtimes_clear(config);
    strings_free(config->cni_bin_dirs);
    strings_free(config->cdi_spec_dirs);
    strings_free(config->pinned_images);
    char *strings[] = {config->root,
                       config->state,
                       config->address,
                       config->file,
                       config->programs,
                       config->registry_config_path,
                       config->log_level,
                       config->cni_conf_dir,
                       config->default_runtime_name,
                       config->seccomp_profiles_dir,
                       config->cni_ip_pref,
                       config->cgroup_driver,
                       config->stream_server_address};
    for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
        free(strings[i]);
    free(config);
}

/* What only the whole configuration shows. */
static struct error *config_finish(struct config *config)
{
    if (!config->address)
        config->address = xasprintf("%s/bulkhead.sock", config->state);
    if (!config->default_runtime_name)
        return NULL;
    for (size_t i = 0; i < config->runtime_count; i++) {
        if (strcmp(config->runtimes[i].name, config->default_runtime_name) == 0)
            return NULL;
    }
    return error_new(ERROR_INVALID_ARGUMENT, "%s: default_runtime_name: no runtime '%.64s' in runtimes",
                     config->file ? config->file : "configuration", config->default_runtime_name);
}

struct error *config_load(const char *file, struct config **ret)
{
    autoptr(config) config = config_default();

    TRY(apply_file(config, file));
    TRY(config_finish(config));
    *ret = TAKE(config);
    return NULL;
}

/* ---- flags ---- */

struct flag {
    const char *name;
    const char *key; /* NULL: --config */
    const char *value;
};

/* If argv[*at] is this flag: its value, *at at the last word used. NULL in *ret_value: another word. */
static struct error *flag_value(const char *name, int argc, char **argv, int *at, const char **ret_value)
{
    const char *word = argv[*at];
    size_t length = strlen(name);

    *ret_value = NULL;
    if (strncmp(word, "--", 2) != 0 || strncmp(word + 2, name, length) != 0)
        return NULL;
    if (word[2 + length] == '=') {
        *ret_value = word + 2 + length + 1;
        return NULL;
    }
    if (word[2 + length] != '\0')
        return NULL;
    if (*at + 1 >= argc)
        return error_new(ERROR_INVALID_ARGUMENT, "--%s needs a value", name);
    *ret_value = argv[++*at];
    return NULL;
}

static struct error *flags_take(int *argc, char **argv, struct flag *flags, size_t count)
{
    int kept = 1;

    for (int at = 1; at < *argc; at++) {
        const char *value = NULL;
        if (strcmp(argv[at], "--") == 0) {
            while (at < *argc)
                argv[kept++] = argv[at++];
            break;
        }
        for (size_t i = 0; i < count && !value; i++) {
            TRY(flag_value(flags[i].name, *argc, argv, &at, &value));
            if (value)
                flags[i].value = value;
        }
        if (!value)
            argv[kept++] = argv[at];
    }
    if (kept < *argc)
        argv[kept] = NULL;
    *argc = kept;
    return NULL;
}

struct error *config_from_arguments(int *argc, char **argv, struct config **ret)
{
    struct flag flags[] = {{.name = "config"},
                           {.name = "root", .key = "root"},
                           {.name = "state", .key = "state"},
                           {.name = "address", .key = "grpc.address"},
                           {.name = "log-level", .key = "log_level"},
                           {.name = "programs", .key = "programs"}};
    size_t count = sizeof(flags) / sizeof(flags[0]);

    TRY(flags_take(argc, argv, flags, count));
    autoptr(config) config = config_default();
    TRY(apply_file(config, flags[0].value));
    for (size_t i = 1; i < count; i++) {
        if (flags[i].value)
            TRY_TO(set_text(config, key_find(flags[i].key), flags[i].value), "--%s", flags[i].name);
    }
    TRY(config_finish(config));
    *ret = TAKE(config);
    return NULL;
}

/* ---- what follows from it ---- */

uid_t config_uid(const struct config *config, enum config_user user)
{
    return user == CONFIG_USER_ROOT ? 0 : config->uid_first + (uid_t)user;
}

char *config_state_path(const struct config *config, const char *name)
{
    return xasprintf("%s/%s", config->state, name);
}

char *config_root_path(const struct config *config, const char *name)
{
    return xasprintf("%s/%s", config->root, name);
}
