/* What a parsed network is made of, for the files of this folder. */
#pragma once

#include <jansson.h>

#include "services/sandboxd/cni/cni.h"

struct cni_network {
    char *name;
    char *version;
    json_t *list; /* the whole configuration as a list, name and cniVersion set */
};

/* Plugin `index` of the chain; borrowed. */
json_t *cni_network_plugin(const struct cni_network *network, size_t index);
