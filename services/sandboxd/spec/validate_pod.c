/* Which pod configurations are taken. */
#include <arpa/inet.h>
#include <string.h>

#include "common/sysctl.h"
#include "services/sandboxd/spec/cgroup_name.h"
#include "services/sandboxd/spec/message.h"
#include "services/sandboxd/spec/path.h"
#include "services/sandboxd/spec/validate.h"

static struct error *metadata_check(const Runtime__V1__PodSandboxMetadata *metadata)
{
    if (!metadata)
        return error_new(ERROR_INVALID_ARGUMENT, "metadata is missing");
    TRY(validate_name("metadata.name", metadata->name));
    TRY(validate_name("metadata.namespace", metadata->namespace_));
    return validate_name("metadata.uid", metadata->uid);
}

static struct error *hostname_check(const char *hostname)
{
    if (strlen(hostname) > VALIDATE_HOSTNAME_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "hostname is longer than %d bytes", VALIDATE_HOSTNAME_MAX);
    return hostname[0] ? validate_name("hostname", hostname) : NULL;
}

static bool is_address(const char *text)
{
    unsigned char bytes[16];

    return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
}

/* A server of a link's own may name the link: fe80::1%eth0. */
static bool is_server(const char *text)
{
    size_t length = strcspn(text, "%");
    autofree char *address = xstrndup(text, length);

    return is_address(address) && !strpbrk(text, " \t\r\n") && (!text[length] || strchr(address, ':'));
}

static struct error *words_check(const char *field, char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!words[i][0] || strpbrk(words[i], " \t\r\n"))
            return error_new(ERROR_INVALID_ARGUMENT, "%s \"%s\" is not one word", field, words[i]);
    }
    return NULL;
}

static struct error *dns_check(const Runtime__V1__DNSConfig *dns)
{
    if (!dns)
        return NULL;
    for (size_t i = 0; i < dns->n_servers; i++) {
        if (!is_server(dns->servers[i]))
            return error_new(ERROR_INVALID_ARGUMENT, "dns_config.servers: \"%s\" is not an address", dns->servers[i]);
    }
    TRY(words_check("dns_config.searches", dns->searches, dns->n_searches));
    return words_check("dns_config.options", dns->options, dns->n_options);
}

static struct error *port_check(const Runtime__V1__PortMapping *port)
{
    if (port->protocol < RUNTIME__V1__PROTOCOL__TCP || port->protocol > RUNTIME__V1__PROTOCOL__SCTP)
        return error_new(ERROR_INVALID_ARGUMENT, "port_mappings: %d is no protocol", (int)port->protocol);
    if (port->container_port < 1 || port->container_port > 65535)
        return error_new(ERROR_INVALID_ARGUMENT, "port_mappings: container_port %d is not in 1..65535",
                         port->container_port);
    if (port->host_port < 0 || port->host_port > 65535)
        return error_new(ERROR_INVALID_ARGUMENT, "port_mappings: host_port %d is not in 0..65535", port->host_port);
    if (spec_text_is_set(port->host_ip) && !is_address(port->host_ip))
        return error_new(ERROR_INVALID_ARGUMENT, "port_mappings: host_ip \"%s\" is not an address", port->host_ip);
    return NULL;
}

static struct error *cgroup_parent_check(const char *parent, const struct spec_host *host)
{
    size_t length = strlen(parent);
    autofree char *slice = NULL;

    if (path_has_dotdot(parent))
        return error_new(ERROR_INVALID_ARGUMENT, "cgroup_parent \"%s\" has a \"..\" in it", parent);
    if (host->has_systemd_driver)
        return cgroup_slice_parse(parent, &slice);
    if (length > 6 && strcmp(parent + length - 6, ".slice") == 0)
        return error_new(ERROR_INVALID_ARGUMENT, "cgroup_parent \"%s\" is a slice of systemd, the driver is cgroupfs",
                         parent);
    if (length >= 4096)
        return error_new(ERROR_INVALID_ARGUMENT, "cgroup_parent is longer than a path can be");
    return NULL;
}

