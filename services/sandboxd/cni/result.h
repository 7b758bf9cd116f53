/* What an answer is made of, for the files of this folder. */
#pragma once

#include <jansson.h>

#include "services/sandboxd/cni/cni.h"
#include "services/sandboxd/cni/version.h"

struct cni_result {
    json_t *root;
    enum cni_shape shape;
    char *network_version;
    struct cni_ip *ips;
    size_t ip_count;
};

/* The answer in another shape, as a new object without cniVersion. */
json_t *cni_result_reshape(const json_t *root, enum cni_shape from, enum cni_shape to);
