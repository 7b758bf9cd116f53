/* What a layer's archive leaves unsaid of directories that a layer below has. */
#pragma once

#include <stddef.h>

#include "common/error.h"

/* list: paths in the layer `root`, each with its NUL. Each that is a directory gets owner, mode, attributes and times
 * from the topmost layer of `below` (the topmost first) that has it, as the overlay would show it; one that none has
 * stays as it is. */
struct error *parents_mend(int root, const int *below, size_t count, const char *list, size_t size)
    __attribute__((warn_unused_result));
