/* How certs.d is read: the JSON twin of containerd's hosts.toml. */
#include "services/imaged/fetch/hosts.h"

#include <jansson.h>
#include <string.h>

#include "common/fd.h"
#include "common/memory.h"

enum { HOSTS_FILE_MAX = 256 << 10, PEM_FILE_MAX = 1 << 20, HOSTS_MAX = 32 };

static void host_fini(struct registry_host *host)
{
    free(host->url);
    free(host->ca);
    free(host->client_cert);
    free(host->client_key);
}

void registry_hosts_free(struct registry_hosts *hosts)
{
    if (!hosts)
        return;
    for (size_t i = 0; i < hosts->count; i++)
        host_fini(&hosts->list[i]);
    free(hosts->list);
    free(hosts);
}

static struct registry_host *host_add(struct registry_hosts *hosts)
{
    hosts->list = xreallocarray(hosts->list, hosts->count + 1, sizeof(hosts->list[0]));
    hosts->list[hosts->count] = (struct registry_host){.can = HOSTS_CAN_PULL | HOSTS_CAN_RESOLVE};
    return &hosts->list[hosts->count++];
}

/* "http://mirror:5000" becomes "http://mirror:5000/v2"; with override_path it stays as it is. */
static struct error *url_build(const char *url, bool override_path, char **ret)
{
    if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
        return error_new(ERROR_INVALID_ARGUMENT, "\"%s\" is no http:// or https:// address", url);
    autofree char *base = xstrdup(url);
    for (size_t length = strlen(base); length > 0 && base[length - 1] == '/'; length--)
        base[length - 1] = '\0';
    size_t length = strlen(base);
    bool has_path = length >= 3 && strcmp(base + length - 3, "/v2") == 0;
    *ret = override_path || has_path ? TAKE(base) : xasprintf("%s/v2", base);
    return NULL;
}

static struct error *string_get(json_t *object, const char *key, const char **ret)
{
    json_t *value = json_object_get(object, key);

    *ret = json_string_value(value);
    if (value && !*ret)
        return error_new(ERROR_INVALID_ARGUMENT, "\"%s\" is no string", key);
    return NULL;
}

static struct error *bool_get(json_t *object, const char *key, bool *ret)
{
    json_t *value = json_object_get(object, key);

    if (value && !json_is_boolean(value))
        return error_new(ERROR_INVALID_ARGUMENT, "\"%s\" is neither true nor false", key);
    *ret = json_is_true(value);
    return NULL;
}

static struct error *capabilities_get(json_t *object, unsigned *ret)
{
    json_t *list = json_object_get(object, "capabilities"), *value;
    size_t i;

    if (!list)
        return NULL;
    if (!json_is_array(list))
        return error_new(ERROR_INVALID_ARGUMENT, "\"capabilities\" is no list");
    *ret = 0;
    json_array_foreach(list, i, value) {
        const char *name = json_string_value(value);
        if (name && strcmp(name, "pull") == 0)
            *ret |= HOSTS_CAN_PULL;
        else if (name && strcmp(name, "resolve") == 0)
            *ret |= HOSTS_CAN_RESOLVE;
        else if (!name || strcmp(name, "push") != 0)
            return error_new(ERROR_INVALID_ARGUMENT, "\"capabilities\" has something unknown");
    }
    return NULL;
}

static struct error *file_get(const char *directory, const char *name, char **ret)
{
    size_t size;

    if (!name)
        return NULL;
    autofree char *path = name[0] == '/' ? xstrdup(name) : xasprintf("%s/%s", directory, name);
    return file_read_all(path, PEM_FILE_MAX, ret, &size);
}

/* "client": "cert-and-key.pem", or ["cert.pem", "key.pem"]. */
static struct error *client_get(json_t *object, const char *directory, struct registry_host *host)
{
    json_t *value = json_object_get(object, "client");
    const char *cert = json_string_value(json_is_array(value) ? json_array_get(value, 0) : value);
    const char *key = json_is_array(value) ? json_string_value(json_array_get(value, 1)) : cert;

    if (!value)
        return NULL;
    if (!cert || !key)
        return error_new(ERROR_INVALID_ARGUMENT, "\"client\" is neither a file nor a pair of them");
    TRY(file_get(directory, cert, &host->client_cert));
    return file_get(directory, key, &host->client_key);
}

/* A mirror has all that the server has but the two that say who is who. */
static struct error *keys_check(json_t *object, bool is_server)
{
    static const char *const known[] = {"server", "host", "capabilities", "skip_verify", "ca", "client", "override_path"};
    const char *key;
    json_t *value;