/* What else is said of the sandbox (user, groups, read-only root) is about a pause container, which there is not. */
static struct error *context_check(const Runtime__V1__LinuxSandboxSecurityContext *context,
                                   const struct spec_host *host)
{
    if (!context)
        return NULL;
    TRY(validate_selinux(context->selinux_options, host));
    TRY(validate_apparmor(context->apparmor, NULL, host));
    TRY(validate_seccomp(context->seccomp, context->seccomp_profile_path));
    TRY(validate_id("run_as_user", context->run_as_user));
    TRY(validate_id("run_as_group", context->run_as_group));
    TRY(validate_ids("supplemental_groups", context->supplemental_groups, context->n_supplemental_groups));
    TRY(validate_groups_policy(context->supplemental_groups_policy));
    if (context->namespace_options && context->namespace_options->pid == RUNTIME__V1__NAMESPACE_MODE__TARGET)
        return error_new(ERROR_INVALID_ARGUMENT, "namespace_options.pid: TARGET is no mode of a pod");
    TRY(validate_namespaces(context->namespace_options));
    TRY(validate_pod_user_namespace(context->namespace_options, host));
    if (context->namespace_options && context->namespace_options->network == RUNTIME__V1__NAMESPACE_MODE__CONTAINER)
        return error_new(ERROR_INVALID_ARGUMENT, "namespace_options.network: CONTAINER is no mode of a pod");
    return NULL;
}

/* Only what a namespace of the pod's own has: the rest is the node's. */
static struct error *sysctl_check(const char *name, const char *value, const Runtime__V1__PodSandboxConfig *config)
{
    struct spec_namespaces modes = spec_pod_namespaces(config);
    bool has_network = modes.network != RUNTIME__V1__NAMESPACE_MODE__NODE;
    bool has_ipc = modes.ipc != RUNTIME__V1__NAMESPACE_MODE__NODE;

    if (!value[0])
        return error_new(ERROR_INVALID_ARGUMENT, "sysctls: %s has no value", name);
    switch (sysctl_namespace_of(name)) {
    case SYSCTL_OF_NET:
    case SYSCTL_OF_UTS: /* which goes with the network */
        if (has_network)
            return NULL;
        return error_new(ERROR_INVALID_ARGUMENT, "sysctls: %s is the node's, as the pod is on its network", name);
    case SYSCTL_OF_IPC:
        if (has_ipc)
            return NULL;
        return error_new(ERROR_INVALID_ARGUMENT, "sysctls: %s is the node's, as the pod shares its IPC namespace", name);
    default:
        return error_new(ERROR_INVALID_ARGUMENT, "sysctls: \"%s\" belongs to no namespace", name);
    }
}

static struct error *linux_check(const Runtime__V1__PodSandboxConfig *config, const struct spec_host *host)
{
    const Runtime__V1__LinuxPodSandboxConfig *linux = config->linux;

    if (!linux)
        return NULL;
    for (size_t i = 0; i < linux->n_sysctls; i++)
        TRY(sysctl_check(linux->sysctls[i]->key, linux->sysctls[i]->value, config));
    TRY(cgroup_parent_check(linux->cgroup_parent, host));
    return context_check(linux->security_context, host);
}

struct error *spec_validate_pod(const Runtime__V1__PodSandboxConfig *config, const struct spec_host *host)
{
    if (!config)
        return error_new(ERROR_INVALID_ARGUMENT, "config is missing");
    TRY(message_check_utf8(&config->base));
    TRY(metadata_check(config->metadata));
    TRY(hostname_check(config->hostname));
    TRY(validate_path("log_directory", config->log_directory));
    TRY(dns_check(config->dns_config));
    for (size_t i = 0; i < config->n_port_mappings; i++)
        TRY(port_check(config->port_mappings[i]));
    if (config->windows)
        return validate_unsupported("windows");
    return linux_check(config, host);
}
