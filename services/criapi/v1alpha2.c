/* What clients of CRI before v1 (Kubernetes 1.10 to 1.25) mean by the same bytes, and expect by them. */
#include "services/criapi/v1alpha2.h"

#include <string.h>

#include "common/memory.h"
#include "proto/cri.pb-c.h"

/* Kubernetes' own defaults (pkg/securitycontext). Kubelets send them since 1.12; before, the runtime was to know them. */
static const char *const masked_paths[] = {
    "/proc/asound",     "/proc/acpi",       "/proc/kcore",       "/proc/keys", "/proc/latency_stats",
    "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
    "/sys/devices/virtual/powercap",
};
static const char *const readonly_paths[] = {
    "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
};

static void paths_set(char ***paths, size_t *count, const char *const *defaults, size_t default_count)
{
    *paths = xcalloc(default_count, sizeof(**paths));
    *count = default_count;
    for (size_t i = 0; i < default_count; i++)
        (*paths)[i] = xstrdup(defaults[i]);
}

static Runtime__V1__LinuxContainerSecurityContext *context_get(Runtime__V1__ContainerConfig *config)
{
    if (!config->linux) {
        config->linux = xmalloc(sizeof(*config->linux));
        runtime__v1__linux_container_config__init(config->linux);
    }
    if (!config->linux->security_context) {
        config->linux->security_context = xmalloc(sizeof(*config->linux->security_context));
        runtime__v1__linux_container_security_context__init(config->linux->security_context);
    }
    return config->linux->security_context;
}

/* No paths at all: an old kubelet's silence, or a later one's procMount: Unmasked (feature-gated then). The defaults are the
 * safe reading. */
static void create_container_request(ProtobufCMessage *message)
{
    Runtime__V1__CreateContainerRequest *request = (Runtime__V1__CreateContainerRequest *)message;

    if (!request->config)
        return;
    Runtime__V1__LinuxContainerSecurityContext *context = context_get(request->config);
    if (context->privileged || context->n_masked_paths > 0 || context->n_readonly_paths > 0)
        return;
    paths_set(&context->masked_paths, &context->n_masked_paths, masked_paths,
              sizeof(masked_paths) / sizeof(*masked_paths));
    paths_set(&context->readonly_paths, &context->n_readonly_paths, readonly_paths,
              sizeof(readonly_paths) / sizeof(*readonly_paths));
}

/* These kubelets' garbage collection compares image_ref with Image.id: a digest there makes a used image look unused. */
static void list_containers_reply(ProtobufCMessage *message)
{
    Runtime__V1__ListContainersResponse *reply = (Runtime__V1__ListContainersResponse *)message;

    for (size_t i = 0; i < reply->n_containers; i++) {
        Runtime__V1__Container *container = reply->containers[i];
        if (!*container->image_id)
            continue;
        if (container->image_ref != protobuf_c_empty_string)
            free(container->image_ref);
        container->image_ref = xstrdup(container->image_id);
    }
}

struct change {
    const char *method;
    const ProtobufCMessageDescriptor *descriptor;
    void (*apply)(ProtobufCMessage *message);
};

static const struct change request_changes[] = {
    {"CreateContainer", &runtime__v1__create_container_request__descriptor, create_container_request},
    {NULL, NULL, NULL},
};

static const struct change reply_changes[] = {
    {"ListContainers", &runtime__v1__list_containers_response__descriptor, list_containers_reply},
    {NULL, NULL, NULL},
};

/* Fields that we do not know stay as they are. */
static struct error *change(const struct change *changes, const char *method, enum error_code code, const uint8_t *bytes,
                            size_t size, uint8_t **ret, size_t *ret_size)
{
    while (changes->method && strcmp(changes->method, method) != 0)
        changes++;
    if (!changes->method)
        return NULL;
    ProtobufCMessage *message = protobuf_c_message_unpack(changes->descriptor, NULL, size, bytes);
    if (!message)
        return error_new(code, "%s: the %s does not parse", method, changes->descriptor->short_name);
    changes->apply(message);
    *ret_size = protobuf_c_message_get_packed_size(message);
    *ret = xmalloc(*ret_size + 1);
    protobuf_c_message_pack(message, *ret);
    protobuf_c_message_free_unpacked(message, NULL);
    return NULL;
}

struct error *v1alpha2_request(const char *method, const uint8_t *request, size_t size, uint8_t **ret, size_t *ret_size)
{
    return change(request_changes, method, ERROR_INVALID_ARGUMENT, request, size, ret, ret_size);
}

struct error *v1alpha2_reply(const char *method, const uint8_t *reply, size_t size, uint8_t **ret, size_t *ret_size)
{
    return change(reply_changes, method, ERROR_INTERNAL, reply, size, ret, ret_size);
}
