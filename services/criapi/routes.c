/* The table of CRI's methods: who answers each one. */
#include "services/criapi/routes.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_SHOWN_MAX = 100 }; /* characters of an unknown name that an error repeats */

/* The services of each package. */
static const struct {
    const char *prefix;
    enum api_version version;
} packages[] = {
    {"/runtime.v1.", API_V1},
    {"/runtime.v1alpha2.", API_V1ALPHA2},
};
enum { PACKAGE_COUNT = sizeof(packages) / sizeof(*packages) };

/* Sorted by path, for bsearch. Each: who answers it, since which version it exists, and of a list that is streamed the unary
 * method with the same request and items. */
static const struct route routes[] = {
    {"ImageService/ImageFsInfo", ROUTE_IMAGED, API_V1ALPHA2, NULL},
    {"ImageService/ImageStatus", ROUTE_IMAGED, API_V1ALPHA2, NULL},
    {"ImageService/ListImages", ROUTE_IMAGED, API_V1ALPHA2, NULL},
    {"ImageService/PullImage", ROUTE_IMAGED, API_V1ALPHA2, NULL},
    {"ImageService/RemoveImage", ROUTE_IMAGED, API_V1ALPHA2, NULL},
    {"ImageService/StreamImages", ROUTE_IMAGED, API_V1, "ListImages"},
    {"RuntimeService/Attach", ROUTE_SANDBOXD, API_V1ALPHA2, NULL},
    {"RuntimeService/CheckpointContainer", ROUTE_UNIMPLEMENTED, API_V1, NULL},
    {"RuntimeService/CheckpointPod", ROUTE_UNIMPLEMENTED, API_V1, NULL},
    {"RuntimeService/ContainerStats", ROUTE_SANDBOXD, API_V1ALPHA2, NULL},
    {"RuntimeService/ContainerStatus", ROUTE_SANDBOXD, API_V1ALPHA2, NULL},
    {"RuntimeService/CreateContainer", ROUTE_SANDBOXD, API_V1ALPHA2, NULL},
    {"RuntimeService/Exec", ROUTE_SANDBOXD, API_V1ALPHA2, NULL},
    {"RuntimeService/ExecSync", ROUTE_SANDBOXD, API_V1ALPHA2, NULL},
    {"RuntimeService/GetContainerEvents", ROUTE_EVENTS, API_V1, NULL},
    {"RuntimeService/ListContainerStats", ROUTE_SANDBOXD, API_V1ALPHA2, NULL},
    {"RuntimeService/ListContainers", ROUTE_SANDBOXD, API_V1ALPHA2, NULL},
    {"RuntimeService/ListMetricDescriptors", ROUTE_SANDBOXD, API_V1, NULL},
    {"RuntimeService/ListPodSandbox", ROUTE_SANDBOXD, API_V1ALPHA2, NULL},
    {"RuntimeService/ListPodSandboxMetrics", ROUTE_SANDBOXD, API_V1, NULL},
    {"RuntimeService/ListPodSandboxStats", ROUTE_SANDBOXD, API_V1ALPHA2, NULL},
    {"RuntimeService/PodSandboxStats", ROUTE_SANDBOXD, API_V1ALPHA2, NULL},
    {"RuntimeService/PodSandboxStatus", ROUTE_SANDBOXD, API_V1ALPHA2, NULL},
    {"RuntimeService/PortForward", ROUTE_SANDBOXD, API_V1ALPHA2, NULL},
    {"RuntimeService/RemoveContainer", ROUTE_SANDBOXD, API_V1ALPHA2, NULL},
    {"RuntimeService/RemovePodSandbox", ROUTE_SANDBOXD, API_V1ALPHA2, NULL},
    {"RuntimeService/ReopenContainerLog", ROUTE_SANDBOXD, API_V1ALPHA2, NULL},
    {"RuntimeService/RestorePod", ROUTE_UNIMPLEMENTED, API_V1, NULL},
    {"RuntimeService/RunPodSandbox", ROUTE_SANDBOXD, API_V1ALPHA2, NULL},
    {"RuntimeService/RuntimeConfig", ROUTE_SANDBOXD, API_V1, NULL},
    {"RuntimeService/StartContainer", ROUTE_SANDBOXD, API_V1ALPHA2, NULL},
    {"RuntimeService/Status", ROUTE_SANDBOXD, API_V1ALPHA2, NULL},
    {"RuntimeService/StopContainer", ROUTE_SANDBOXD, API_V1ALPHA2, NULL},
    {"RuntimeService/StopPodSandbox", ROUTE_SANDBOXD, API_V1ALPHA2, NULL},
    {"RuntimeService/StreamContainerStats", ROUTE_SANDBOXD, API_V1, "ListContainerStats"},
    {"RuntimeService/StreamContainers", ROUTE_SANDBOXD, API_V1, "ListContainers"},
    {"RuntimeService/StreamPodSandboxMetrics", ROUTE_SANDBOXD, API_V1, "ListPodSandboxMetrics"},
    {"RuntimeService/StreamPodSandboxStats", ROUTE_SANDBOXD, API_V1, "ListPodSandboxStats"},
    {"RuntimeService/StreamPodSandboxes", ROUTE_SANDBOXD, API_V1, "ListPodSandbox"},
    {"RuntimeService/UpdateContainerResources", ROUTE_SANDBOXD, API_V1ALPHA2, NULL},
    {"RuntimeService/UpdatePodSandboxResources", ROUTE_SANDBOXD, API_V1, NULL},
    {"RuntimeService/UpdateRuntimeConfig", ROUTE_SANDBOXD, API_V1ALPHA2, NULL},
    {"RuntimeService/Version", ROUTE_LOCAL, API_V1ALPHA2, NULL},
};

