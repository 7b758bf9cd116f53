/* RunPodSandbox: the claim, the joining of a claim, and the steps of the creation. */
#pragma once

#include "services/sandboxd/pod.h"

/* Claims the request's key and waits for the pod, or joins one that has it. The request is checked here; its maps are sorted.
 * *ret_id is the caller's. */
struct error *pod_run(struct sandboxd *d, const struct ipc_call *call, Runtime__V1__RunPodSandboxRequest *request,
                      char **ret_id) __attribute__((warn_unused_result));

/* The worker's part: makes the pod READY, or moves it to UNDOING with its failure noted. */
struct error *pod_create(struct pod *pod) __attribute__((warn_unused_result));

/* The call's end as an error: its client has gone, or its deadline has passed. */
struct error *call_over(const struct ipc_call *call, const char *what) __attribute__((warn_unused_result));
