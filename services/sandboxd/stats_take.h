/* The numbers of a container or a pod as they are now: read from its cgroup, and what was sampled before. Waits for nobody. */
#pragma once

#include "services/sandboxd/container.h"
#include "services/sandboxd/stats_message.h"

/* NOT_FOUND: it has ended meanwhile. */
struct error *container_numbers_take(struct container *container, struct stats_numbers *ret) __attribute__((warn_unused_result));
struct error *pod_numbers_take(struct pod *pod, struct stats_numbers *ret) __attribute__((warn_unused_result));

struct cgroup_place container_cgroup(const struct container *container);
struct cgroup_place pod_cgroup(const struct pod *pod);

/* The interfaces of the pod's own network namespace but `lo`; 0 where there is none, or its counters are not to be had yet. */
size_t pod_interfaces_read(struct pod *pod, struct interface_counters ret[INTERFACES_SHOWN_MAX]);

/* The pod's running containers, held; the caller gives them to containers_release(). */
struct container **pod_running_containers(struct pod *pod, size_t *ret_count);
