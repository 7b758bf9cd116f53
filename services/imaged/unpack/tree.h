/* Removal of whole trees below a directory. */
#pragma once

#include "common/error.h"

/* Removes all that is in the directory, however deep, with a bounded number of descriptors. */
struct error *tree_empty(int directory) __attribute__((warn_unused_result));

/* Removes NAME below parent, whatever it is; one that is not there is fine. root must be on the same file system. */
struct error *tree_remove(int root, int parent, const char *name) __attribute__((warn_unused_result));
