/* How a command is run in a container that exists: its own process object with other arguments. */
#include <string.h>

#include "services/sandboxd/spec/parts.h"

static bool env_has(const json_t *env, const char *prefix)
{
    json_t *value;
    size_t i;

    json_array_foreach(env, i, value)
    {
        const char *text = json_string_value(value);
        if (text && strncmp(text, prefix, strlen(prefix)) == 0)
            return true;
    }
    return false;
}

static struct error *args_list(char *const *args, size_t count, json_t **ret)
{
    json_t *list = json_array();

    for (size_t i = 0; i < count; i++) {
        if (json_array_append_new(list, json_string(args[i])) != 0) {
            json_decref(list);
            return error_new(ERROR_INVALID_ARGUMENT, "cmd: argument %zu is not UTF-8", i);
        }
    }
    *ret = list;
    return NULL;
}

static struct error *process_change(json_t *root, char *const *args, size_t arg_count, bool terminal, char **ret_json)
{
    json_t *process = json_object_get(root, "process"), *env = json_object_get(process, "env"), *list = NULL;

    if (!json_is_object(process) || !json_is_array(env))
        return error_new(ERROR_DATA_LOSS, "the container's config.json has no process");
    TRY(args_list(args, arg_count, &list));
    json_object_set_new(process, "args", list);
    json_object_set_new(process, "terminal", json_boolean(terminal));
    if (terminal && !env_has(env, "TERM="))
        json_array_append_new(env, json_string("TERM=xterm"));
    *ret_json = json_dumps(process, JSON_COMPACT);
    return NULL;
}

struct error *spec_exec_process(const char *config_json, size_t size, char *const *args, size_t arg_count,
                                bool terminal, char **ret_json)
{
    json_error_t where;

    if (arg_count == 0 || !args[0][0])
        return error_new(ERROR_INVALID_ARGUMENT, "cmd: there is no command to run");
    json_t *root = json_loadb(config_json, size, 0, &where);
    if (!root)
        return error_new(ERROR_DATA_LOSS, "the container's config.json, line %d: %s", where.line, where.text);
    struct error *failure = process_change(root, args, arg_count, terminal, ret_json);
    json_decref(root);
    return failure;
}
