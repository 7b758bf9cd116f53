/* What configurations are refused: by name, with the right code, before any work. */
#include "tests/unit/sandboxd/spec/refusals.h"

static char *texts(const char *text, char **list)
{
    list[0] = (char *)text;
    return list[0];
}

static void plain_configurations_are_taken(void **state)
{
    (void)state;

    ASSERT_TAKEN(pod, {});
    ASSERT_TAKEN(container, {});
    ASSERT_TAKEN(pod, f.pod_config.linux = NULL);
    ASSERT_TAKEN(container, f.config.linux = NULL);
}

static void pods_without_proper_names_are_refused(void **state)
{
    (void)state;
    static char large[300];
    memset(large, 'a', sizeof(large) - 1);

    ASSERT_REFUSED(pod, ERROR_INVALID_ARGUMENT, "metadata is missing", f.pod_config.metadata = NULL);
    ASSERT_REFUSED(pod, ERROR_INVALID_ARGUMENT, "metadata.name is missing", f.pod_metadata.name = "");
    ASSERT_REFUSED(pod, ERROR_INVALID_ARGUMENT, "metadata.namespace is missing", f.pod_metadata.namespace_ = "");
    ASSERT_REFUSED(pod, ERROR_INVALID_ARGUMENT, "metadata.uid is missing", f.pod_metadata.uid = "");
    ASSERT_REFUSED(pod, ERROR_INVALID_ARGUMENT, "metadata.name has", f.pod_metadata.name = "a/b");
    ASSERT_REFUSED(pod, ERROR_INVALID_ARGUMENT, "metadata.name has", f.pod_metadata.name = "a;K8S_POD_NAME=b");
    ASSERT_REFUSED(pod, ERROR_INVALID_ARGUMENT, "metadata.uid is", f.pod_metadata.uid = "..");
    ASSERT_REFUSED(pod, ERROR_INVALID_ARGUMENT, "metadata.name is longer", f.pod_metadata.name = large);
    ASSERT_REFUSED(pod, ERROR_INVALID_ARGUMENT, "name is not UTF-8", f.pod_metadata.name = "a\xff");
    ASSERT_REFUSED(pod, ERROR_INVALID_ARGUMENT, "hostname is longer", f.pod_config.hostname = large);
    ASSERT_REFUSED(pod, ERROR_INVALID_ARGUMENT, "hostname has", f.pod_config.hostname = "a\nb");
}

static void a_pods_paths_addresses_and_ports_are_checked(void **state)
{
    (void)state;
    char *list[1];
    Runtime__V1__DNSConfig dns = RUNTIME__V1__DNSCONFIG__INIT;
    Runtime__V1__PortMapping port = RUNTIME__V1__PORT_MAPPING__INIT, *ports[] = {&port};
    dns.servers = list, dns.n_servers = 1;
    port.container_port = 80;

    ASSERT_REFUSED(pod, ERROR_INVALID_ARGUMENT, "log_directory", f.pod_config.log_directory = "logs");
    ASSERT_REFUSED(pod, ERROR_INVALID_ARGUMENT, "log_directory", f.pod_config.log_directory = "/a/../b");
    ASSERT_REFUSED(pod, ERROR_INVALID_ARGUMENT, "cgroup_parent", f.pod_linux.cgroup_parent = "/a/../../b");
    ASSERT_REFUSED(pod, ERROR_INVALID_ARGUMENT, "the driver is cgroupfs", f.pod_linux.cgroup_parent = "kubepods.slice");
    ASSERT_REFUSED(pod, ERROR_INVALID_ARGUMENT, "the driver is systemd", f.host.has_systemd_driver = true);
    ASSERT_TAKEN(pod, f.host.has_systemd_driver = true; f.pod_linux.cgroup_parent = "/kubepods.slice/kubepods-pod1.slice");
    ASSERT_TAKEN(pod, f.host.has_systemd_driver = true; f.pod_linux.cgroup_parent = "");
    ASSERT_TAKEN(pod, f.pod_config.dns_config = &dns; texts("fe80::1%eth0", list));
    ASSERT_REFUSED(pod, ERROR_INVALID_ARGUMENT, "dns_config.servers", f.pod_config.dns_config = &dns;
                   texts("1.1.1.1\nnameserver 2.2.2.2", list));
    dns.n_servers = 0, dns.options = list, dns.n_options = 1;
    ASSERT_REFUSED(pod, ERROR_INVALID_ARGUMENT, "dns_config.options", f.pod_config.dns_config = &dns;
                   texts("a b", list));
    ASSERT_TAKEN(pod, f.pod_config.port_mappings = ports; f.pod_config.n_port_mappings = 1);
    port.host_port = 65536;
    ASSERT_REFUSED(pod, ERROR_INVALID_ARGUMENT, "host_port", f.pod_config.port_mappings = ports;
                   f.pod_config.n_port_mappings = 1);
    port.host_port = 1, port.host_ip = "localhost";
    ASSERT_REFUSED(pod, ERROR_INVALID_ARGUMENT, "host_ip", f.pod_config.port_mappings = ports;
                   f.pod_config.n_port_mappings = 1);
    port.container_port = -1;
    ASSERT_REFUSED(pod, ERROR_INVALID_ARGUMENT, "container_port", f.pod_config.port_mappings = ports;
                   f.pod_config.n_port_mappings = 1);
}

