/* Containers' statistics as messages, for whoever answers with some. */
#pragma once

#include "services/sandboxd/stats_take.h"

/* One container's numbers; the message points into it. */
struct container_sample {
    Runtime__V1__ContainerStats stats;
    Runtime__V1__ContainerAttributes attributes;
    struct stats_parts parts;
};

/* Samples of them all, as a message's repeated field; of a container that does not run only the attributes. Both arrays are the caller's. */
struct container_sample *container_samples_take(struct container **containers, size_t count,
                                                Runtime__V1__ContainerStats ***ret_pointers);
