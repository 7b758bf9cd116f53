/* How a plugin's answer is read, whatever its version. */
#include "services/sandboxd/cni/result.h"

#include <arpa/inet.h>
#include <string.h>

#include "common/memory.h"

void cni_result_free(struct cni_result *result)
{
    if (!result)
        return;
    json_decref(result->root);
    free(result->network_version);
    for (size_t i = 0; i < result->ip_count; i++) {
        free(result->ips[i].address);
        free(result->ips[i].gateway);
    }
    free(result->ips);
    free(result);
}

static bool address_family(const char *text, int *ret)
{
    unsigned char bytes[16];

    *ret = strchr(text, ':') ? AF_INET6 : AF_INET;
    return inet_pton(*ret, text, bytes) == 1;
}

static struct error *cidr_parse(const char *text, struct cni_ip *ip)
{
    const char *slash = strchr(text, '/');
    size_t digits = slash ? strspn(slash + 1, "0123456789") : 0;

    if (!slash || digits == 0 || digits > 3 || slash[1 + digits])
        return error_new(ERROR_INTERNAL, "the address \"%.60s\" has no prefix length", text);
    ip->address = xstrndup(text, (size_t)(slash - text));
    ip->prefix_length = (unsigned)strtoul(slash + 1, NULL, 10);
    if (!address_family(ip->address, &ip->family) || ip->prefix_length > (ip->family == AF_INET ? 32 : 128))
        return error_new(ERROR_INTERNAL, "\"%.60s\" is not an address", text);
    return NULL;
}

static struct error *interface_index_parse(const json_t *value, size_t interface_count, int *ret)
{
    *ret = -1;
    if (!value || json_is_null(value))
        return NULL;
    json_int_t index = json_integer_value(value);
    if (!json_is_integer(value) || index < 0 || (size_t)index >= interface_count)
        return error_new(ERROR_INTERNAL, "an address names an interface that is not in the answer");
    *ret = (int)index;
    return NULL;
}

/* address_key is "address", or "ip" in the old shape. The entry is added even when half read, so that it is freed. */
static struct error *ip_parse(struct cni_result *result, const json_t *entry, const char *address_key,
                              size_t interface_count)
{
    const char *address = json_string_value(json_object_get(entry, address_key));
    const json_t *gateway = json_object_get(entry, "gateway");
    int family;

    if (!address)
        return error_new(ERROR_INTERNAL, "an address is missing");
    if (result->ip_count >= CNI_IPS_MAX)
        return error_new(ERROR_INTERNAL, "more than %d addresses", CNI_IPS_MAX);
    struct cni_ip *ip = &result->ips[result->ip_count++];
    TRY(cidr_parse(address, ip));
    TRY(interface_index_parse(json_object_get(entry, "interface"), interface_count, &ip->interface));
    if (gateway && !json_is_null(gateway)) {
        const char *text = json_string_value(gateway);
        if (!text || (text[0] && !address_family(text, &family)))
            return error_new(ERROR_INTERNAL, "a gateway is not an address");
        ip->gateway = text[0] ? xstrdup(text) : NULL;
    }
    return NULL;
}

static struct error *interfaces_check(const json_t *interfaces)
{
    json_t *interface;
    size_t i;

    if (interfaces && !json_is_null(interfaces) && !json_is_array(interfaces))
        return error_new(ERROR_INTERNAL, "interfaces is not a list");
    json_array_foreach(interfaces, i, interface)
    {
        if (!json_is_string(json_object_get(interface, "name")))
            return error_new(ERROR_INTERNAL, "interface %zu has no name", i);
    }
    return NULL;
}

static struct error *ips_parse(struct cni_result *result)
{
    json_t *interfaces = json_object_get(result->root, "interfaces"), *ips = json_object_get(result->root, "ips"), *ip;
    size_t i;

    TRY(interfaces_check(interfaces));
    if (ips && !json_is_null(ips) && !json_is_array(ips))
        return error_new(ERROR_INTERNAL, "ips is not a list");
    json_array_foreach(ips, i, ip)
    {
        TRY(ip_parse(result, ip, "address", json_array_size(interfaces)));
    }
    return NULL;
}

static struct error *old_ips_parse(struct cni_result *result)
{
    json_t *ip4 = json_object_get(result->root, "ip4"), *ip6 = json_object_get(result->root, "ip6");

