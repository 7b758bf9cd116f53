/* What is true of the node: conditions, handlers, configuration. */
#include <string.h>

#include <jansson.h>

#include "common/memory.h"
#include "services/sandboxd/cgroup_driver.h"
#include "services/sandboxd/handlers.h"
#include "services/sandboxd/network.h"
#include "services/sandboxd/runtime.h"

static void condition_set(Runtime__V1__RuntimeCondition *condition, const char *type, const struct error *error,
                          const char *reason)
{
    runtime__v1__runtime_condition__init(condition);
    condition->type = (char *)type;
    condition->status = error == NULL;
    condition->reason = (char *)(error ? reason : "");
    condition->message = error ? error->text : (char *)"";
}

/* One text for `crictl info`. The caller frees it. */
static char *node_info(const struct sandboxd *d)
{
    json_t *info = json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:i}", "version", BULKHEAD_VERSION, "cgroupDriver",
                             d->config->cgroup_driver, "defaultRuntime",
                             d->default_runtime ? d->default_runtime->name : "", "cniConfDir", d->config->cni_conf_dir,
                             "root", d->config->root, "cgroupVersion", d->host.cgroup_version, "recordsPutAside",
                             (int)d->records_aside);
    char *text = info ? json_dumps(info, JSON_COMPACT) : NULL;

    json_decref(info);
    return text ? text : xstrdup("{}");
}

/* One handler per runtime, and "" for the default. */
static size_t runtime_handlers(const struct sandboxd *d, Runtime__V1__RuntimeHandler *handlers,
                               Runtime__V1__RuntimeHandler **pointers, Runtime__V1__RuntimeHandlerFeatures *features)
{
    size_t count = 0;

    runtime__v1__runtime_handler_features__init(features);
    features->recursive_read_only_mounts = spec_has_recursive_read_only(&d->host); /* by the shim, whatever the runtime */
    features->user_namespaces = d->host.user_namespaces_refusal == NULL;
    for (size_t i = 0; i <= d->config->runtime_count; i++) {
        bool is_default = i == d->config->runtime_count;
        if (is_default && !d->default_runtime)
            break;
        runtime__v1__runtime_handler__init(&handlers[count]);
        handlers[count].name = is_default ? (char *)"" : d->config->runtimes[i].name;
        handlers[count].features = features;
        pointers[count] = &handlers[count];
        count++;
    }
    return count;
}

static void status_pack(struct sandboxd *d, const struct error *network, const char *reason, bool is_verbose,
                        struct ipc_reply *reply)
{
    Runtime__V1__StatusResponse response = RUNTIME__V1__STATUS_RESPONSE__INIT;
    Runtime__V1__StatusResponse__InfoEntry info = RUNTIME__V1__STATUS_RESPONSE__INFO_ENTRY__INIT, *infos[] = {&info};
    Runtime__V1__RuntimeStatus status = RUNTIME__V1__RUNTIME_STATUS__INIT;
    Runtime__V1__RuntimeCondition conditions[2], *pointers[] = {&conditions[0], &conditions[1]};
    Runtime__V1__RuntimeFeatures own_features = RUNTIME__V1__RUNTIME_FEATURES__INIT;
    Runtime__V1__RuntimeHandlerFeatures features;
    size_t room = d->config->runtime_count + 1;
    autofree Runtime__V1__RuntimeHandler *handlers = xcalloc(room, sizeof(*handlers));
    autofree Runtime__V1__RuntimeHandler **handler_pointers = xcalloc(room, sizeof(*handler_pointers));
    autofree char *text = node_info(d);
    const struct config_runtime *runtime = NULL;
    autoptr(error) no_driver = cgroup_driver_check(d->config);
    autoptr(error) no_runtime = runtime_find(d, "", &runtime);

    condition_set(&conditions[0], "RuntimeReady", no_driver ? no_driver : no_runtime,
                  no_driver ? "NoCgroupDriver" : d->default_runtime ? "RuntimeMissing" : "NoRuntime");
    condition_set(&conditions[1], "NetworkReady", network, reason);
    status.n_conditions = 2;
    status.conditions = pointers;
    response.status = &status;
    response.n_runtime_handlers = runtime_handlers(d, handlers, handler_pointers, &features);
    response.runtime_handlers = handler_pointers;
    own_features.supplemental_groups_policy = true;
    own_features.mount_options = true;
    response.features = &own_features;
    info.key = "config";
    info.value = text;
    response.info = infos;
    response.n_info = is_verbose;
    message_reply(&response.base, reply);
}

struct error *handle_status(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    struct sandboxd *d = state;
    autoptr(cni_network) network = NULL;
    const char *reason = "";
    auto_request request = NULL;

    TRY(message_parse(call, &runtime__v1__status_request__descriptor, &request));
    autoptr(error) error = network_load(d, &network, &reason);
    status_pack(d, error, reason, ((Runtime__V1__StatusRequest *)request)->verbose, reply);
    return NULL;
}

struct error *handle_runtime_config(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    const struct sandboxd *d = state;
    Runtime__V1__RuntimeConfigResponse response = RUNTIME__V1__RUNTIME_CONFIG_RESPONSE__INIT;
    Runtime__V1__LinuxRuntimeConfiguration linux = RUNTIME__V1__LINUX_RUNTIME_CONFIGURATION__INIT;
    auto_request request = NULL;

    TRY(message_parse(call, &runtime__v1__runtime_config_request__descriptor, &request));
    linux.cgroup_driver = cgroup_driver_is_systemd(d->config) ? RUNTIME__V1__CGROUP_DRIVER__SYSTEMD : RUNTIME__V1__CGROUP_DRIVER__CGROUPFS;
    response.linux = &linux;
    message_reply(&response.base, reply);
    return NULL;
}

/* The pod CIDR is the CNI configuration's affair here, as it is with containerd where no template is set: accepted, unused. */
struct error *handle_update_runtime_config(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    Runtime__V1__UpdateRuntimeConfigResponse response = RUNTIME__V1__UPDATE_RUNTIME_CONFIG_RESPONSE__INIT;
    auto_request request = NULL;

    (void)state;
    TRY(message_parse(call, &runtime__v1__update_runtime_config_request__descriptor, &request));
    message_reply(&response.base, reply);
    return NULL;
}