static void what_a_pod_cannot_have_is_refused_by_name(void **state)
{
    (void)state;
    Runtime__V1__SELinuxOption selinux = RUNTIME__V1__SELINUX_OPTION__INIT;
    Runtime__V1__SecurityProfile local = RUNTIME__V1__SECURITY_PROFILE__INIT;
    Runtime__V1__WindowsPodSandboxConfig windows = RUNTIME__V1__WINDOWS_POD_SANDBOX_CONFIG__INIT;
    local.profile_type = RUNTIME__V1__PROFILE_TYPE__Localhost;
    selinux.level = "s0";

    ASSERT_REFUSED(pod, ERROR_UNIMPLEMENTED, "windows", f.pod_config.windows = &windows);
    ASSERT_REFUSED(pod, ERROR_FAILED_PRECONDITION, "selinux_options: this host has no SELinux",
                   f.pod_context.selinux_options = &selinux);
    ASSERT_REFUSED(pod, ERROR_UNIMPLEMENTED, "selinux_options", f.pod_context.selinux_options = &selinux;
                   f.host.has_selinux = true);
    ASSERT_REFUSED(pod, ERROR_INVALID_ARGUMENT, "seccomp.localhost_ref is missing", f.pod_context.seccomp = &local);
    ASSERT_REFUSED(pod, ERROR_INVALID_ARGUMENT, "apparmor: the Localhost profile has no name", f.pod_context.apparmor = &local);
    local.localhost_ref = "mine";
    ASSERT_TAKEN(pod, f.pod_context.seccomp = &local);
    ASSERT_REFUSED(pod, ERROR_FAILED_PRECONDITION, "apparmor: profile mine", f.pod_context.apparmor = &local);
    ASSERT_TAKEN(pod, f.pod_context.apparmor = &local; f.host.has_apparmor = true);
    ASSERT_REFUSED(pod, ERROR_INVALID_ARGUMENT, "supplemental_groups_policy", f.pod_context.supplemental_groups_policy = 7);
    ASSERT_REFUSED(pod, ERROR_INVALID_ARGUMENT, "namespace_options.pid: TARGET is no mode of a pod",
                   f.pod_namespaces.pid = RUNTIME__V1__NAMESPACE_MODE__TARGET; f.pod_namespaces.target_id = "c1");
    ASSERT_REFUSED(pod, ERROR_INVALID_ARGUMENT, "namespace_options.ipc: 9", f.pod_namespaces.ipc = 9);
    ASSERT_REFUSED(pod, ERROR_INVALID_ARGUMENT, "namespace_options.network",
                   f.pod_namespaces.network = RUNTIME__V1__NAMESPACE_MODE__CONTAINER);
}

