/* The steps that make a pod: namespaces, network, files. Each can be done again by a successor. */
#pragma once

#include "services/sandboxd/pod.h"

struct error *pod_create_steps(struct pod *pod) __attribute__((warn_unused_result));
