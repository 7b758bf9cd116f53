/* What is asked wrongly, of every method: the code and the words it gets, and that nothing is left of it. */
#include <sys/stat.h>

#include "tests/integration/node_fixture.h"

enum { CALL_TIMEOUT_MS = 30000 };

/* A call of raw bytes whose reply is not wanted. */
static struct error *call_bytes(struct fixture *fixture, const char *service, const char *method, const void *bytes,
                                size_t size)
{
    autofree uint8_t *reply = NULL;
    size_t reply_size = 0;

    return cri_client_call(fixture->node.client, service, method, bytes, size, CALL_TIMEOUT_MS, &reply, &reply_size);
}

static struct error *call_message(struct fixture *fixture, const char *service, const char *method,
                                  const ProtobufCMessage *request)
{
    autofree uint8_t *reply = NULL;
    size_t size = 0;

    return cri_client_call_message(fixture->node.client, service, method, request, CALL_TIMEOUT_MS, &reply, &size);
}

static const char *const runtime_methods[] = {"Version",
                                              "Status",
                                              "RuntimeConfig",
                                              "UpdateRuntimeConfig",
                                              "RunPodSandbox",
                                              "StopPodSandbox",
                                              "RemovePodSandbox",
                                              "PodSandboxStatus",
                                              "ListPodSandbox",
                                              "CreateContainer",
                                              "StartContainer",
                                              "StopContainer",
                                              "RemoveContainer",
                                              "ListContainers",
                                              "ContainerStatus",
                                              "ExecSync",
                                              "ReopenContainerLog",
                                              "ContainerStats",
                                              "ListContainerStats"};
static const char *const image_methods[] = {"PullImage", "ListImages", "ImageStatus", "RemoveImage", "ImageFsInfo"};

static void malformed_bytes_are_an_invalid_argument_of_every_method(void **state)
{
    /* Field 1 as text longer than the message; a field number of 0; a varint without an end. */
    static const char *const garbage[] = {"\x0a\x7f"
                                          "abc",
                                          "\x02\x01"
                                          "aaa",
                                          "\xff\xff\xff\xff\xff"};

    for (size_t i = 0; i < sizeof(garbage) / sizeof(*garbage); i++) {
        for (size_t m = 0; m < sizeof(runtime_methods) / sizeof(*runtime_methods); m++)
            check_refused(call_bytes(*state, "RuntimeService", runtime_methods[m], garbage[i], 5),
                          ERROR_INVALID_ARGUMENT, "");
        for (size_t m = 0; m < sizeof(image_methods) / sizeof(*image_methods); m++)
            check_refused(call_bytes(*state, "ImageService", image_methods[m], garbage[i], 5), ERROR_INVALID_ARGUMENT,
                          "");
    }
    check(call_bytes(*state, "RuntimeService", "Status", NULL, 0));
}

/* The messages whose field 1 is an id, with this one. */
static struct error *call_with_id(struct fixture *fixture, const char *method, const char *id)
{
    char bytes[128];
    int size = snprintf(bytes, sizeof(bytes), "\x0a%c%s", (int)strlen(id), id);

    return call_bytes(fixture, "RuntimeService", method, bytes, (size_t)size);
}

static const char *const need_the_object[] = {"PodSandboxStatus", "ContainerStatus", "StartContainer",
                                              "ReopenContainerLog", "ContainerStats"};
static const char *const fine_without_it[] = {"StopPodSandbox", "RemovePodSandbox", "StopContainer", "RemoveContainer"};

static void an_unknown_id_is_not_found_and_what_is_gone_is_stopped_and_removed(void **state)
{
    static const char id[] = "feedfeedfeedfeedfeedfeedfeedfeedfeedfeedfeedfeedfeedfeedfeedfeed";

    for (size_t i = 0; i < sizeof(need_the_object) / sizeof(*need_the_object); i++) {
        check_refused(call_with_id(*state, need_the_object[i], id), ERROR_NOT_FOUND, id);
        check_refused(call_with_id(*state, need_the_object[i], ""), ERROR_INVALID_ARGUMENT, "id is empty");
    }
    for (size_t i = 0; i < sizeof(fine_without_it) / sizeof(*fine_without_it); i++) {
        check(call_with_id(*state, fine_without_it[i], id));
        check_refused(call_with_id(*state, fine_without_it[i], ""), ERROR_INVALID_ARGUMENT, "id is empty");
    }
    static const char *const command[] = {"true", NULL};
    struct fixture *fixture = *state;
    autofree char *output = NULL;
    int code;
    check_refused(workload_exec(&fixture->work, id, command, &code, &output), ERROR_NOT_FOUND, id);
}