static void a_pods_sysctls_are_of_its_own_namespaces(void **state)
{
    (void)state;
    Runtime__V1__LinuxPodSandboxConfig__SysctlsEntry sysctl = RUNTIME__V1__LINUX_POD_SANDBOX_CONFIG__SYSCTLS_ENTRY__INIT,
                                                     *sysctls[] = {&sysctl};
    sysctl.value = "1";
#define SYSCTL(name) sysctl.key = name; f.pod_linux.sysctls = sysctls; f.pod_linux.n_sysctls = 1

    ASSERT_TAKEN(pod, SYSCTL("net.core.somaxconn"));
    ASSERT_TAKEN(pod, SYSCTL("kernel.shm_rmid_forced"));
    ASSERT_TAKEN(pod, SYSCTL("fs.mqueue.msg_max"));
    ASSERT_REFUSED(pod, ERROR_INVALID_ARGUMENT, "sysctls: net.core.somaxconn is the node's", SYSCTL("net.core.somaxconn");
                   f.pod_namespaces.network = RUNTIME__V1__NAMESPACE_MODE__NODE);
    ASSERT_REFUSED(pod, ERROR_INVALID_ARGUMENT, "sysctls: kernel.msgmax is the node's", SYSCTL("kernel.msgmax");
                   f.pod_namespaces.ipc = RUNTIME__V1__NAMESPACE_MODE__NODE);
    ASSERT_REFUSED(pod, ERROR_INVALID_ARGUMENT, "sysctls: \"kernel.panic\" belongs to no namespace", SYSCTL("kernel.panic"));
    ASSERT_REFUSED(pod, ERROR_INVALID_ARGUMENT, "sysctls: \"net/../kernel/panic\"", SYSCTL("net/../kernel/panic"));
    sysctl.value = "";
    ASSERT_REFUSED(pod, ERROR_INVALID_ARGUMENT, "has no value", SYSCTL("net.core.somaxconn"));
}

static void containers_without_their_own_sense_are_refused(void **state)
{
    (void)state;
    Runtime__V1__KeyValue env = RUNTIME__V1__KEY_VALUE__INIT, *envs[] = {&env};
    Runtime__V1__Int64Value id = RUNTIME__V1__INT64_VALUE__INIT;
    char *list[1];

    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "metadata is missing", f.config.metadata = NULL);
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "metadata.name", f.metadata.name = "a/../b");
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "image is missing", f.config.image = NULL);
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "log_path", f.config.log_path = "../x");
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "log_path", f.config.log_path = "/x");
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "log_path", f.pod_config.log_directory = "");
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "working_dir", f.config.working_dir = "x");
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "envs", f.config.envs = envs; f.config.n_envs = 1);
    env.key = "A", env.value.data = (uint8_t *)"a\0b", env.value.len = 3;
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "envs: the value of A has a NUL", f.config.envs = envs;
                   f.config.n_envs = 1);
    env.value.data = (uint8_t *)"\xff", env.value.len = 1;
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "envs: the value of A is not UTF-8", f.config.envs = envs;
                   f.config.n_envs = 1);
    id.value = -1;
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "run_as_user -1", f.context.run_as_user = &id);
    id.value = 4294967296;
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "run_as_user 4294967296", f.context.run_as_user = &id);
    id.value = 1;
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "run_as_group", f.context.run_as_group = &id);
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "run_as_username", f.context.run_as_user = &id;
                   f.context.run_as_username = "a");
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "privileged", f.context.privileged = true);
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "masked_paths", f.context.masked_paths = list;
                   f.context.n_masked_paths = 1; texts("proc", list));
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "namespace_options.network is NODE",
                   f.namespaces.network = RUNTIME__V1__NAMESPACE_MODE__NODE);
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "add_capabilities", f.capabilities.add_capabilities = list;
                   f.capabilities.n_add_capabilities = 1; texts("MAGIC", list));
    ASSERT_REFUSED(container, ERROR_FAILED_PRECONDITION, "CAP_SYS_RESOURCE", f.capabilities.add_capabilities = list;
                   f.capabilities.n_add_capabilities = 1; texts("SYS_RESOURCE", list));
}

