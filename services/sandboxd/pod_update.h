/* UpdatePodSandboxResources: what kubelet says of a pod's overhead and of the sum of its containers' resources. */
#pragma once

#include <jansson.h>

#include "services/sandboxd/pod.h"

/* Records both, for the verbose status; none given: none is set any more. The limits themselves are kubelet's, on the pod's parent
 * cgroup. FAILED_PRECONDITION: the pod is not READY. */
struct error *pod_update(struct pod *pod, const Runtime__V1__UpdatePodSandboxResourcesRequest *request)
    __attribute__((warn_unused_result));

/* Both as JSON, null where none are set; the caller owns it. d->lock held. */
json_t *pod_overhead_show(const struct pod *pod);
json_t *pod_resources_show(const struct pod *pod);