/* Each sets one field that must be refused. */
struct pod_case {
    void (*change)(struct pod_request *pod);
    enum error_code code;
    const char *words;
};

#define POD_CHANGE(name, statement)                                                                                    \
    static void pod_##name(struct pod_request *pod)                                                                    \
    {                                                                                                                  \
        statement;                                                                                                     \
    }

static void pod_sysctls(struct pod_request *pod)
{
    static Runtime__V1__LinuxPodSandboxConfig__SysctlsEntry entry =
        RUNTIME__V1__LINUX_POD_SANDBOX_CONFIG__SYSCTLS_ENTRY__INIT;
    static Runtime__V1__LinuxPodSandboxConfig__SysctlsEntry *entries[] = {&entry};

    entry.key = (char *)"net.core.somaxconn", entry.value = (char *)"1";
    pod->system.sysctls = entries, pod->system.n_sysctls = 1;
}

static void pod_port(struct pod_request *pod)
{
    static Runtime__V1__PortMapping port = RUNTIME__V1__PORT_MAPPING__INIT;
    static Runtime__V1__PortMapping *ports[] = {&port};

    port.container_port = 70000;
    pod->config.port_mappings = ports, pod->config.n_port_mappings = 1;
}

static void pod_dns(struct pod_request *pod)
{
    static char *servers[] = {(char *)"not an address"};

    pod->dns.servers = servers, pod->dns.n_servers = 1;
    pod->config.dns_config = &pod->dns;
}

static void pod_seccomp(struct pod_request *pod)
{
    static Runtime__V1__SecurityProfile profile = RUNTIME__V1__SECURITY_PROFILE__INIT;

    profile.profile_type = RUNTIME__V1__PROFILE_TYPE__Localhost;
    pod->context.seccomp = &profile;
}

static void pod_userns(struct pod_request *pod)
{
    static Runtime__V1__UserNamespace user = RUNTIME__V1__USER_NAMESPACE__INIT;

    user.mode = RUNTIME__V1__NAMESPACE_MODE__POD;
    pod->namespaces.userns_options = &user;
}

POD_CHANGE(config, pod->request.config = NULL)
POD_CHANGE(metadata, pod->config.metadata = NULL)
POD_CHANGE(name, pod->metadata.name = (char *)"")
POD_CHANGE(namespace, pod->metadata.namespace_ = (char *)"")
POD_CHANGE(uid, pod->metadata.uid = (char *)"")
POD_CHANGE(slash, pod->metadata.name = (char *)"../escape")
POD_CHANGE(hostname, pod->config.hostname = (char *)"two words")
POD_CHANGE(logs, pod->config.log_directory = (char *)"relative/logs")
POD_CHANGE(dotdot, pod->config.log_directory = (char *)"/var/log/../../etc")
POD_CHANGE(cgroup_dotdot, pod->system.cgroup_parent = (char *)"/a/../b")
POD_CHANGE(other_driver, pod->system.cgroup_parent = (char *)(strstr(pod->cgroup, ".slice") ? "/kubepods" : "kubepods.slice"))
POD_CHANGE(target, pod->namespaces.pid = RUNTIME__V1__NAMESPACE_MODE__TARGET)
POD_CHANGE(no_mode, pod->namespaces.ipc = 9)
POD_CHANGE(handler, pod->request.runtime_handler = (char *)"gvisor")