static void a_containers_numbers_have_ranges(void **state)
{
    (void)state;

    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "cpu_period -1", f.resources.cpu_period = -1);
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "cpu_quota -2", f.resources.cpu_quota = -2);
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "cpu_shares -1", f.resources.cpu_shares = -1);
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "memory_limit_in_bytes", f.resources.memory_limit_in_bytes = -5);
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "oom_score_adj 1001", f.resources.oom_score_adj = 1001);
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "cpuset_cpus", f.resources.cpuset_cpus = "0;1");
    ASSERT_TAKEN(container, f.resources.cpu_quota = -1);
}

static void what_a_container_cannot_have_is_refused_by_name(void **state)
{
    (void)state;
    Runtime__V1__Device device = RUNTIME__V1__DEVICE__INIT, *devices[] = {&device};
    Runtime__V1__CDIDevice cdi = RUNTIME__V1__CDIDEVICE__INIT, *cdis[] = {&cdi};
    Runtime__V1__WindowsContainerConfig windows = RUNTIME__V1__WINDOWS_CONTAINER_CONFIG__INIT;
#define DEVICE(host, container, access)                                                                                \
    device.host_path = host, device.container_path = container, device.permissions = access;                           \
    f.config.devices = devices, f.config.n_devices = 1

    ASSERT_TAKEN(container, DEVICE("/dev/null", "/dev/mine", "rw"));
    ASSERT_TAKEN(container, DEVICE("/dev/null", "/dev/mine", ""));
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "devices: host_path is missing", DEVICE("", "/a", ""));
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "devices: container_path is missing", DEVICE("/a", "", ""));
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "devices: host_path", DEVICE("dev", "/a", ""));
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "devices: container_path", DEVICE("/a", "/a/../b", ""));
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "devices: permissions", DEVICE("/a", "/a", "rx"));
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "CDI_devices: \"gpu\"", cdi.name = "gpu"; f.config.cdi_devices = cdis;
                   f.config.n_cdi_devices = 1);
    ASSERT_TAKEN(container, cdi.name = "a.com/gpu=0"; f.config.cdi_devices = cdis; f.config.n_cdi_devices = 1);
    ASSERT_REFUSED(container, ERROR_UNIMPLEMENTED, "windows", f.config.windows = &windows);
    ASSERT_TAKEN(container, f.config.stop_signal = RUNTIME__V1__SIGNAL__SIGNAL_SIGRTMAXMINUS3);
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "stop_signal: 99", f.config.stop_signal = 99);
    ASSERT_TAKEN(container, f.namespaces.pid = RUNTIME__V1__NAMESPACE_MODE__TARGET; f.namespaces.target_id = "c1");
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "target_id is missing, and pid is TARGET",
                   f.namespaces.pid = RUNTIME__V1__NAMESPACE_MODE__TARGET);
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "target_id is set, and pid is not TARGET", f.namespaces.target_id = "c1");
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "ipc: TARGET is a mode of pid alone",
                   f.namespaces.ipc = RUNTIME__V1__NAMESPACE_MODE__TARGET; f.namespaces.target_id = "c1");
    ASSERT_TAKEN(container, f.context.supplemental_groups_policy = RUNTIME__V1__SUPPLEMENTAL_GROUPS_POLICY__Strict);
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "supplemental_groups_policy: 2", f.context.supplemental_groups_policy = 2);
}

static void profiles_are_named_and_only_where_the_host_has_them(void **state)
{
    (void)state;
    Runtime__V1__SecurityProfile profile = RUNTIME__V1__SECURITY_PROFILE__INIT;

    ASSERT_TAKEN(container, f.context.seccomp_profile_path = "localhost/x");
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "seccomp_profile_path", f.context.seccomp_profile_path = "localhost/");
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "seccomp_profile_path", f.context.seccomp_profile_path = "x");
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "seccomp_profile_path", f.context.seccomp_profile_path = "localhost/../x");
    ASSERT_REFUSED(container, ERROR_FAILED_PRECONDITION, "apparmor: profile x", f.context.apparmor_profile = "localhost/x");
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "apparmor_profile", f.context.apparmor_profile = "x");
    ASSERT_TAKEN(container, f.context.apparmor = &profile);
    ASSERT_TAKEN(container, f.context.apparmor = &profile; f.host.has_apparmor = true);
    profile.profile_type = RUNTIME__V1__PROFILE_TYPE__Localhost;
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "seccomp.localhost_ref is missing", f.context.seccomp = &profile);
    profile.localhost_ref = "/a/../b";
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "seccomp.localhost_ref", f.context.seccomp = &profile);
    profile.profile_type = 7;
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "seccomp: 7", f.context.seccomp = &profile);
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "apparmor: 7", f.context.apparmor = &profile);
}

