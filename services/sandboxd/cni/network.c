/* How a file of net.d is chosen and read: a list of plugins, or one plugin that becomes a list. */
#include "services/sandboxd/cni/network.h"

#include <string.h>
#include <sys/stat.h>

#include "common/memory.h"
#include "services/sandboxd/cni/version.h"

static bool has_suffix(const char *name, const char *suffix)
{
    size_t length = strlen(name), suffix_length = strlen(suffix);

    return length > suffix_length && strcmp(name + length - suffix_length, suffix) == 0;
}

const char *cni_choose(const char *const *names, size_t count)
{
    const char *best = NULL;

    for (size_t i = 0; i < count; i++) {
        bool fits = has_suffix(names[i], ".conf") || has_suffix(names[i], ".conflist") || has_suffix(names[i], ".json");
        if (fits && (!best || strcmp(names[i], best) < 0))
            best = names[i];
    }
    return best;
}

void cni_network_free(struct cni_network *network)
{
    if (!network)
        return;
    free(network->name);
    free(network->version);
    json_decref(network->list);
    free(network);
}

static struct error *network_error(const char *file_name, const char *what)
{
    return error_new(ERROR_FAILED_PRECONDITION, "CNI configuration %s: %s", file_name, what);
}

/* One plugin's configuration, as a list of one. */
static json_t *list_of_one(json_t *plugin)
{
    json_t *list = json_object();
    const char *keys[] = {"name", "cniVersion", "cniVersions"};

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        json_t *value = json_object_get(plugin, keys[i]);
        if (value)
            json_object_set(list, keys[i], value);
    }
    json_object_set_new(list, "plugins", json_pack("[O]", plugin));
    return list;
}

/* The highest of cniVersions that we speak, else cniVersion, else 0.1.0 as in libcni. */
static struct error *version_choose(const char *file_name, json_t *list, char **ret)
{
    json_t *value = json_object_get(list, "cniVersion"), *choices = json_object_get(list, "cniVersions"), *choice;
    const char *best = value ? json_string_value(value) : "";
    size_t i;

    if (!best || (choices && !json_is_array(choices)))
        return network_error(file_name, "cniVersion is not a string, or cniVersions not a list of them");
    json_array_foreach(choices, i, choice)
    {
        if (!json_is_string(choice))
            return network_error(file_name, "cniVersions is not a list of strings");
        if (cni_version_rank(json_string_value(choice)) > cni_version_rank(best))
            best = json_string_value(choice);
    }
    if (cni_version_rank(best) < 0)
        return error_new(ERROR_FAILED_PRECONDITION, "CNI configuration %s: cniVersion \"%s\" is not known", file_name,
                         best);
    *ret = xstrdup(best[0] ? best : "0.1.0");
    return NULL;
}

static struct error *plugins_check(const char *file_name, json_t *plugins)
{
    json_t *plugin;
    size_t i;

    if (!json_is_array(plugins) || json_array_size(plugins) == 0)
        return network_error(file_name, "it has no plugins");
    if (json_array_size(plugins) > CNI_PLUGINS_MAX)
        return error_new(ERROR_FAILED_PRECONDITION, "CNI configuration %s: more than %d plugins", file_name,
                         CNI_PLUGINS_MAX);
    json_array_foreach(plugins, i, plugin)
    {
        const char *type = json_string_value(json_object_get(plugin, "type"));
        if (!type || !type[0])
            return error_new(ERROR_FAILED_PRECONDITION, "CNI configuration %s: plugin %zu has no type", file_name, i);
        if (strchr(type, '/') || strcmp(type, ".") == 0 || strcmp(type, "..") == 0)
            return error_new(ERROR_FAILED_PRECONDITION, "CNI configuration %s: the type \"%s\" is not a file name",
                             file_name, type);
    }
    return NULL;
}

static struct error *list_load(const char *file_name, const char *data, size_t size, json_t **ret)
{
    json_error_t where;