static void a_pod_asked_for_wrongly_is_refused_by_name_and_leaves_nothing(void **state)
{
    static const struct pod_case cases[] = {
        {pod_config, ERROR_INVALID_ARGUMENT, "configuration is missing"},
        {pod_metadata, ERROR_INVALID_ARGUMENT, "no metadata"},
        {pod_name, ERROR_INVALID_ARGUMENT, "metadata.name is missing"},
        {pod_namespace, ERROR_INVALID_ARGUMENT, "metadata.namespace is missing"},
        {pod_uid, ERROR_INVALID_ARGUMENT, "metadata.uid is missing"},
        {pod_slash, ERROR_INVALID_ARGUMENT, "metadata.name"},
        {pod_hostname, ERROR_INVALID_ARGUMENT, "hostname"},
        {pod_logs, ERROR_INVALID_ARGUMENT, "log_directory"},
        {pod_dotdot, ERROR_INVALID_ARGUMENT, "log_directory"},
        {pod_cgroup_dotdot, ERROR_INVALID_ARGUMENT, "cgroup_parent"},
        {pod_other_driver, ERROR_INVALID_ARGUMENT, "the driver is"},
        {pod_port, ERROR_INVALID_ARGUMENT, "container_port 70000"},
        {pod_dns, ERROR_INVALID_ARGUMENT, "dns_config.servers"},
        {pod_no_mode, ERROR_INVALID_ARGUMENT, "namespace_options.ipc"},
        {pod_handler, ERROR_INVALID_ARGUMENT, "no runtime for \"gvisor\" is configured"},
        {pod_target, ERROR_INVALID_ARGUMENT, "namespace_options.pid: TARGET is no mode of a pod"},
        {pod_sysctls, ERROR_INVALID_ARGUMENT, "sysctls: net.core.somaxconn"},
        {pod_seccomp, ERROR_INVALID_ARGUMENT, "seccomp.localhost_ref"},
        {pod_userns, ERROR_INVALID_ARGUMENT, "userns_options.uids: 0 mappings"},
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct pod_request pod;
        autofree char *id = NULL;
        pod_request_init(&pod, &fixture->node, "refused", true);
        cases[i].change(&pod);
        check_refused(pod_request_send(&pod, fixture->node.client, &id), cases[i].code, cases[i].words);
        pod_request_fini(&pod);
    }
    check(node_wait_census(&fixture->node, fixture->census));
}

struct container_case {
    void (*change)(struct container_request *container);
    enum error_code code;
    const char *words;
};

#define CONTAINER_CHANGE(name, statement)                                                                              \
    static void container_##name(struct container_request *container)                                                  \
    {                                                                                                                  \
        statement;                                                                                                     \
    }

static Runtime__V1__Mount *plain_mount(struct container_request *container)
{
    static Runtime__V1__Mount mount;
    static Runtime__V1__Mount *mounts[] = {&mount};

    mount = (Runtime__V1__Mount)RUNTIME__V1__MOUNT__INIT;
    mount.host_path = (char *)"/tmp", mount.container_path = (char *)"/data";
    container->config.mounts = mounts, container->config.n_mounts = 1;
    return &mount;
}

static Runtime__V1__Int64Value *id_value(int64_t id)
{
    static Runtime__V1__Int64Value value;

    value = (Runtime__V1__Int64Value)RUNTIME__V1__INT64_VALUE__INIT;
    value.value = id;
    return &value;
}

static void device_set(struct container_request *container, const char *path, const char *permissions)
{
    static Runtime__V1__Device device = RUNTIME__V1__DEVICE__INIT;
    static Runtime__V1__Device *devices[] = {&device};

    device.host_path = device.container_path = (char *)path, device.permissions = (char *)permissions;
    container->config.devices = devices, container->config.n_devices = 1;
}

static void container_absent_cdi(struct container_request *container)
{
    static Runtime__V1__CDIDevice device = RUNTIME__V1__CDIDEVICE__INIT;
    static Runtime__V1__CDIDevice *devices[] = {&device};

    device.name = (char *)"a.com/gpu=0";
    container->config.cdi_devices = devices, container->config.n_cdi_devices = 1;
}

static void seccomp_set(struct container_request *container, const char *path)
{
    static Runtime__V1__SecurityProfile profile = RUNTIME__V1__SECURITY_PROFILE__INIT;

    profile.profile_type = RUNTIME__V1__PROFILE_TYPE__Localhost, profile.localhost_ref = (char *)path;
    container->context.seccomp = &profile;
}

static void container_selinux(struct container_request *container)
{
    static Runtime__V1__SELinuxOption options = RUNTIME__V1__SELINUX_OPTION__INIT;

    options.level = (char *)"s0:c1,c2";
    container->context.selinux_options = &options;
}

