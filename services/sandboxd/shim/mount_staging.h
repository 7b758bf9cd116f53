/* Mounts of the host's that wait for a container's create. */
#pragma once

#include "common/error.h"

/* Unmounts and removes what is staged in that directory; nothing there is fine. For a process that may block. */
struct error *mounts_unstage_at(const char *directory) __attribute__((warn_unused_result));

/* The same with each directory in that one. */
struct error *mounts_unstage_all(const char *directory) __attribute__((warn_unused_result));
