/* The table of CRI's methods: who answers each one. */
#include "services/criapi/routes.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_SHOWN_MAX = 100 }; /* characters of an unknown name that an error repeats */

#define PREFIX "/runtime.v1."

/* Sorted by path, for bsearch. */
static const struct route routes[] = {
    {"ImageService/ImageFsInfo", ROUTE_IMAGED},
    {"ImageService/ImageStatus", ROUTE_IMAGED},
    {"ImageService/ListImages", ROUTE_IMAGED},
    {"ImageService/PullImage", ROUTE_IMAGED},
    {"ImageService/RemoveImage", ROUTE_IMAGED},
    {"ImageService/StreamImages", ROUTE_UNIMPLEMENTED},
    {"RuntimeService/Attach", ROUTE_SANDBOXD},
    {"RuntimeService/CheckpointContainer", ROUTE_UNIMPLEMENTED},
    {"RuntimeService/CheckpointPod", ROUTE_UNIMPLEMENTED},
    {"RuntimeService/ContainerStats", ROUTE_SANDBOXD},
    {"RuntimeService/ContainerStatus", ROUTE_SANDBOXD},
    {"RuntimeService/CreateContainer", ROUTE_SANDBOXD},
    {"RuntimeService/Exec", ROUTE_SANDBOXD},
    {"RuntimeService/ExecSync", ROUTE_SANDBOXD},
    {"RuntimeService/GetContainerEvents", ROUTE_UNIMPLEMENTED},
    {"RuntimeService/ListContainerStats", ROUTE_SANDBOXD},
    {"RuntimeService/ListContainers", ROUTE_SANDBOXD},
    {"RuntimeService/ListMetricDescriptors", ROUTE_UNIMPLEMENTED},
    {"RuntimeService/ListPodSandbox", ROUTE_SANDBOXD},
    {"RuntimeService/ListPodSandboxMetrics", ROUTE_UNIMPLEMENTED},
    {"RuntimeService/ListPodSandboxStats", ROUTE_UNIMPLEMENTED},
    {"RuntimeService/PodSandboxStats", ROUTE_UNIMPLEMENTED},
    {"RuntimeService/PodSandboxStatus", ROUTE_SANDBOXD},
    {"RuntimeService/PortForward", ROUTE_SANDBOXD},
    {"RuntimeService/RemoveContainer", ROUTE_SANDBOXD},
    {"RuntimeService/RemovePodSandbox", ROUTE_SANDBOXD},
    {"RuntimeService/ReopenContainerLog", ROUTE_SANDBOXD},
    {"RuntimeService/RestorePod", ROUTE_UNIMPLEMENTED},
    {"RuntimeService/RunPodSandbox", ROUTE_SANDBOXD},
    {"RuntimeService/RuntimeConfig", ROUTE_SANDBOXD},
    {"RuntimeService/StartContainer", ROUTE_SANDBOXD},
    {"RuntimeService/Status", ROUTE_SANDBOXD},
    {"RuntimeService/StopContainer", ROUTE_SANDBOXD},
    {"RuntimeService/StopPodSandbox", ROUTE_SANDBOXD},
    {"RuntimeService/StreamContainerStats", ROUTE_UNIMPLEMENTED},
    {"RuntimeService/StreamContainers", ROUTE_UNIMPLEMENTED},
    {"RuntimeService/StreamPodSandboxMetrics", ROUTE_UNIMPLEMENTED},
    {"RuntimeService/StreamPodSandboxStats", ROUTE_UNIMPLEMENTED},
    {"RuntimeService/StreamPodSandboxes", ROUTE_UNIMPLEMENTED},
    {"RuntimeService/UpdateContainerResources", ROUTE_UNIMPLEMENTED},
    {"RuntimeService/UpdatePodSandboxResources", ROUTE_UNIMPLEMENTED},
    {"RuntimeService/UpdateRuntimeConfig", ROUTE_SANDBOXD},
    {"RuntimeService/Version", ROUTE_LOCAL},
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
    static const char *const names[] = {PREFIX "ImageService", PREFIX "RuntimeService"};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (service.size == strlen(names[i]) && memcmp(service.text, names[i], service.size) == 0)
            return true;
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

struct error *route_find(const char *path, size_t size, const struct route **ret)
{
    size_t skip = strlen(PREFIX);

    if (size <= skip || memcmp(path, PREFIX, skip) != 0)
        return path_error(path, size);
    struct piece piece = {path + skip, size - skip};
    const struct route *route =
        bsearch(&piece, routes, sizeof(routes) / sizeof(*routes), sizeof(*routes), piece_compare);
    if (!route)
        return path_error(path, size);
    if (route->target == ROUTE_UNIMPLEMENTED)
        return error_new(ERROR_UNIMPLEMENTED, "%s is not implemented", route_method(route));
    *ret = route;
    return NULL;
}

const char *route_method(const struct route *route)
{
    return strchr(route->path, '/') + 1;
}

const struct route *route_table(size_t *ret_count)
{
    *ret_count = sizeof(routes) / sizeof(*routes);
    return routes;
}
