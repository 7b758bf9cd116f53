/* A small command-line CRI client for scripts: one command, one call. It knows how the arguments of a shell become CRI messages. */
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "common/clock.h"
#include "common/error.h"
#include "common/memory.h"
#include "proto/cri.pb-c.h"
#include "cli/clients/cri_client.h"

enum { CALL_TIMEOUT_MS = 30000, RETRY_PAUSE_US = 20000, PORTS_MAX = 16 };

struct tool {
    struct cri_client *client;
    bool retry; /* calls that end UNAVAILABLE are made again, as kubelet does */
    int argc;   /* what follows the command's name */
    char **argv;
};

struct flags {
    const char *log_directory, *log_path, *cgroup_parent, *handler;
    bool host_network, tty;
    Runtime__V1__PortMapping ports[PORTS_MAX];
    size_t port_count;
};

static struct error *call(struct tool *tool, const char *service, const char *method, const void *request,
                          uint8_t **ret_reply, size_t *ret_size)
{
    const ProtobufCMessage *message = request;
    size_t size = protobuf_c_message_get_packed_size(message);
    autofree uint8_t *bytes = xmalloc(size);
    int64_t end = clock_boottime_ns() + CALL_TIMEOUT_MS * INT64_C(1000000);

    protobuf_c_message_pack(message, bytes);
    for (;;) {
        struct error *error =
            cri_client_call(tool->client, service, method, bytes, size, CALL_TIMEOUT_MS, ret_reply, ret_size);
        if (!error || !tool->retry || error->code != ERROR_UNAVAILABLE || clock_boottime_ns() > end)
            return error;
        error_free(error);
        usleep(RETRY_PAUSE_US);
    }
}

/* Makes the call, and decodes its reply with protobuf-c; the caller frees it. */
#define CALL(tool, service, method, request, lower, ret)                                                               \
    do {                                                                                                               \
        uint8_t *reply_ = NULL;                                                                                        \
        size_t size_ = 0;                                                                                              \
        TRY(call(tool, service, method, request, &reply_, &size_));                                                    \
        *(ret) = runtime__v1__##lower##__unpack(NULL, size_, reply_);                                                  \
        free(reply_);                                                                                                  \
        if (!*(ret))                                                                                                   \
            return error_new(ERROR_INTERNAL, "the reply to %s does not parse", method);                                \
    } while (0)

static struct error *usage(const char *text)
{
    return error_new(ERROR_INVALID_ARGUMENT, "usage: cri --address SOCKET [--retry] %s", text);
}

static struct error *port_parse(char *text, Runtime__V1__PortMapping *ret)
{
    runtime__v1__port_mapping__init(ret);
    if (sscanf(text, "%" SCNd32 ":%" SCNd32, &ret->host_port, &ret->container_port) != 2)
        return usage("... --port HOST:CONTAINER");
    return NULL;
}

/* Takes the flags after a command's name; what remains is left in argc and argv. */
static struct error *flags_parse(struct tool *tool, struct flags *flags)
{
    static const struct option options[] = {{"log-directory", required_argument, NULL, 'd'},
                                            {"log-path", required_argument, NULL, 'l'},
                                            {"cgroup-parent", required_argument, NULL, 'c'},
                                            {"handler", required_argument, NULL, 'h'},
                                            {"port", required_argument, NULL, 'p'},
                                            {"host-network", no_argument, NULL, 'n'},
                                            {"tty", no_argument, NULL, 't'},
                                            {0}};
    int letter;

    optind = 0;
    while ((letter = getopt_long(tool->argc, tool->argv, "", options, NULL)) != -1) {
        if (letter == 'd')
            flags->log_directory = optarg;
        else if (letter == 'l')
            flags->log_path = optarg;
        else if (letter == 'c')
            flags->cgroup_parent = optarg;
        else if (letter == 'h')
            flags->handler = optarg;
        else if (letter == 'n')
            flags->host_network = true;
        else if (letter == 't')
            flags->tty = true;
        else if (letter == 'p' && flags->port_count < PORTS_MAX)
            TRY(port_parse(optarg, &flags->ports[flags->port_count++]));
        else
            return usage("...");
    }
    tool->argc -= optind;
    tool->argv += optind;
    return NULL;
}

static struct error *tool_version(struct tool *tool)
{
    Runtime__V1__VersionRequest request = RUNTIME__V1__VERSION_REQUEST__INIT;
    Runtime__V1__VersionResponse *reply;

