/* One layer, from the registry's blob to a published directory. */
#pragma once

#include "services/imaged/fetcher.h"
#include "services/imaged/manifest.h"
#include "services/imaged/store.h"

/* The layer among those of its image. */
struct layer_order {
    char *const *chains; /* of the image's layers, the lowest first */
    size_t index;        /* of this one */

    /* Returns once all layers below are there, or why they will not be. */
    struct error *(*wait_below)(void *argument, size_t index);
    void *argument;
};

/* Makes the layer, unless it is there; waits for another that makes it. What is on disk of the blob is used. After a failure nothing is left
 * but the blob's part, and that only if trying again may help (UNAVAILABLE). */
struct error *layer_pull(struct store *store, struct fetcher *fetcher, const struct descriptor *blob, const char *diff_id,
                         const struct layer_order *order) __attribute__((warn_unused_result));

/* Empties and removes a layer's directory by its name in the layers directory; one that is not there is fine. */
struct error *layer_discard(struct store *store, struct keeper_client *keeper, uint64_t generation, const char *name)
    __attribute__((warn_unused_result));
