/* How an image's configuration is read. */
#include "services/imaged/image_config.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "common/memory.h"
#include "services/imaged/digest.h"

static void list_fini(struct text_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->list[i]);
    free(list->list);
}

void image_config_free(struct image_config *config)
{
    if (!config)
        return;
    list_fini(&config->diff_ids);
    list_fini(&config->entrypoint);
    list_fini(&config->cmd);
    list_fini(&config->env);
    list_fini(&config->volumes);
    free(config->os);
    free(config->architecture);
    free(config->working_dir);
    free(config->user);
    free(config->stop_signal);
    free(config);
}

static char *text_copy(json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return xstrdup(text ? text : "");
}

static void list_add(struct text_list *list, const char *text)
{
    list->list = xreallocarray(list->list, list->count + 1, sizeof(char *));
    list->list[list->count++] = xstrdup(text);
}

static struct error *list_parse(json_t *object, const char *key, struct text_list *ret)
{
    json_t *list = json_object_get(object, key), *value;
    size_t i;

    if (!list || json_is_null(list))
        return NULL;
    if (!json_is_array(list))
        return error_new(ERROR_INVALID_ARGUMENT, "\"%s\" is no list", key);
    json_array_foreach(list, i, value) {
        if (!json_is_string(value))
            return error_new(ERROR_INVALID_ARGUMENT, "\"%s\" has something that is no text", key);
        list_add(ret, json_string_value(value));
    }
    return NULL;
}

static struct error *settings_parse(json_t *settings, struct image_config *config)
{
    const char *path;
    json_t *unused;

    TRY(list_parse(settings, "Entrypoint", &config->entrypoint));
    TRY(list_parse(settings, "Cmd", &config->cmd));
    TRY(list_parse(settings, "Env", &config->env));
    json_object_foreach(json_object_get(settings, "Volumes"), path, unused)
        list_add(&config->volumes, path);
    config->working_dir = text_copy(settings, "WorkingDir");
    config->user = text_copy(settings, "User");
    config->stop_signal = text_copy(settings, "StopSignal");
    return NULL;
}

static struct error *diff_ids_parse(json_t *rootfs, struct image_config *config)
{
    const char *type = json_string_value(json_object_get(rootfs, "type"));

    if (!type || strcmp(type, "layers") != 0)
        return error_new(ERROR_INVALID_ARGUMENT, "\"rootfs\" is not of type layers");
    TRY(list_parse(rootfs, "diff_ids", &config->diff_ids));
    for (size_t i = 0; i < config->diff_ids.count; i++) {
        if (!digest_is_valid(config->diff_ids.list[i]))
            return error_new(ERROR_INVALID_ARGUMENT, "diff id %zu is no digest", i + 1);
    }
    return NULL;
}

static void json_put(json_t **json)
{
    json_decref(*json);
}

struct error *image_config_parse(const char *text, size_t size, struct image_config **ret)
{
    json_error_t wrong;
    __attribute__((cleanup(json_put))) json_t *root = json_loadb(text, size, 0, &wrong);
    autoptr(image_config) config = xcalloc(1, sizeof(*config));

    if (!json_is_object(root))
        return error_new(ERROR_INVALID_ARGUMENT, "the image's configuration is no JSON object: %s", root ? "" : wrong.text);
    config->os = text_copy(root, "os");
    config->architecture = text_copy(root, "architecture");
    TRY_TO(diff_ids_parse(json_object_get(root, "rootfs"), config), "image configuration");
    TRY_TO(settings_parse(json_object_get(root, "config"), config), "image configuration");
    *ret = TAKE(config);
    return NULL;
}

void image_config_user(const char *user, bool *ret_has_uid, int64_t *ret_uid, char **ret_name)
{
    autofree char *name = xstrndup(user, strcspn(user, ":"));
    char *end;

    errno = 0;
    long long uid = strtoll(name, &end, 10);
    *ret_has_uid = name[0] != '\0' && *end == '\0' && errno == 0 && uid >= 0;
    *ret_uid = *ret_has_uid ? uid : 0;
    *ret_name = *ret_has_uid ? xstrdup("") : TAKE(name);
}