    CALL(tool, "RuntimeService", "Version", &request, version_response, &reply);
    printf("%s %s (CRI %s)\n", reply->runtime_name, reply->runtime_version, reply->runtime_api_version);
    runtime__v1__version_response__free_unpacked(reply, NULL);
    return NULL;
}

static struct error *status_is_ready(struct tool *tool, bool *ret)
{
    Runtime__V1__StatusRequest request = RUNTIME__V1__STATUS_REQUEST__INIT;
    Runtime__V1__StatusResponse *reply;

    CALL(tool, "RuntimeService", "Status", &request, status_response, &reply);
    *ret = reply->status != NULL;
    for (size_t i = 0; reply->status && i < reply->status->n_conditions; i++)
        *ret = *ret && reply->status->conditions[i]->status;
    runtime__v1__status_response__free_unpacked(reply, NULL);
    return NULL;
}

static struct error *tool_wait_ready(struct tool *tool)
{
    int64_t end = clock_boottime_ns() + CALL_TIMEOUT_MS * INT64_C(1000000);
    bool ready = false;

    while (!ready) {
        struct error *error = status_is_ready(tool, &ready);
        if (clock_boottime_ns() > end)
            return error ? error : error_new(ERROR_DEADLINE_EXCEEDED, "the runtime or its network is not ready");
        error_free(error);
        usleep(RETRY_PAUSE_US);
    }
    return NULL;
}

static struct error *tool_pull(struct tool *tool)
{
    Runtime__V1__PullImageRequest request = RUNTIME__V1__PULL_IMAGE_REQUEST__INIT;
    Runtime__V1__ImageSpec image = RUNTIME__V1__IMAGE_SPEC__INIT;
    Runtime__V1__PullImageResponse *reply;

    if (tool->argc != 2)
        return usage("pull IMAGE");
    image.image = tool->argv[1];
    request.image = &image;
    CALL(tool, "ImageService", "PullImage", &request, pull_image_response, &reply);
    printf("%s\n", reply->image_ref);
    runtime__v1__pull_image_response__free_unpacked(reply, NULL);
    return NULL;
}

static struct error *tool_rmi(struct tool *tool)
{
    Runtime__V1__RemoveImageRequest request = RUNTIME__V1__REMOVE_IMAGE_REQUEST__INIT;
    Runtime__V1__ImageSpec image = RUNTIME__V1__IMAGE_SPEC__INIT;
    Runtime__V1__RemoveImageResponse *reply;

    if (tool->argc != 2)
        return usage("rmi IMAGE");
    image.image = tool->argv[1];
    request.image = &image;
    CALL(tool, "ImageService", "RemoveImage", &request, remove_image_response, &reply);
    runtime__v1__remove_image_response__free_unpacked(reply, NULL);
    return NULL;
}

static struct error *tool_images(struct tool *tool)
{
    Runtime__V1__ListImagesRequest request = RUNTIME__V1__LIST_IMAGES_REQUEST__INIT;
    Runtime__V1__ListImagesResponse *reply;

    CALL(tool, "ImageService", "ListImages", &request, list_images_response, &reply);
    for (size_t i = 0; i < reply->n_images; i++)
        printf("%s %" PRIu64 " %s\n", reply->images[i]->id, reply->images[i]->size,
               reply->images[i]->n_repo_tags ? reply->images[i]->repo_tags[0] : "-");
    runtime__v1__list_images_response__free_unpacked(reply, NULL);
    return NULL;
}

static struct error *tool_runp(struct tool *tool)
{
    Runtime__V1__RunPodSandboxRequest request = RUNTIME__V1__RUN_POD_SANDBOX_REQUEST__INIT;
    Runtime__V1__PodSandboxConfig config = RUNTIME__V1__POD_SANDBOX_CONFIG__INIT;
    Runtime__V1__PodSandboxMetadata metadata = RUNTIME__V1__POD_SANDBOX_METADATA__INIT;
    Runtime__V1__LinuxPodSandboxConfig linux_config = RUNTIME__V1__LINUX_POD_SANDBOX_CONFIG__INIT;
    Runtime__V1__LinuxSandboxSecurityContext security = RUNTIME__V1__LINUX_SANDBOX_SECURITY_CONTEXT__INIT;
    Runtime__V1__NamespaceOption namespaces = RUNTIME__V1__NAMESPACE_OPTION__INIT;
    Runtime__V1__PortMapping *ports[PORTS_MAX];
    Runtime__V1__RunPodSandboxResponse *reply;
    struct flags flags = {0};