    if (size > CNI_CONFIG_MAX)
        return error_new(ERROR_FAILED_PRECONDITION, "CNI configuration %s: longer than %d bytes", file_name,
                         CNI_CONFIG_MAX);
    json_t *root = json_loadb(data, size, 0, &where);
    if (!root)
        return error_new(ERROR_FAILED_PRECONDITION, "CNI configuration %s, line %d: %s", file_name, where.line,
                         where.text);
    if (!json_is_object(root)) {
        json_decref(root);
        return network_error(file_name, "it is not an object");
    }
    *ret = root;
    if (!has_suffix(file_name, ".conflist")) {
        *ret = list_of_one(root);
        json_decref(root);
    }
    return NULL;
}

struct error *cni_network_parse(const char *file_name, const char *data, size_t size, struct cni_network **ret)
{
    autoptr(cni_network) network = xcalloc(1, sizeof(*network));

    TRY(list_load(file_name, data, size, &network->list));
    const char *name = json_string_value(json_object_get(network->list, "name"));
    if (!name || !name[0])
        return network_error(file_name, "it has no name");
    if (!cni_name_is_valid(name))
        return error_new(ERROR_FAILED_PRECONDITION,
                         "CNI configuration %s: the name \"%s\" has characters other than letters, digits, _ . -",
                         file_name, name);
    network->name = xstrdup(name);
    TRY(version_choose(file_name, network->list, &network->version));
    json_object_set_new(network->list, "cniVersion", json_string(network->version));
    TRY(plugins_check(file_name, json_object_get(network->list, "plugins")));
    *ret = TAKE(network);
    return NULL;
}

char *cni_network_text(const struct cni_network *network)
{
    return json_dumps(network->list, JSON_COMPACT);
}

const char *cni_network_name(const struct cni_network *network)
{
    return network->name;
}

const char *cni_network_version(const struct cni_network *network)
{
    return network->version;
}

size_t cni_network_plugin_count(const struct cni_network *network)
{
    return json_array_size(json_object_get(network->list, "plugins"));
}

json_t *cni_network_plugin(const struct cni_network *network, size_t index)
{
    return json_array_get(json_object_get(network->list, "plugins"), index);
}

const char *cni_network_plugin_type(const struct cni_network *network, size_t index)
{
    return json_string_value(json_object_get(cni_network_plugin(network, index), "type"));
}

const char *cni_network_ipam_type(const struct cni_network *network, size_t index)
{
    const char *type = json_string_value(json_object_get(json_object_get(cni_network_plugin(network, index), "ipam"), "type"));

    return type && type[0] ? type : NULL;
}

static char *directories_join(char *const *directories, const char *separator)
{
    char *text = xstrdup("");

    for (size_t i = 0; directories && directories[i]; i++) {
        char *longer = xasprintf("%s%s%s", text, i ? separator : "", directories[i]);
        free(text);
        text = longer;
    }
    return text;
}

struct error *cni_network_find_plugin(const struct cni_network *network, size_t index, char *const *bin_dirs, char **ret_path)
{
    const char *ipam = cni_network_ipam_type(network, index);
    autofree char *ipam_path = NULL;

    if (ipam && !strchr(ipam, '/'))
        TRY(cni_plugin_find(ipam, bin_dirs, &ipam_path));
    return cni_plugin_find(cni_network_plugin_type(network, index), bin_dirs, ret_path);
}

struct error *cni_plugin_find(const char *type, char *const *bin_dirs, char **ret_path)
{
    for (size_t i = 0; bin_dirs && bin_dirs[i]; i++) {
        autofree char *path = xasprintf("%s/%s", bin_dirs[i], type);
        struct stat status;
        if (stat(path, &status) == 0 && S_ISREG(status.st_mode) && (status.st_mode & 0111)) {
            *ret_path = TAKE(path);
            return NULL;
        }
    }
    autofree char *searched = directories_join(bin_dirs, ", ");
    return error_new(ERROR_NOT_FOUND, "CNI plugin \"%s\" is in none of %s", type, searched);
}
