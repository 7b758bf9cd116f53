/* What is run, with which arguments, environment and rights: the process object. */
#include <string.h>

#include "services/sandboxd/spec/parts.h"
#include "services/sandboxd/spec/resources.h"

static const char default_path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

json_t *spec_strings(char *const *values, size_t count)
{
    json_t *list = json_array();

    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_string(values[i]));
    return list;
}

static void append_all(json_t *list, char *const *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_string(values[i]));
}

/* As Docker: a command replaces the entrypoint and with it the image's cmd; args alone replace only the cmd. */
static struct error *args_merge(const struct spec_input *input, json_t **ret)
{
    const Runtime__V1__ContainerConfig *config = input->config;
    const Bulkhead__ImageSettings *image = input->image;
    bool has_command = config->n_command > 0;
    bool is_blank = image->n_entrypoint == 1 && image->entrypoint[0][0] == '\0';
    json_t *args = spec_strings(config->command, config->n_command);

    if (!has_command && !is_blank)
        append_all(args, image->entrypoint, image->n_entrypoint);
    append_all(args, config->args, config->n_args);
    if (!has_command && config->n_args == 0)
        append_all(args, image->cmd, image->n_cmd);
    if (json_array_size(args) == 0) {
        json_decref(args);
        return error_new(ERROR_INVALID_ARGUMENT, "no command: neither the container's command or args nor the image "
                                                 "has one");
    }
    *ret = args;
    return NULL;
}

/* env is an object of name to "NAME=value": a later value takes the place of the earlier one, a name alone removes it.
 */
static void env_set(json_t *env, const char *entry)
{
    size_t length = strcspn(entry, "=");
    autofree char *key = xstrndup(entry, length);

    if (entry[length] == '\0')
        json_object_del(env, key);
    else if (length > 0)
        json_object_set_new(env, key, json_string(entry));
}

static void env_set_pair(json_t *env, const char *key, const char *value, size_t size)
{
    autofree char *entry = xasprintf("%s=%.*s", key, (int)size, size ? value : "");

    env_set(env, entry);
}

static void env_collect(const struct spec_input *input, json_t *env)
{
    const Runtime__V1__ContainerConfig *config = input->config;
    const char *hostname = input->pod_config->hostname;

    env_set(env, default_path);
    if (config->tty)
        env_set(env, "TERM=xterm");
    if (!spec_text_is_set(hostname))
        hostname = input->host->hostname ? input->host->hostname : "";
    env_set_pair(env, "HOSTNAME", hostname, strlen(hostname));
    for (size_t i = 0; i < input->image->n_env; i++)
        env_set(env, input->image->env[i]);
    for (size_t i = 0; i < config->n_envs; i++)
        env_set_pair(env, config->envs[i]->key, (const char *)config->envs[i]->value.data, config->envs[i]->value.len);
}

static json_t *env_merge(const struct spec_input *input)
{
    json_t *env = json_object(), *list = json_array(), *value;
    const char *key;

    env_collect(input, env);
    json_object_foreach(env, key, value)
    {
        json_array_append(list, value);
    }
    json_decref(env);
    return list;
}

static char *working_directory(const struct spec_input *input)
{
    const char *directory = input->config->working_dir;

    if (!spec_text_is_set(directory))
        directory = input->image->working_dir;
    if (!spec_text_is_set(directory))
        directory = "/";
    return directory[0] == '/' ? xstrdup(directory) : xasprintf("/%s", directory);
}

static json_t *user_object(const struct user *user)
{
    json_t *groups = json_array();

    for (size_t i = 0; i < user->group_count; i++)
        json_array_append_new(groups, json_integer(user->groups[i]));
    return json_pack("{sI sI so}", "uid", (json_int_t)user->uid, "gid", (json_int_t)user->gid, "additionalGids",
                     groups);
}

static json_t *capabilities_object(const struct capability_sets *sets)
{
    json_t *object = json_object();

    json_object_set_new(object, "bounding", capability_names(sets->bounding));
    json_object_set_new(object, "effective", capability_names(sets->bounding));
    json_object_set_new(object, "permitted", capability_names(sets->bounding));
    if (sets->ambient) {
        json_object_set_new(object, "inheritable", capability_names(sets->ambient));
        json_object_set_new(object, "ambient", capability_names(sets->ambient));
    }
    return object;
}

/* Always written: what is left out would be inherited from the shim. */
static json_int_t oom_score_adj(const struct spec_input *input)
{
    return resources_oom_score_adj(input->config->linux ? input->config->linux->resources : NULL, input->host);
}

struct error *spec_process_object(const struct spec_input *input, const struct capability_sets *capabilities,
                                  json_t **ret)
{
    const Runtime__V1__LinuxContainerSecurityContext *context = spec_context(input->config);
    autofree char *directory = working_directory(input);
    json_t *args = NULL;

    TRY(args_merge(input, &args));
    *ret =
        json_pack("{sb so so so ss so sb sI}", "terminal", input->config->tty, "user", user_object(input->user), "args",
                  args, "env", env_merge(input), "cwd", directory, "capabilities", capabilities_object(capabilities),
                  "noNewPrivileges", context && context->no_new_privs, "oomScoreAdj", oom_score_adj(input));
    if (input->found && input->found->apparmor_profile)
        json_object_set_new(*ret, "apparmorProfile", json_string(input->found->apparmor_profile));
    return NULL;
}