    TRY(flags_parse(tool, &flags));
    if (tool->argc != 1)
        return usage("runp [--log-directory D] [--cgroup-parent C] [--port H:C] [--host-network] [--handler R] NAME");
    for (size_t i = 0; i < flags.port_count; i++)
        ports[i] = &flags.ports[i];
    metadata.name = metadata.uid = tool->argv[0];
    metadata.namespace_ = (char *)"default";
    namespaces.pid = RUNTIME__V1__NAMESPACE_MODE__CONTAINER;
    namespaces.network = flags.host_network ? RUNTIME__V1__NAMESPACE_MODE__NODE : RUNTIME__V1__NAMESPACE_MODE__POD;
    security.namespace_options = &namespaces;
    linux_config.security_context = &security;
    linux_config.cgroup_parent = (char *)(flags.cgroup_parent ? flags.cgroup_parent : "");
    config.metadata = &metadata;
    config.hostname = (char *)(flags.host_network ? "" : tool->argv[0]);
    config.log_directory = (char *)(flags.log_directory ? flags.log_directory : "");
    config.linux = &linux_config;
    config.port_mappings = ports;
    config.n_port_mappings = flags.port_count;
    request.config = &config;
    request.runtime_handler = (char *)(flags.handler ? flags.handler : "");
    CALL(tool, "RuntimeService", "RunPodSandbox", &request, run_pod_sandbox_response, &reply);
    printf("%s\n", reply->pod_sandbox_id);
    runtime__v1__run_pod_sandbox_response__free_unpacked(reply, NULL);
    return NULL;
}

static struct error *pod_status(struct tool *tool, Runtime__V1__PodSandboxStatusResponse **ret)
{
    Runtime__V1__PodSandboxStatusRequest request = RUNTIME__V1__POD_SANDBOX_STATUS_REQUEST__INIT;

    if (tool->argc != 2)
        return usage("podip|inspectp POD");
    request.pod_sandbox_id = tool->argv[1];
    CALL(tool, "RuntimeService", "PodSandboxStatus", &request, pod_sandbox_status_response, ret);
    return NULL;
}

static struct error *tool_podip(struct tool *tool)
{
    Runtime__V1__PodSandboxStatusResponse *reply;

    TRY(pod_status(tool, &reply));
    printf("%s\n", reply->status && reply->status->network ? reply->status->network->ip : "");
    runtime__v1__pod_sandbox_status_response__free_unpacked(reply, NULL);
    return NULL;
}

static struct error *pod_config(struct tool *tool, const char *pod, struct flags *flags, char **argv, size_t argc)
{
    Runtime__V1__CreateContainerRequest request = RUNTIME__V1__CREATE_CONTAINER_REQUEST__INIT;
    Runtime__V1__ContainerConfig config = RUNTIME__V1__CONTAINER_CONFIG__INIT;
    Runtime__V1__ContainerMetadata metadata = RUNTIME__V1__CONTAINER_METADATA__INIT;
    Runtime__V1__ImageSpec image = RUNTIME__V1__IMAGE_SPEC__INIT;
    Runtime__V1__PodSandboxConfig sandbox = RUNTIME__V1__POD_SANDBOX_CONFIG__INIT;
    Runtime__V1__LinuxContainerConfig linux_config = RUNTIME__V1__LINUX_CONTAINER_CONFIG__INIT;
    Runtime__V1__LinuxContainerSecurityContext security = RUNTIME__V1__LINUX_CONTAINER_SECURITY_CONTEXT__INIT;
    Runtime__V1__NamespaceOption namespaces = RUNTIME__V1__NAMESPACE_OPTION__INIT;
    Runtime__V1__CreateContainerResponse *reply;

    metadata.name = argv[0];
    image.image = argv[1];
    namespaces.pid = RUNTIME__V1__NAMESPACE_MODE__CONTAINER;
    namespaces.network = flags->host_network ? RUNTIME__V1__NAMESPACE_MODE__NODE : RUNTIME__V1__NAMESPACE_MODE__POD;
    security.namespace_options = &namespaces;
    linux_config.security_context = &security;
    config.linux = &linux_config;
    config.metadata = &metadata;
    config.image = &image;
    config.command = argv + 2;
    config.n_command = argc - 2;
    config.log_path = (char *)(flags->log_path ? flags->log_path : "");
    config.tty = flags->tty;
    request.pod_sandbox_id = (char *)pod;
    request.config = &config;
    request.sandbox_config = &sandbox;
    CALL(tool, "RuntimeService", "CreateContainer", &request, create_container_response, &reply);
    printf("%s\n", reply->container_id);
    runtime__v1__create_container_response__free_unpacked(reply, NULL);
    return NULL;
}

