/* What a plugin of the chain gets: its part of the configuration on standard input, and its environment. */
#include <string.h>

#include "common/memory.h"
#include "services/sandboxd/cni/network.h"
#include "services/sandboxd/cni/version.h"

enum { INTERFACE_NAME_MAX = 15, ENV_MAX = 8 };

static const char program_path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

void cni_invocation_free(struct cni_invocation *invocation)
{
    if (!invocation)
        return;
    free(invocation->stdin_text);
    for (size_t i = 0; invocation->env && invocation->env[i]; i++)
        free(invocation->env[i]);
    free(invocation->env);
    free(invocation);
}

/* A kernel interface name, as libcni checks it. */
static bool interface_is_valid(const char *name)
{
    size_t length = strlen(name);

    return length > 0 && length <= INTERFACE_NAME_MAX && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
           strcspn(name, "/: \t\n\v\f\r") == length;
}

/* CNI_ARGS is a list of K=V with ';' between. */
static struct error *argument_check(const char *what, const char *value)
{
    if (strpbrk(value, ";=\n"))
        return error_new(ERROR_INVALID_ARGUMENT, "the pod's %s \"%s\" cannot be handed to CNI plugins", what, value);
    return NULL;
}

static struct error *attachment_check(const struct cni_attachment *attachment)
{
    if (!cni_name_is_valid(attachment->container_id))
        return error_new(ERROR_INVALID_ARGUMENT, "\"%s\" is no id for CNI", attachment->container_id);
    if (!interface_is_valid(attachment->interface))
        return error_new(ERROR_INVALID_ARGUMENT, "\"%s\" is no interface name", attachment->interface);
    TRY(argument_check("namespace", attachment->pod_namespace));
    TRY(argument_check("name", attachment->pod_name));
    return argument_check("uid", attachment->pod_uid);
}

static char *bin_path(char *const *directories)
{
    char *text = xstrdup("CNI_PATH=");

    for (size_t i = 0; directories && directories[i]; i++) {
        char *longer = xasprintf("%s%s%s", text, i ? ":" : "", directories[i]);
        free(text);
        text = longer;
    }
    return text;
}

static char **env_compose(enum cni_command command, const struct cni_attachment *a)
{
    char **env = xcalloc(ENV_MAX, sizeof(*env));
    size_t n = 0;

    env[n++] = xasprintf("CNI_COMMAND=%s", command == CNI_ADD ? "ADD" : "DEL");
    env[n++] = xasprintf("CNI_CONTAINERID=%s", a->container_id);
    env[n++] = xasprintf("CNI_NETNS=%s", a->netns ? a->netns : "");
    env[n++] = xasprintf("CNI_IFNAME=%s", a->interface);
    env[n++] = xasprintf("CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=%s;K8S_POD_NAME=%s;"
                         "K8S_POD_INFRA_CONTAINER_ID=%s;K8S_POD_UID=%s",
                         a->pod_namespace, a->pod_name, a->container_id, a->pod_uid);
    env[n++] = bin_path(a->bin_dirs);
    env[n++] = xstrdup(program_path);
    return env;
}

static struct error *json_parse(const char *what, const char *text, json_t **ret)
{
    json_error_t where;

    *ret = json_loads(text, 0, &where);
    if (!json_is_object(*ret)) {
        json_decref(*ret);
        return error_new(ERROR_INTERNAL, "the saved %s is not a JSON object: %s", what, where.text);
    }
    return NULL;
}

/* Only capabilities that the plugin declares as true, and that the pod uses. */
static struct error *runtime_config_inject(json_t *conf, const char *text)
{
    json_t *offered, *capabilities = json_object_get(conf, "capabilities"), *wanted;
    const char *name;

    TRY(json_parse("runtime configuration", text ? text : "{}", &offered));
    json_t *chosen = json_object();
    json_object_foreach(capabilities, name, wanted)
    {
        json_t *value = json_object_get(offered, name);
        if (json_is_true(wanted) && value)
            json_object_set(chosen, name, value);
    }
    if (json_object_size(chosen) > 0)
        json_object_set(conf, "runtimeConfig", chosen);
    json_decref(chosen);
    json_decref(offered);
    return NULL;
}

static struct error *conf_fill(json_t *conf, const struct cni_network *network, const char *runtime_config,
                               const char *previous)
{
    json_object_set_new(conf, "name", json_string(network->name));
    json_object_set_new(conf, "cniVersion", json_string(network->version));
    if (previous) {
        json_t *result;
        TRY(json_parse("answer of the plugin before", previous, &result));
        json_object_set_new(conf, "prevResult", result);
    }
    return runtime_config_inject(conf, runtime_config);
}

struct error *cni_compose(const struct cni_network *network, size_t index, enum cni_command command,
                          const struct cni_attachment *attachment, const char *previous, struct cni_invocation **ret)
{
    json_t *plugin = cni_network_plugin(network, index);

    TRY(attachment_check(attachment));
    if (!plugin)
        return error_new(ERROR_INTERNAL, "the network %s has no plugin %zu", network->name, index);
    if (command == CNI_DEL && !cni_version_has_del_result(network->version))
        previous = NULL;
    json_t *conf = json_deep_copy(plugin);
    struct error *failure = conf_fill(conf, network, attachment->runtime_config, previous);
    char *text = failure ? NULL : json_dumps(conf, JSON_COMPACT);
    json_decref(conf);
    if (failure)
        return failure;
    *ret = xcalloc(1, sizeof(**ret));
    (*ret)->stdin_text = text;
    (*ret)->env = env_compose(command, attachment);
    return NULL;
}
