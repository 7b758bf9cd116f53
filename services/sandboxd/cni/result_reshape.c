/* How an answer of one CNI version reads in another. */
#include <string.h>

#include "services/sandboxd/cni/result.h"

static bool is_ipv6(const json_t *text)
{
    const char *value = json_string_value(text);

    return value && strchr(value, ':') != NULL;
}

static void array_append_all(json_t *to, const json_t *from)
{
    json_t *value;
    size_t i;

    json_array_foreach(from, i, value)
    {
        json_array_append(to, value);
    }
}

/* ip4 and ip6 become entries of ips; their routes go to one list. */
static json_t *reshape_from_old(const json_t *root)
{
    json_t *result = json_object(), *ips = json_array(), *routes = json_array();
    const char *keys[] = {"ip4", "ip6"};

    for (size_t i = 0; i < 2; i++) {
        json_t *old = json_object_get(root, keys[i]), *gateway = json_object_get(old, "gateway");
        if (!json_is_object(old))
            continue;
        json_t *ip = json_pack("{sO}", "address", json_object_get(old, "ip"));
        if (gateway)
            json_object_set(ip, "gateway", gateway);
        json_array_append_new(ips, ip);
        array_append_all(routes, json_object_get(old, "routes"));
    }
    json_object_set_new(result, "ips", ips);
    json_object_set_new(result, "routes", routes);
    if (json_object_get(root, "dns"))
        json_object_set(result, "dns", json_object_get(root, "dns"));
    return result;
}

static json_t *routes_of(const json_t *root, bool ipv6)
{
    json_t *routes = json_array(), *route;
    size_t i;

    json_array_foreach(json_object_get(root, "routes"), i, route)
    {
        if (is_ipv6(json_object_get(route, "dst")) == ipv6)
            json_array_append(routes, route);
    }
    return routes;
}

/* The first address of each family is all that the old shape can say. */
static json_t *reshape_to_old(const json_t *root)
{
    json_t *result = json_object(), *ip;
    size_t i;

    json_array_foreach(json_object_get(root, "ips"), i, ip)
    {
        json_t *address = json_object_get(ip, "address"), *gateway = json_object_get(ip, "gateway");
        const char *key = is_ipv6(address) ? "ip6" : "ip4";
        if (json_object_get(result, key))
            continue;
        json_t *old = json_pack("{sO so}", "ip", address, "routes", routes_of(root, is_ipv6(address)));
        if (gateway)
            json_object_set(old, "gateway", gateway);
        json_object_set_new(result, key, old);
    }
    if (json_object_get(root, "dns"))
        json_object_set(result, "dns", json_object_get(root, "dns"));
    return result;
}

/* The middle shape says each address's family, the new one does not. */
static void ips_set_version(json_t *root, bool with_version)
{
    json_t *ip;
    size_t i;

    json_array_foreach(json_object_get(root, "ips"), i, ip)
    {
        if (with_version)
            json_object_set_new(ip, "version", json_string(is_ipv6(json_object_get(ip, "address")) ? "6" : "4"));
        else
            json_object_del(ip, "version");
    }
}

json_t *cni_result_reshape(const json_t *root, enum cni_shape from, enum cni_shape to)
{
    if (from == to)
        return json_deep_copy(root);
    if (to == CNI_SHAPE_OLD)
        return reshape_to_old(root);
    json_t *result = from == CNI_SHAPE_OLD ? reshape_from_old(root) : json_deep_copy(root);
    ips_set_version(result, to == CNI_SHAPE_MIDDLE);
    return result;
}