static struct error *tool_create(struct tool *tool)
{
    struct flags flags = {0};

    TRY(flags_parse(tool, &flags));
    if (tool->argc < 3)
        return usage("create [--log-path P] [--tty] [--host-network] POD NAME IMAGE [-- COMMAND...]");
    return pod_config(tool, tool->argv[0], &flags, tool->argv + 1, (size_t)tool->argc - 1);
}

/* The calls whose request is one id, and whose reply is empty. */
#define ID_COMMAND(command, method, lower, upper, field)                                                               \
    static struct error *command(struct tool *tool)                                                                    \
    {                                                                                                                  \
        Runtime__V1__##method##Request request = RUNTIME__V1__##upper##_REQUEST__INIT;                                 \
        Runtime__V1__##method##Response *reply;                                                                        \
                                                                                                                       \
        if (tool->argc != 2)                                                                                           \
            return usage(#field " as the one argument");                                                               \
        request.field = tool->argv[1];                                                                                 \
        CALL(tool, "RuntimeService", #method, &request, lower##_response, &reply);                                     \
        runtime__v1__##lower##_response__free_unpacked(reply, NULL);                                                   \
        return NULL;                                                                                                   \
    }

ID_COMMAND(tool_start, StartContainer, start_container, START_CONTAINER, container_id)
ID_COMMAND(tool_rm, RemoveContainer, remove_container, REMOVE_CONTAINER, container_id)
ID_COMMAND(tool_reopen, ReopenContainerLog, reopen_container_log, REOPEN_CONTAINER_LOG, container_id)
ID_COMMAND(tool_stopp, StopPodSandbox, stop_pod_sandbox, STOP_POD_SANDBOX, pod_sandbox_id)
ID_COMMAND(tool_rmp, RemovePodSandbox, remove_pod_sandbox, REMOVE_POD_SANDBOX, pod_sandbox_id)

static struct error *tool_stop(struct tool *tool)
{
    Runtime__V1__StopContainerRequest request = RUNTIME__V1__STOP_CONTAINER_REQUEST__INIT;
    Runtime__V1__StopContainerResponse *reply;

    if (tool->argc != 3)
        return usage("stop CONTAINER SECONDS");
    request.container_id = tool->argv[1];
    request.timeout = strtoll(tool->argv[2], NULL, 10);
    CALL(tool, "RuntimeService", "StopContainer", &request, stop_container_response, &reply);
    runtime__v1__stop_container_response__free_unpacked(reply, NULL);
    return NULL;
}

static struct error *container_status(struct tool *tool, bool verbose, Runtime__V1__ContainerStatusResponse **ret)
{
    Runtime__V1__ContainerStatusRequest request = RUNTIME__V1__CONTAINER_STATUS_REQUEST__INIT;

    if (tool->argc != 2)
        return usage("status|pid CONTAINER");
    request.container_id = tool->argv[1];
    request.verbose = verbose;
    CALL(tool, "RuntimeService", "ContainerStatus", &request, container_status_response, ret);
    return NULL;
}

static struct error *tool_status(struct tool *tool)
{
    static const char *const states[] = {"CREATED", "RUNNING", "EXITED", "UNKNOWN"};
    Runtime__V1__ContainerStatusResponse *reply;

    TRY(container_status(tool, false, &reply));
    printf("%s exit code %d %s\n", states[reply->status->state & 3], reply->status->exit_code, reply->status->reason);
    runtime__v1__container_status_response__free_unpacked(reply, NULL);
    return NULL;
}

/* The first process's pid, from the verbose information. */
static struct error *tool_pid(struct tool *tool)
{
    Runtime__V1__ContainerStatusResponse *reply;
    json_int_t pid = 0;

    TRY(container_status(tool, true, &reply));
    for (size_t i = 0; i < reply->n_info; i++) {
        json_t *info = json_loads(reply->info[i]->value, 0, NULL);
        if (json_integer_value(json_object_get(info, "pid")))
            pid = json_integer_value(json_object_get(info, "pid"));
        json_decref(info);
    }
    runtime__v1__container_status_response__free_unpacked(reply, NULL);
    if (!pid)
        return error_new(ERROR_NOT_FOUND, "the verbose status has no pid");
    printf("%" JSON_INTEGER_FORMAT "\n", pid);
    return NULL;
}

static struct error *tool_exec(struct tool *tool)
{
    Runtime__V1__ExecSyncRequest request = RUNTIME__V1__EXEC_SYNC_REQUEST__INIT;
    Runtime__V1__ExecSyncResponse *reply;

    if (tool->argc < 4 || strcmp(tool->argv[2], "--") != 0)
        return usage("exec CONTAINER -- COMMAND...");
    request.container_id = tool->argv[1];
    request.cmd = tool->argv + 3;
    request.n_cmd = (size_t)tool->argc - 3;
    request.timeout = CALL_TIMEOUT_MS / 1000;
    CALL(tool, "RuntimeService", "ExecSync", &request, exec_sync_response, &reply);
    fwrite(reply->stdout.data, 1, reply->stdout.len, stdout);
    fwrite(reply->stderr.data, 1, reply->stderr.len, stderr);
    int code = reply->exit_code;
    runtime__v1__exec_sync_response__free_unpacked(reply, NULL);
    return code ? error_new(ERROR_UNKNOWN, "exit code %d", code) : NULL;
}

static struct error *tool_pods(struct tool *tool)
{
    Runtime__V1__ListPodSandboxRequest request = RUNTIME__V1__LIST_POD_SANDBOX_REQUEST__INIT;
    Runtime__V1__ListPodSandboxResponse *reply;

    CALL(tool, "RuntimeService", "ListPodSandbox", &request, list_pod_sandbox_response, &reply);
    for (size_t i = 0; i < reply->n_items; i++)
        printf("%s %s %s\n", reply->items[i]->id, reply->items[i]->state ? "NOTREADY" : "READY",
               reply->items[i]->metadata->name);
    runtime__v1__list_pod_sandbox_response__free_unpacked(reply, NULL);
    return NULL;
}

static struct error *tool_ps(struct tool *tool)
{
    Runtime__V1__ListContainersRequest request = RUNTIME__V1__LIST_CONTAINERS_REQUEST__INIT;
    Runtime__V1__ListContainersResponse *reply;

    CALL(tool, "RuntimeService", "ListContainers", &request, list_containers_response, &reply);
    for (size_t i = 0; i < reply->n_containers; i++)
        printf("%s %d %s\n", reply->containers[i]->id, reply->containers[i]->state, reply->containers[i]->metadata->name);
    runtime__v1__list_containers_response__free_unpacked(reply, NULL);
    return NULL;
}

static const struct {
    const char *name;
    struct error *(*run)(struct tool *tool);
} commands[] = {
    {"create", tool_create},   {"exec", tool_exec},     {"images", tool_images}, {"pid", tool_pid},
    {"podip", tool_podip},     {"pods", tool_pods},     {"ps", tool_ps},         {"pull", tool_pull},
    {"reopen", tool_reopen},   {"rm", tool_rm},         {"rmi", tool_rmi},       {"rmp", tool_rmp},
    {"runp", tool_runp},       {"start", tool_start},   {"status", tool_status}, {"stop", tool_stop},
    {"stopp", tool_stopp},     {"version", tool_version}, {"wait-ready", tool_wait_ready},
};

static struct error *command_run(struct tool *tool)
{
    for (size_t i = 0; tool->argc && i < sizeof(commands) / sizeof(commands[0]); i++)
        if (!strcmp(tool->argv[0], commands[i].name))
            return commands[i].run(tool);
    return usage("COMMAND ...");
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"address", required_argument, NULL, 'a'}, {"retry", no_argument, NULL, 'r'}, {0}};
    struct tool tool = {0};
    const char *address = "/run/bulkhead/bulkhead.sock";
    int letter;

    while ((letter = getopt_long(argc, argv, "+", options, NULL)) != -1) {
        if (letter == 'a')
            address = optarg;
        else if (letter == 'r')
            tool.retry = true;
    }
    tool.argc = argc - optind;
    tool.argv = argv + optind;
    struct error *error = cri_client_open(address, &tool.client);
    if (!error)
        error = command_run(&tool);
    if (error)
        fprintf(stderr, "cri: %s: %s\n", error_code_name(error->code), error->text);
    int status = error ? 1 : 0;
    error_free(error);
    cri_client_close(tool.client);
    return status;
}