static void container_unified(struct container_request *container)
{
    static Runtime__V1__LinuxContainerResources__UnifiedEntry entry = RUNTIME__V1__LINUX_CONTAINER_RESOURCES__UNIFIED_ENTRY__INIT;
    static Runtime__V1__LinuxContainerResources__UnifiedEntry *entries[] = {&entry};

    entry.key = (char *)(host_has_cgroup2() ? "cgroup.procs" : "memory.high"), entry.value = (char *)"max";
    container->resources.unified = entries, container->resources.n_unified = 1;
}

static bool host_has_hugetlb(void)
{
    autofree char *controllers = host_has_cgroup2() ? file_text("/sys/fs/cgroup/cgroup.controllers") : NULL;

    return controllers ? strstr(controllers, "hugetlb") != NULL : access("/sys/fs/cgroup/hugetlb/cgroup.procs", F_OK) == 0;
}

static void container_hugepages(struct container_request *container)
{
    static Runtime__V1__HugepageLimit page = RUNTIME__V1__HUGEPAGE_LIMIT__INIT;
    static Runtime__V1__HugepageLimit *pages[] = {&page};

    page.page_size = (char *)(host_has_hugetlb() ? "2XB" : "2MB"), page.limit = 1;
    container->resources.hugepage_limits = pages, container->resources.n_hugepage_limits = 1;
}

static void container_capability(struct container_request *container)
{
    static char *names[] = {(char *)"FLY"};

    container->capabilities.add_capabilities = names, container->capabilities.n_add_capabilities = 1;
}

static void container_apparmor(struct container_request *container)
{
    static Runtime__V1__SecurityProfile profile = RUNTIME__V1__SECURITY_PROFILE__INIT;

    profile.profile_type = RUNTIME__V1__PROFILE_TYPE__Localhost, profile.localhost_ref = (char *)"localhost/mine";
    container->context.apparmor = &profile;
}

CONTAINER_CHANGE(device, device_set(container, "/dev/null", "x"))
CONTAINER_CHANGE(absent_device, device_set(container, "/dev/absent", "rw"))
CONTAINER_CHANGE(no_device, device_set(container, "/etc/passwd", "rw"))
CONTAINER_CHANGE(absent_profile, seccomp_set(container, "/absent/profile.json"))
CONTAINER_CHANGE(no_profile, seccomp_set(container, "/dev/null"))
CONTAINER_CHANGE(broken_profile, seccomp_set(container, "/etc/passwd"))
CONTAINER_CHANGE(swap, container->resources.memory_swap_limit_in_bytes = 1)
CONTAINER_CHANGE(config, container->request.config = NULL)
CONTAINER_CHANGE(metadata, container->config.metadata = NULL)
CONTAINER_CHANGE(name, container->metadata.name = (char *)"")
CONTAINER_CHANGE(no_image, container->config.image = NULL)
CONTAINER_CHANGE(empty_image, container->image.image = (char *)"")
CONTAINER_CHANGE(absent_image, container->image.image = (char *)"docker.io/library/absent:1")
CONTAINER_CHANGE(bad_image, container->image.image = (char *)"UPPER CASE//")
CONTAINER_CHANGE(log_path, container->config.log_path = (char *)"../out.log")
CONTAINER_CHANGE(working_dir, container->config.working_dir = (char *)"relative")
CONTAINER_CHANGE(propagation,
                 plain_mount(container)->propagation = (Runtime__V1__MountPropagation)7)
CONTAINER_CHANGE(recursive, plain_mount(container)->recursive_read_only = true)
CONTAINER_CHANGE(mount_target, plain_mount(container)->container_path = (char *)"")
CONTAINER_CHANGE(mount_source, plain_mount(container)->host_path = (char *)"relative")
CONTAINER_CHANGE(mount_root, plain_mount(container)->container_path = (char *)"/")
CONTAINER_CHANGE(user, container->context.run_as_user = id_value(-1))
CONTAINER_CHANGE(group, container->context.run_as_group = id_value(5))
CONTAINER_CHANGE(username, container->context.run_as_username = (char *)"nobody-there")
CONTAINER_CHANGE(groups_policy,
                 container->context.supplemental_groups_policy = 9)
