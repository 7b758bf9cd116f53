/* One layer, from the registry's blob to a published directory. */
#pragma once

#include "services/imaged/fetcher.h"
#include "services/imaged/manifest.h"
#include "services/imaged/store.h"

/* Makes the layer, unless it is there; waits for another that makes it. What is on disk of the blob is used. After a failure nothing is left
 * but the blob's part, and that only if trying again may help (UNAVAILABLE). */
struct error *layer_pull(struct store *store, struct fetcher *fetcher, const struct descriptor *blob, const char *chain,
                         const char *diff_id) __attribute__((warn_unused_result));

/* Empties and removes a layer's directory by its name in the layers directory; one that is not there is fine. */
struct error *layer_discard(struct store *store, struct keeper_client *keeper, uint64_t generation, const char *name)
    __attribute__((warn_unused_result));
