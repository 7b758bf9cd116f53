/* Whole requests for a pod and a container, as kubelet fills them, that a test changes in one place before it sends
 * them. */
#pragma once

#include "common/error.h"
#include "proto/cri.pb-c.h"
#include "tests/support/node.h"

/* The messages point at each other: never copied or moved after the init. */
struct pod_request {
    Runtime__V1__RunPodSandboxRequest request;
    Runtime__V1__PodSandboxConfig config;
    Runtime__V1__PodSandboxMetadata metadata;
    Runtime__V1__DNSConfig dns; /* joined to config by the test that fills it */
    Runtime__V1__LinuxPodSandboxConfig system;
    Runtime__V1__LinuxSandboxSecurityContext context;
    Runtime__V1__NamespaceOption namespaces;
    char *logs, *cgroup; /* what config names; freed with it */
};

struct container_request {
    Runtime__V1__CreateContainerRequest request;
    Runtime__V1__ContainerConfig config;
    Runtime__V1__ContainerMetadata metadata;
    Runtime__V1__ImageSpec image;
    Runtime__V1__LinuxContainerConfig system;
    Runtime__V1__LinuxContainerResources resources;
    Runtime__V1__LinuxContainerSecurityContext context;
    Runtime__V1__NamespaceOption namespaces;
    Runtime__V1__Capability capabilities;
    char *log_path;
};

/* A pod "test/NAME" with namespaces of its own (network: POD, or NODE; pid: CONTAINER), below the node's cgroup, with
 * its logs in NODE/logs/NAME. */
void pod_request_init(struct pod_request *pod, const struct node *node, const char *name, bool host_network);
void pod_request_fini(struct pod_request *pod);

/* A container of that pod, in the pod's namespaces as its request has them. command is NULL-terminated, NULL: the
 * image's. */
void container_request_init(struct container_request *container, struct pod_request *pod, const char *pod_id,
                            const char *name, const char *image, const char *const *command);
void container_request_fini(struct container_request *container);

/* RunPodSandbox and CreateContainer, once; the caller frees the id. */
struct error *pod_request_send(struct pod_request *pod, struct cri_client *client, char **ret_id)
    __attribute__((warn_unused_result));
struct error *container_request_send(struct container_request *container, struct cri_client *client, char **ret_id)
    __attribute__((warn_unused_result));