CONTAINER_CHANGE(node_pid, container->namespaces.pid = RUNTIME__V1__NAMESPACE_MODE__NODE)
CONTAINER_CHANGE(privileged, container->context.privileged = true)
CONTAINER_CHANGE(quota, container->resources.cpu_quota = -7)
CONTAINER_CHANGE(oom, container->resources.oom_score_adj = 1001)
CONTAINER_CHANGE(cpus, container->resources.cpuset_cpus = (char *)"all")
CONTAINER_CHANGE(signal, container->config.stop_signal = 99)
CONTAINER_CHANGE(pod_id, container->request.pod_sandbox_id = (char *)"feedfeed")

/* The first container of a pod leaves directories for all others behind. */
static void container_come_and_go(struct fixture *fixture, struct pod_request *pod, const char *pod_id)
{
    struct container_request request;
    char *id = NULL;

    container_request_init(&request, pod, pod_id, "first", busybox, NULL);
    check(container_request_send(&request, fixture->node.client, &id));
    container_end(fixture, id);
    container_request_fini(&request);
}

static void a_container_asked_for_wrongly_is_refused_by_name_and_leaves_nothing(void **state)
{
    bool is_2 = host_has_cgroup2(), has_hugetlb = host_has_hugetlb();
    const struct container_case cases[] = {
        {container_config, ERROR_INVALID_ARGUMENT, "configuration is missing"},
        {container_metadata, ERROR_INVALID_ARGUMENT, "no metadata"},
        {container_name, ERROR_INVALID_ARGUMENT, "metadata.name is missing"},
        {container_no_image, ERROR_INVALID_ARGUMENT, "image"},
        {container_empty_image, ERROR_INVALID_ARGUMENT, "image"},
        {container_absent_image, ERROR_NOT_FOUND, "absent:1"},
        {container_bad_image, ERROR_INVALID_ARGUMENT, "UPPER CASE"},
        {container_log_path, ERROR_INVALID_ARGUMENT, "log_path"},
        {container_working_dir, ERROR_INVALID_ARGUMENT, "working_dir"},
        {container_mount_target, ERROR_INVALID_ARGUMENT, "container_path"},
        {container_mount_source, ERROR_INVALID_ARGUMENT, "host_path"},
        {container_mount_root, ERROR_INVALID_ARGUMENT, "container_path"},
        {container_user, ERROR_INVALID_ARGUMENT, "run_as_user"},
        {container_group, ERROR_INVALID_ARGUMENT, "run_as_group"},
        {container_username, ERROR_NOT_FOUND, "nobody-there"},
        {container_node_pid, ERROR_INVALID_ARGUMENT, "namespace_options.pid"},
        {container_privileged, ERROR_INVALID_ARGUMENT, "privileged"},
        {container_quota, ERROR_INVALID_ARGUMENT, "cpu_quota"},
        {container_oom, ERROR_INVALID_ARGUMENT, "oom_score_adj"},
        {container_cpus, ERROR_INVALID_ARGUMENT, "cpuset_cpus"},
        {container_capability, ERROR_INVALID_ARGUMENT, "FLY"},
        {container_pod_id, ERROR_NOT_FOUND, "feedfeed"},
        {container_propagation, ERROR_INVALID_ARGUMENT, "propagation: 7"},
        {container_recursive, ERROR_INVALID_ARGUMENT, "recursive_read_only is set without readonly"},
        {container_device, ERROR_INVALID_ARGUMENT, "devices: permissions"},
        {container_absent_device, ERROR_NOT_FOUND, "/dev/absent"},
        {container_no_device, ERROR_INVALID_ARGUMENT, "/etc/passwd is no device"},
        {container_absent_cdi, ERROR_NOT_FOUND, "CDI device a.com/gpu=0 is in no file"},
        {container_absent_profile, ERROR_NOT_FOUND, "seccomp: profile /absent/profile.json"},
        {container_no_profile, ERROR_INVALID_ARGUMENT, "seccomp: profile /dev/null is no regular file"},
        {container_broken_profile, ERROR_INVALID_ARGUMENT, "seccomp: profile /etc/passwd: line 1"},
        {container_apparmor, ERROR_FAILED_PRECONDITION, "apparmor: profile mine"},
        {container_selinux, ERROR_FAILED_PRECONDITION, "selinux_options: this host has no SELinux"},
        {container_swap, ERROR_INVALID_ARGUMENT, "memory_swap_limit_in_bytes"},
        {container_unified, is_2 ? ERROR_INVALID_ARGUMENT : ERROR_FAILED_PRECONDITION,
         is_2 ? "unified: \"cgroup.procs\" is no controller's file" : "unified: the cgroups of this host are of version 1"},
        {container_hugepages, has_hugetlb ? ERROR_INVALID_ARGUMENT : ERROR_FAILED_PRECONDITION,
         has_hugetlb ? "hugepage_limits: \"2XB\" is no page size" : "hugepage_limits: this host has no hugetlb"},
        {container_groups_policy, ERROR_INVALID_ARGUMENT, "supplemental_groups_policy"},
        {container_signal, ERROR_INVALID_ARGUMENT, "stop_signal"},
    };
    struct fixture *fixture = *state;
    struct pod_request pod;
    char *pod_id = pod_begin_plain(fixture, &pod, "refusing", true);
    container_come_and_go(fixture, &pod, pod_id);
    autofree char *before = node_census(&fixture->node);

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct container_request container;
        autofree char *id = NULL;
        container_request_init(&container, &pod, pod_id, "refused", busybox, NULL);
        cases[i].change(&container);
        check_refused(container_request_send(&container, fixture->node.client, &id), cases[i].code, cases[i].words);
        container_request_fini(&container);
    }
    check(node_wait_census(&fixture->node, before));
    pod_end(fixture, pod_id);
    pod_request_fini(&pod);
}

