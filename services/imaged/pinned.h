/* Images that the configuration says are never garbage. Pure. */
#pragma once

#include <stdbool.h>

#include "services/imaged/store.h"

/* Has the image one of those names? NULL-terminated, as docker writes references; a "*" at the end stands for anything. */
bool image_is_pinned(const struct image *image, char *const *names);