static void the_apparmor_profile_is_the_default_unless_said_otherwise(void **state)
{
    (void)state;
    Runtime__V1__SecurityProfile profile = RUNTIME__V1__SECURITY_PROFILE__INIT;
    struct fixture f;
    fixture_init(&f);

    assert_null(spec_apparmor_profile(&f.config, &f.host));
    f.host.has_apparmor = true;
    assert_string_equal(spec_apparmor_profile(&f.config, &f.host), SPEC_APPARMOR_DEFAULT);
    f.context.privileged = true;
    assert_null(spec_apparmor_profile(&f.config, &f.host));
    f.context.apparmor_profile = "localhost/old";
    assert_string_equal(spec_apparmor_profile(&f.config, &f.host), "old");
    f.context.apparmor = &profile, f.context.privileged = false;
    assert_string_equal(spec_apparmor_profile(&f.config, &f.host), SPEC_APPARMOR_DEFAULT);
    profile.profile_type = RUNTIME__V1__PROFILE_TYPE__Localhost, profile.localhost_ref = "localhost/mine";
    assert_string_equal(spec_apparmor_profile(&f.config, &f.host), "mine");
    profile.profile_type = RUNTIME__V1__PROFILE_TYPE__Unconfined;
    assert_null(spec_apparmor_profile(&f.config, &f.host));
}

static void only_resources_that_are_honoured_are_taken(void **state)
{
    (void)state;
    Runtime__V1__HugepageLimit page = RUNTIME__V1__HUGEPAGE_LIMIT__INIT, *pages[] = {&page};
    Runtime__V1__LinuxContainerResources__UnifiedEntry entry =
                                                           RUNTIME__V1__LINUX_CONTAINER_RESOURCES__UNIFIED_ENTRY__INIT,
                                                       *entries[] = {&entry};
#define PAGES f.resources.hugepage_limits = pages; f.resources.n_hugepage_limits = 1
#define UNIFIED(name, text) entry.key = name; entry.value = text; f.resources.unified = entries; f.resources.n_unified = 1; \
    f.host.cgroup_version = 2
#define SWAP(swap, memory) f.resources.memory_swap_limit_in_bytes = swap; f.resources.memory_limit_in_bytes = memory; \
    f.host.has_swap_limit = true

    page.page_size = "2MB";
    ASSERT_TAKEN(container, PAGES);
    page.limit = 1;
    ASSERT_REFUSED(container, ERROR_FAILED_PRECONDITION, "hugepage_limits: this host", PAGES);
    ASSERT_TAKEN(container, PAGES; f.host.has_hugetlb = true);
    page.page_size = "2";
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "hugepage_limits: \"2\"", PAGES; f.host.has_hugetlb = true);
    ASSERT_TAKEN(container, UNIFIED("memory.oom.group", "1"));
    ASSERT_TAKEN(container, UNIFIED("memory.high", "max"));
    ASSERT_REFUSED(container, ERROR_FAILED_PRECONDITION, "unified: the cgroups of this host are of version 1",
                   UNIFIED("memory.high", "max"); f.host.cgroup_version = 1);
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "unified: \"cgroup.procs\"", UNIFIED("cgroup.procs", "1"));
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "unified: \"../memory.high\"", UNIFIED("../memory.high", "1"));
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "unified: \"memory\"", UNIFIED("memory", "1"));
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "unified: memory.high has no value", UNIFIED("memory.high", ""));
    ASSERT_TAKEN(container, SWAP(9, 8));
    ASSERT_TAKEN(container, SWAP(-1, 8));
    ASSERT_REFUSED(container, ERROR_FAILED_PRECONDITION, "memory_swap_limit_in_bytes", SWAP(9, 8); f.host.has_swap_limit = false);
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "memory_swap_limit_in_bytes 7 is less", SWAP(7, 8));
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "memory_swap_limit_in_bytes is set without", SWAP(7, 0));
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "memory_swap_limit_in_bytes -2", SWAP(-2, 8));
}

