/* The object table: which pods and containers there are, found by id, by prefix, or by the key that kubelet retries with. */
#pragma once

#include "services/sandboxd/container.h"

/* Takes over the caller's reference as the list's. d->lock held. */
void table_add_pod(struct sandboxd *d, struct pod *pod);
void table_add_container(struct sandboxd *d, struct container *container);

/* Takes it out of the list and drops the list's reference. */
void table_remove_pod(struct pod *pod);
void table_remove_container(struct container *container);

/* Finds by id, or by a prefix that fits only one. Objects in no list are not found (but a removal's are). NOT_FOUND as
 * containerd words it; INVALID_ARGUMENT for a prefix of several or an empty id. The caller releases *ret. */
struct error *table_find_pod(struct sandboxd *d, const char *id, struct pod **ret) __attribute__((warn_unused_result));
struct error *table_find_container(struct sandboxd *d, const char *id, struct container **ret)
    __attribute__((warn_unused_result));

/* By key, whatever the state, but for those whose key is free again. d->lock held; held reference or NULL. */
struct pod *table_pod_of_key(struct sandboxd *d, const Runtime__V1__PodSandboxMetadata *metadata);
struct container *table_container_of_key(struct pod *pod, const Runtime__V1__ContainerMetadata *metadata);

/* Asked twice of each, under d->lock; must answer the same both times. */
typedef bool pod_test(const struct pod *pod, const void *argument);
typedef bool container_test(const struct container *container, const void *argument);

/* Those that pass, held, in an array for pods_release() or containers_release(). Take d->lock. */
struct pod **table_pods(struct sandboxd *d, pod_test *passes, const void *argument, size_t *ret_count);
struct container **table_containers(struct sandboxd *d, container_test *passes, const void *argument, size_t *ret_count);
struct container **table_containers_of(struct pod *pod, size_t *ret_count); /* all of a pod, in any state */
void pods_release(struct pod **pods, size_t count);
void containers_release(struct container **containers, size_t count);