struct piece {
    const char *text;
    size_t size;
};

static int piece_compare(const void *key, const void *element)
{
    const struct piece *piece = key;
    const struct route *route = element;
    size_t size = strlen(route->path);
    int order = memcmp(piece->text, route->path, piece->size < size ? piece->size : size);

    return order ? order : (piece->size > size) - (piece->size < size);
}

static int shown(size_t size)
{
    return (int)(size < PATH_SHOWN_MAX ? size : PATH_SHOWN_MAX);
}

static bool is_known_service(struct piece service)
{
    static const char *const names[] = {"ImageService", "RuntimeService"};

    for (size_t i = 0; i < PACKAGE_COUNT * 2; i++) {
        const char *prefix = packages[i / 2].prefix, *name = names[i % 2];
        size_t skip = strlen(prefix);
        if (service.size == skip + strlen(name) && memcmp(service.text, prefix, skip) == 0 &&
            memcmp(service.text + skip, name, strlen(name)) == 0)
            return true;
    }
    return false;
}

/* The error of a path that is in no route: says which part is unknown. */
static struct error *path_error(const char *path, size_t size)
{
    const char *slash = size > 0 ? memrchr(path + 1, '/', size - 1) : NULL;

    if (!slash || path[0] != '/')
        return error_new(ERROR_UNIMPLEMENTED, "malformed method name: \"%.*s\"", shown(size), path);
    struct piece service = {path, (size_t)(slash - path)};
    struct piece method = {slash + 1, size - service.size - 1};
    if (!is_known_service(service))
        return error_new(ERROR_UNIMPLEMENTED, "unknown service %.*s", shown(service.size - 1), path + 1);
    return error_new(ERROR_UNIMPLEMENTED, "unknown method %.*s for service %.*s", shown(method.size), method.text,
                     shown(service.size - 1), path + 1);
}

/* Takes the package off the path. False: it is in none that is served here. */
static bool package_take(struct piece *path, enum api_version *ret_version)
{
    for (size_t i = 0; i < PACKAGE_COUNT; i++) {
        size_t skip = strlen(packages[i].prefix);
        if (path->size <= skip || memcmp(path->text, packages[i].prefix, skip) != 0)
            continue;
        *path = (struct piece){path->text + skip, path->size - skip};
        *ret_version = packages[i].version;
        return true;
    }
    return false;
}

struct error *route_find(const char *path, size_t size, const struct route **ret, enum api_version *ret_version)
{
    struct piece piece = {path, size};
    enum api_version version;

    if (!package_take(&piece, &version))
        return path_error(path, size);
    const struct route *route =
        bsearch(&piece, routes, sizeof(routes) / sizeof(*routes), sizeof(*routes), piece_compare);
    if (!route || (version < route->since))
        return path_error(path, size);
    if (route->target == ROUTE_UNIMPLEMENTED)
        return error_new(ERROR_UNIMPLEMENTED, "%s is not implemented", route_method(route));
    *ret = route;
    *ret_version = version;
    return NULL;
}

const char *route_method(const struct route *route)
{
    return strchr(route->path, '/') + 1;
}

const char *route_forwarded(const struct route *route)
{
    return route->list ? route->list : route_method(route);
}

const struct route *route_table(size_t *ret_count)
{
    *ret_count = sizeof(routes) / sizeof(*routes);
    return routes;
}
