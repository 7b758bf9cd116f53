/* What of a pod's configuration goes to plugins as capability arguments. */
#include <jansson.h>

#include "services/sandboxd/cni/cni.h"

const char *cni_protocol_name(Runtime__V1__Protocol protocol)
{
    switch (protocol) {
    case RUNTIME__V1__PROTOCOL__UDP:
        return "udp";
    case RUNTIME__V1__PROTOCOL__SCTP:
        return "sctp";
    default:
        return "tcp";
    }
}

/* Ports without a host port are only told, not mapped. */
static json_t *port_mappings(const Runtime__V1__PodSandboxConfig *config)
{
    json_t *list = json_array();

    for (size_t i = 0; i < config->n_port_mappings; i++) {
        const Runtime__V1__PortMapping *port = config->port_mappings[i];
        if (port->host_port <= 0)
            continue;
        json_t *entry = json_pack("{si si ss}", "hostPort", port->host_port, "containerPort", port->container_port,
                                  "protocol", cni_protocol_name(port->protocol));
        if (port->host_ip && port->host_ip[0])
            json_object_set_new(entry, "hostIP", json_string(port->host_ip));
        json_array_append_new(list, entry);
    }
    return list;
}

static json_t *strings(char *const *values, size_t count)
{
    json_t *list = json_array();

    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_string(values[i]));
    return list;
}

char *cni_runtime_config(const Runtime__V1__PodSandboxConfig *config)
{
    json_t *root = json_object(), *ports = port_mappings(config);
    const Runtime__V1__DNSConfig *dns = config->dns_config;

    if (json_array_size(ports) > 0)
        json_object_set(root, "portMappings", ports);
    json_decref(ports);
    if (dns && dns->n_servers + dns->n_searches + dns->n_options > 0) {
        json_object_set_new(root, "dns",
                            json_pack("{so so so}", "servers", strings(dns->servers, dns->n_servers), "searches",
                                      strings(dns->searches, dns->n_searches), "options",
                                      strings(dns->options, dns->n_options)));
    }
    char *text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    return text;
}