static struct error *image_call(struct fixture *fixture, const char *method, const char *reference)
{
    Runtime__V1__ImageSpec image = RUNTIME__V1__IMAGE_SPEC__INIT;
    Runtime__V1__PullImageRequest request = RUNTIME__V1__PULL_IMAGE_REQUEST__INIT; /* field 1 is the image in all */

    image.image = (char *)reference;
    request.image = &image;
    return call_message(fixture, "ImageService", method, &request.base);
}

/* registry.test is the test's registry itself, so that nobody else can be asked. */
static void registry_configure(struct fixture *fixture)
{
    autofree char *directory = xasprintf("%s/certs.d/registry.test", fixture->node.directory);
    autofree char *path = xasprintf("%s/hosts.json", directory);
    FILE *file = mkdir(directory, 0755) == 0 ? fopen(path, "w") : NULL;

    assert_non_null(file);
    fprintf(file, "{\"server\": \"%s\"}", fixture->registry.url);
    fclose(file);
}

static void an_image_asked_for_wrongly_gets_its_code(void **state)
{
    static const char *const bad[] = {"", "docker.io/library/UPPER:1", "docker.io/library/busybox@sha256:12", "a b",
                                      "x:y:z"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        check_refused(image_call(*state, "PullImage", bad[i]), ERROR_INVALID_ARGUMENT, "");
    registry_configure(*state);
    check_refused(image_call(*state, "PullImage", "registry.test/library/absent:1"), ERROR_NOT_FOUND, "absent");
    check(image_call(*state, "PullImage", "registry.test/library/busybox:test"));
    check_refused(call_bytes(*state, "ImageService", "PullImage", NULL, 0), ERROR_INVALID_ARGUMENT, "image");
    check_refused(call_bytes(*state, "ImageService", "ImageStatus", NULL, 0), ERROR_INVALID_ARGUMENT, "image");
    check_refused(call_bytes(*state, "ImageService", "RemoveImage", NULL, 0), ERROR_INVALID_ARGUMENT, "image");
    check(image_call(*state, "ImageStatus", "docker.io/library/absent:1"));
    check(image_call(*state, "RemoveImage", "docker.io/library/absent:1"));
}

static struct error *exec(struct fixture *fixture, const char *id, const char *const *command, size_t count,
                          int64_t timeout_s)
{
    Runtime__V1__ExecSyncRequest request = RUNTIME__V1__EXEC_SYNC_REQUEST__INIT;

    request.container_id = (char *)id;
    request.cmd = (char **)command;
    request.n_cmd = count;
    request.timeout = timeout_s;
    return call_message(fixture, "RuntimeService", "ExecSync", &request.base);
}

static void what_a_containers_state_forbids_is_a_failed_precondition(void **state)
{
    static const char *const sleeping[] = {"/bin/sleep", "1000", NULL}, *const yes[] = {"true"},
                             *const nothing[] = {"/no/such"};
    struct fixture *fixture = *state;
    struct pod_request pod;
    struct container_request request;
    struct workload_state now;
    char *pod_id = pod_begin_plain(fixture, &pod, "states", true), *id = NULL;

    container_request_init(&request, &pod, pod_id, "main", busybox, sleeping);
    check(container_request_send(&request, fixture->node.client, &id));
    check_refused(exec(fixture, id, yes, 1, 0), ERROR_FAILED_PRECONDITION, "not running");
    check_refused(workload_reopen_log(&fixture->work, id), ERROR_FAILED_PRECONDITION, "not running");
    check(workload_stop(&fixture->work, id, 0)); /* created, not running: nothing to stop */
    check(workload_start(&fixture->work, id));
    check(workload_start(&fixture->work, id));
    check_refused(exec(fixture, id, yes, 0, 0), ERROR_INVALID_ARGUMENT, "command is empty");
    check_refused(exec(fixture, id, yes, 1, -1), ERROR_INVALID_ARGUMENT, "timeout");
    check_refused(exec(fixture, id, sleeping, 2, 1), ERROR_DEADLINE_EXCEEDED, "timeout 1s exceeded");
    struct error *error = exec(fixture, id, nothing, 1, 0);
    check_refused(error, error ? error->code : ERROR_INTERNAL, "/no/such");
    check(workload_reopen_log(&fixture->work, id));
    check(workload_stop(&fixture->work, id, 0));
    check(workload_stop(&fixture->work, id, 0));
    check_refused(workload_start(&fixture->work, id), ERROR_FAILED_PRECONDITION, "CONTAINER_EXITED");
    check_refused(exec(fixture, id, yes, 1, 0), ERROR_FAILED_PRECONDITION, "not running");
    check_refused(workload_reopen_log(&fixture->work, id), ERROR_FAILED_PRECONDITION, "not running");
    check(workload_remove(&fixture->work, id));
    check_refused(workload_status(&fixture->work, id, &now), ERROR_NOT_FOUND, id);
    pod_end(fixture, pod_id);
    container_request_fini(&request);
    pod_request_fini(&pod);
    free(id);
}

static void a_running_container_and_a_running_pod_can_be_removed_by_force(void **state)
{
    static const char *const sleeping[] = {"/bin/sleep", "1000", NULL};
    struct fixture *fixture = *state;
    struct pod_request pod;
    struct container_request request;
    struct workload_state now;
    char *pod_id = pod_begin_plain(fixture, &pod, "forced", false);

    container_request_init(&request, &pod, pod_id, "main", busybox, sleeping);
    autofree char *first = container_begin(fixture, &request);
    check(workload_remove(&fixture->work, first));
    check_refused(workload_status(&fixture->work, first, &now), ERROR_NOT_FOUND, first);
    autofree char *second = container_begin(fixture, &request);
    assert_string_not_equal(first, second);
    check(workload_pod_remove(&fixture->work, pod_id));
    check_refused(workload_status(&fixture->work, second, &now), ERROR_NOT_FOUND, second);
    check_refused(call_with_id(fixture, "PodSandboxStatus", pod_id), ERROR_NOT_FOUND, pod_id);
    check(workload_pod_stop(&fixture->work, pod_id));
    pod_end(fixture, pod_id);
    container_request_fini(&request);
    pod_request_fini(&pod);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NODE_TEST(malformed_bytes_are_an_invalid_argument_of_every_method),
        NODE_TEST(an_unknown_id_is_not_found_and_what_is_gone_is_stopped_and_removed),
        NODE_TEST(a_pod_asked_for_wrongly_is_refused_by_name_and_leaves_nothing),
        NODE_TEST(a_container_asked_for_wrongly_is_refused_by_name_and_leaves_nothing),
        NODE_TEST(an_image_asked_for_wrongly_gets_its_code),
        NODE_TEST(what_a_containers_state_forbids_is_a_failed_precondition),
        NODE_TEST(a_running_container_and_a_running_pod_can_be_removed_by_force),
    };

    return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