    if (ip4 && !json_is_null(ip4))
        TRY(ip_parse(result, ip4, "ip", 0));
    if (ip6 && !json_is_null(ip6))
        TRY(ip_parse(result, ip6, "ip", 0));
    return NULL;
}

static struct error *version_read(struct cni_result *result)
{
    const json_t *value = json_object_get(result->root, "cniVersion");
    const char *version = value ? json_string_value(value) : "";

    if (!version)
        return error_new(ERROR_INTERNAL, "cniVersion is not a string");
    result->shape = cni_version_shape(version[0] ? version : result->network_version);
    if (result->shape == CNI_SHAPE_UNKNOWN)
        return error_new(ERROR_INTERNAL, "its cniVersion \"%.40s\" is not known", version);
    return NULL;
}

static struct error *result_read(struct cni_result *result, const char *data, size_t size)
{
    json_error_t where;

    if (size > CNI_RESULT_MAX)
        return error_new(ERROR_INTERNAL, "longer than %d bytes", CNI_RESULT_MAX);
    result->root = json_loadb(data ? data : "", size, 0, &where);
    if (!result->root)
        return error_new(ERROR_INTERNAL, "line %d: %s", where.line, where.text);
    if (!json_is_object(result->root))
        return error_new(ERROR_INTERNAL, "not an object");
    TRY(version_read(result));
    return result->shape == CNI_SHAPE_OLD ? old_ips_parse(result) : ips_parse(result);
}

struct error *cni_result_parse(const char *data, size_t size, const char *network_version, struct cni_result **ret)
{
    autoptr(cni_result) result = xcalloc(1, sizeof(*result));

    result->network_version = xstrdup(network_version);
    result->ips = xcalloc(CNI_IPS_MAX, sizeof(*result->ips));
    for (size_t i = 0; i < CNI_IPS_MAX; i++)
        result->ips[i].interface = -1;
    TRY_TO(result_read(result, data, size), "the CNI plugin's answer");
    *ret = TAKE(result);
    return NULL;
}

size_t cni_result_ip_count(const struct cni_result *result)
{
    return result->ip_count;
}

const struct cni_ip *cni_result_ip(const struct cni_result *result, size_t index)
{
    return index < result->ip_count ? &result->ips[index] : NULL;
}

char *cni_result_text(const struct cni_result *result)
{
    json_t *root = cni_result_reshape(result->root, result->shape, cni_version_shape(result->network_version));

    json_object_set_new(root, "cniVersion", json_string(result->network_version));
    char *text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    return text;
}

/* An address belongs to the pod when it says no interface, or one of that name inside a sandbox. */
static bool ip_is_on(const struct cni_result *result, const struct cni_ip *ip, const char *interface)
{
    if (ip->interface < 0)
        return true;
    const json_t *entry = json_array_get(json_object_get(result->root, "interfaces"), (size_t)ip->interface);
    const char *sandbox = json_string_value(json_object_get(entry, "sandbox"));

    return sandbox && sandbox[0] && strcmp(json_string_value(json_object_get(entry, "name")), interface) == 0;
}

static bool is_preferred(const struct cni_ip *ip, const char *preference)
{
    return strcmp(preference, "cni") == 0 || ip->family == (strcmp(preference, "ipv6") == 0 ? AF_INET6 : AF_INET);
}

struct error *cni_result_pod_ips(const struct cni_result *result, const char *interface, const char *preference,
                                 const char ***ret_ips, size_t *ret_count)
{
    autofree const char **ips = xcalloc(CNI_IPS_MAX, sizeof(*ips));
    size_t count = 0, first = 0;
    bool has_first = false;

    for (size_t i = 0; i < result->ip_count; i++) {
        if (!ip_is_on(result, &result->ips[i], interface))
            continue;
        if (!has_first && is_preferred(&result->ips[i], preference)) {
            has_first = true;
            first = count;
        }
        ips[count++] = result->ips[i].address;
    }
    if (count == 0)
        return error_new(ERROR_INTERNAL, "the CNI plugins gave no address on %s", interface);
    const char *address = ips[first];
    memmove(ips + 1, ips, first * sizeof(*ips));
    ips[0] = address;
    *ret_ips = TAKE(ips);
    *ret_count = count;
    return NULL;
}