static void mounts_that_cannot_be_are_refused(void **state)
{
    (void)state;
    Runtime__V1__Mount m = RUNTIME__V1__MOUNT__INIT, plain, *mounts[] = {&m};
    Runtime__V1__ImageSpec image = RUNTIME__V1__IMAGE_SPEC__INIT;
    char *options[] = {"noexec"};
    m.container_path = "/data", m.host_path = "/h";
    plain = m;
#define MOUNT(change) m = plain, change, f.config.mounts = mounts, f.config.n_mounts = 1

    ASSERT_TAKEN(container, MOUNT(m.selinux_relabel = true));
    ASSERT_TAKEN(container, MOUNT(m.propagation = 1));
    ASSERT_TAKEN(container, MOUNT(m.propagation = 2));
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "mounts of /data: propagation: 3", MOUNT(m.propagation = 3));
#define RECURSIVE m.recursive_read_only = true, m.readonly = true, f.host.kernel_version = 5 << 8 | 12
    ASSERT_TAKEN(container, MOUNT((RECURSIVE)));
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "without readonly", MOUNT(m.recursive_read_only = true));
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "recursive_read_only is set with a propagation",
                   MOUNT((RECURSIVE, m.propagation = 1)));
    ASSERT_REFUSED(container, ERROR_FAILED_PRECONDITION, "recursive_read_only: this kernel",
                   MOUNT((RECURSIVE, f.host.kernel_version = 5 << 8 | 11)));
#define IMAGE m.image = &image, m.host_path = ""
    image.image = "sha256:1";
    ASSERT_TAKEN(container, MOUNT((IMAGE)));
    ASSERT_TAKEN(container, MOUNT((IMAGE, m.image_sub_path = "a/b")));
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "image and host_path are both set", MOUNT(m.image = &image));
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "propagation: an image's", MOUNT((IMAGE, m.propagation = 1)));
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "image_sub_path \"/a\"", MOUNT((IMAGE, m.image_sub_path = "/a")));
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "image_sub_path \"a/../b\"", MOUNT((IMAGE, m.image_sub_path = "a/../b")));
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "image_sub_path is set without image", MOUNT(m.image_sub_path = "a"));
    image.image = "";
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "host_path is missing", MOUNT((IMAGE)));
    ASSERT_TAKEN(container, MOUNT((m.mount_options = options, m.n_mount_options = 1)));
    options[0] = "exec";
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "mount_options: \"exec\"",
                   MOUNT((m.mount_options = options, m.n_mount_options = 1)));
    ASSERT_REFUSED(container, ERROR_UNIMPLEMENTED, "selinux_relabel",
                   MOUNT((m.selinux_relabel = true, f.host.has_selinux = true)));
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "container_path", MOUNT(m.container_path = "data"));
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "container_path", MOUNT(m.container_path = "/a/../../b"));
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "container_path", MOUNT(m.container_path = "//./"));
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "container_path", MOUNT(m.container_path = ""));
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "host_path", MOUNT(m.host_path = ""));
    ASSERT_REFUSED(container, ERROR_INVALID_ARGUMENT, "host_path", MOUNT(m.host_path = "h"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_configurations_are_taken),
        cmocka_unit_test(pods_without_proper_names_are_refused),
        cmocka_unit_test(a_pods_paths_addresses_and_ports_are_checked),
        cmocka_unit_test(what_a_pod_cannot_have_is_refused_by_name),
        cmocka_unit_test(a_pods_sysctls_are_of_its_own_namespaces),
        cmocka_unit_test(containers_without_their_own_sense_are_refused),
        cmocka_unit_test(a_containers_numbers_have_ranges),
        cmocka_unit_test(what_a_container_cannot_have_is_refused_by_name),
        cmocka_unit_test(profiles_are_named_and_only_where_the_host_has_them),
        cmocka_unit_test(the_apparmor_profile_is_the_default_unless_said_otherwise),
        cmocka_unit_test(only_resources_that_are_honoured_are_taken),
        cmocka_unit_test(mounts_that_cannot_be_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