    json_object_foreach(object, key, value) {
        bool is_known = false;
        for (size_t i = is_server ? 0 : 2; i < sizeof(known) / sizeof(known[0]); i++)
            is_known |= strcmp(key, known[i]) == 0;
        if (!is_known)
            return error_new(ERROR_INVALID_ARGUMENT, "unknown key \"%s\"", key);
    }
    return NULL;
}

static struct error *settings_get(json_t *object, const char *directory, struct registry_host *host, bool *ret_override)
{
    const char *ca;

    TRY(keys_check(object, host->is_server));
    TRY(capabilities_get(object, &host->can));
    TRY(bool_get(object, "skip_verify", &host->skip_verify));
    TRY(bool_get(object, "override_path", ret_override));
    TRY(string_get(object, "ca", &ca));
    TRY(file_get(directory, ca, &host->ca));
    return client_get(object, directory, host);
}

static struct error *mirror_add(struct registry_hosts *hosts, const char *url, json_t *object, const char *directory)
{
    struct registry_host *host = host_add(hosts);
    bool override_path;

    if (!json_is_object(object))
        return error_new(ERROR_INVALID_ARGUMENT, "it is no object");
    if (hosts->count > HOSTS_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "more than %d hosts", HOSTS_MAX);
    TRY(settings_get(object, directory, host, &override_path));
    return url_build(url, override_path, &host->url);
}

/* Nobody between here and there: plain HTTP by default, as docker and containerd have it. */
static bool is_loopback(const char *host)
{
    size_t length = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");

    return (length == 9 && strncmp(host, "localhost", 9) == 0) ||
           (strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") == length) ||
           (length == 5 && strncmp(host, "[::1]", 5) == 0);
}

static char *default_url(const char *host)
{
    if (strcmp(host, "docker.io") == 0)
        return xstrdup("https://registry-1.docker.io");
    return xasprintf("%s://%s", is_loopback(host) ? "http" : "https", host);
}

static struct error *server_add(struct registry_hosts *hosts, const char *name, const char *server, json_t *root,
                                const char *directory)
{
    struct registry_host *host = host_add(hosts);
    autofree char *url = server ? xstrdup(server) : default_url(name);
    bool override_path = false;

    host->is_server = true;
    if (root)
        TRY(settings_get(root, directory, host, &override_path));
    return url_build(url, override_path, &host->url);
}

static struct error *hosts_fill(struct registry_hosts *hosts, const char *name, json_t *root, const char *directory)
{
    json_t *mirrors = json_object_get(root, "host"), *mirror;
    const char *url, *server = NULL;

    if (root && !json_is_object(root))
        return error_new(ERROR_INVALID_ARGUMENT, "it is no object");
    TRY(string_get(root, "server", &server));
    if (mirrors && !json_is_object(mirrors))
        return error_new(ERROR_INVALID_ARGUMENT, "\"host\" is no object");
    json_object_foreach(mirrors, url, mirror)
        TRY_TO(mirror_add(hosts, url, mirror, directory), "\"host\": \"%s\"", url);
    return server_add(hosts, name, server, root, directory);
}

static void json_put(json_t **json)
{
    json_decref(*json);
}

struct error *registry_hosts_parse(const char *host, const char *text, const char *directory, struct registry_hosts **ret)
{
    autoptr(registry_hosts) hosts = xcalloc(1, sizeof(*hosts));
    __attribute__((cleanup(json_put))) json_t *root = NULL;
    json_error_t wrong;

    if (text) {
        root = json_loads(text, JSON_REJECT_DUPLICATES, &wrong);
        if (!root)
            return error_new(ERROR_INVALID_ARGUMENT, "line %d: %s", wrong.line, wrong.text);
    }
    TRY(hosts_fill(hosts, host, root, directory));
    *ret = TAKE(hosts);
    return NULL;
}

static struct error *file_find(const char *path, const char *name, char **ret_text, char **ret_directory)
{
    autofree char *directory = xasprintf("%s/%s", path, name);
    autofree char *file = xasprintf("%s/hosts.json", directory);
    size_t size;
    struct error *failure = file_read_all(file, HOSTS_FILE_MAX, ret_text, &size);

    if (failure && failure->code == ERROR_NOT_FOUND) {
        error_free(failure);
        return NULL;
    }
    *ret_directory = TAKE(directory);
    return failure;
}

struct error *registry_hosts_load(const char *path, const char *host, struct registry_hosts **ret)
{
    autofree char *text = NULL, *directory = NULL;

    TRY(file_find(path, host, &text, &directory));
    if (!text)
        TRY(file_find(path, "_default", &text, &directory));
    if (!text)
        return registry_hosts_parse(host, NULL, path, ret);
    TRY_TO(registry_hosts_parse(host, text, directory, ret), "%s/hosts.json", directory);
    return NULL;
}
