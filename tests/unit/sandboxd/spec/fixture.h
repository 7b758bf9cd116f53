/* A pod, a container, an image, a host: a plain case that each test changes in one place. */
#pragma once

#include <jansson.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "services/sandboxd/spec/spec.h"

struct fixture {
    Runtime__V1__PodSandboxMetadata pod_metadata;
    Runtime__V1__NamespaceOption pod_namespaces;
    Runtime__V1__LinuxSandboxSecurityContext pod_context;
    Runtime__V1__LinuxPodSandboxConfig pod_linux;
    Runtime__V1__PodSandboxConfig pod_config;
    Runtime__V1__ContainerMetadata metadata;
    Runtime__V1__ImageSpec image_spec;
    Runtime__V1__LinuxContainerResources resources;
    Runtime__V1__NamespaceOption namespaces;
    Runtime__V1__Capability capabilities;
    Runtime__V1__LinuxContainerSecurityContext context;
    Runtime__V1__LinuxContainerConfig linux;
    Runtime__V1__ContainerConfig config;
    Bulkhead__ImageSettings image;
    struct spec_host host;
    struct spec_pod pod;
    uint32_t groups[1];
    struct user user;
    char *entrypoint[1];
    char *cmd[2];
    struct spec_input input;
};

static inline void fixture_init_pod(struct fixture *f)
{
    f->pod_metadata = (Runtime__V1__PodSandboxMetadata)RUNTIME__V1__POD_SANDBOX_METADATA__INIT;
    f->pod_metadata.name = "web", f->pod_metadata.namespace_ = "default", f->pod_metadata.uid = "u-1";
    f->pod_namespaces = (Runtime__V1__NamespaceOption)RUNTIME__V1__NAMESPACE_OPTION__INIT;
    f->pod_namespaces.pid = RUNTIME__V1__NAMESPACE_MODE__CONTAINER;
    f->pod_context = (Runtime__V1__LinuxSandboxSecurityContext)RUNTIME__V1__LINUX_SANDBOX_SECURITY_CONTEXT__INIT;
    f->pod_context.namespace_options = &f->pod_namespaces;
    f->pod_linux = (Runtime__V1__LinuxPodSandboxConfig)RUNTIME__V1__LINUX_POD_SANDBOX_CONFIG__INIT;
    f->pod_linux.security_context = &f->pod_context;
    f->pod_linux.cgroup_parent = "/kubepods/pod1";
    f->pod_config = (Runtime__V1__PodSandboxConfig)RUNTIME__V1__POD_SANDBOX_CONFIG__INIT;
    f->pod_config.metadata = &f->pod_metadata;
    f->pod_config.hostname = "web-0";
    f->pod_config.log_directory = "/var/log/pods/web";
    f->pod_config.linux = &f->pod_linux;
}

static inline void fixture_init_container(struct fixture *f)
{
    f->metadata = (Runtime__V1__ContainerMetadata)RUNTIME__V1__CONTAINER_METADATA__INIT;
    f->metadata.name = "app";
    f->image_spec = (Runtime__V1__ImageSpec)RUNTIME__V1__IMAGE_SPEC__INIT;
    f->image_spec.image = "sha256:1234";
    f->resources = (Runtime__V1__LinuxContainerResources)RUNTIME__V1__LINUX_CONTAINER_RESOURCES__INIT;
    f->namespaces = (Runtime__V1__NamespaceOption)RUNTIME__V1__NAMESPACE_OPTION__INIT;
    f->capabilities = (Runtime__V1__Capability)RUNTIME__V1__CAPABILITY__INIT;
    f->context = (Runtime__V1__LinuxContainerSecurityContext)RUNTIME__V1__LINUX_CONTAINER_SECURITY_CONTEXT__INIT;
    f->context.namespace_options = &f->namespaces;
    f->context.capabilities = &f->capabilities;
    f->linux = (Runtime__V1__LinuxContainerConfig)RUNTIME__V1__LINUX_CONTAINER_CONFIG__INIT;
    f->linux.resources = &f->resources;
    f->linux.security_context = &f->context;
    f->config = (Runtime__V1__ContainerConfig)RUNTIME__V1__CONTAINER_CONFIG__INIT;
    f->config.metadata = &f->metadata;
    f->config.image = &f->image_spec;
    f->config.linux = &f->linux;
    f->config.log_path = "app/0.log";
}

static inline void fixture_init(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    fixture_init_pod(f);
    fixture_init_container(f);
    f->entrypoint[0] = "/bin/app", f->cmd[0] = "-v", f->cmd[1] = "serve";
    f->image = (Bulkhead__ImageSettings)BULKHEAD__IMAGE_SETTINGS__INIT;
    f->image.entrypoint = f->entrypoint, f->image.n_entrypoint = 1;
    f->image.cmd = f->cmd, f->image.n_cmd = 2;
    f->host = (struct spec_host){.cgroup_version = 1,
                                 .bounding_capabilities = (UINT64_C(1) << 41) - 1,
                                 .oom_score_adj_min = -1000,
                                 .hostname = "node-1"};
    f->host.bounding_capabilities &= ~(UINT64_C(1) << CAP_SYS_RESOURCE);
    f->pod = (struct spec_pod){.shim_pid = 77,
                               .ipc_fd = 5,
                               .uts_fd = 6,
                               .pid_fd = -1,
                               .user_fd = -1,
                               .target_fd = -1,
                               .netns_path = "/run/netns",
                               .shm_path = "/run/shm",
                               .resolv_conf_path = "/d/resolv.conf",
                               .hosts_path = "/d/hosts",
                               .hostname_path = "/d/hostname"};
    f->user = (struct user){.groups = f->groups, .group_count = 1};
    f->input = (struct spec_input){.pod_config = &f->pod_config,
                                   .config = &f->config,
                                   .image = &f->image,
                                   .host = &f->host,
                                   .pod = &f->pod,
                                   .rootfs_path = "/run/rootfs",
                                   .cgroups_path = "/kubepods/pod1/c1",
                                   .user = &f->user};
}

/* The spec as an object; the caller frees it. */
static inline json_t *fixture_build(const struct fixture *f)
{
    autofree char *text = NULL;
    struct error *error = spec_build(&f->input, &text);

    if (error)
        fail_msg("%s", error->text);
    json_t *root = json_loads(text, 0, NULL);
    assert_non_null(root);
    return root;
}

/* A value by its path, "process.args"; borrowed, NULL if absent. */
static inline json_t *at(json_t *root, const char *path)
{
    char copy[128];
    snprintf(copy, sizeof(copy), "%s", path);
    for (char *state, *part = strtok_r(copy, ".", &state); part; part = strtok_r(NULL, ".", &state))
        root = json_object_get(root, part);
    return root;
}

static inline void assert_json(json_t *root, const char *path, const char *expected)
{
    json_t *wanted = json_loads(expected, JSON_DECODE_ANY, NULL), *value = at(root, path);

    assert_non_null(wanted);
    if (!json_equal(value, wanted)) {
        autofree char *text = value ? json_dumps(value, JSON_ENCODE_ANY) : NULL;
        fail_msg("%s is %s, expected %s", path, text ? text : "absent", expected);
    }
    json_decref(wanted);
}
