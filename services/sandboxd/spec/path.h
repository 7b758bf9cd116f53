/* Paths as text: nothing is looked up. */
#pragma once

#include <stdbool.h>

/* Without doubled slashes, "." parts and a slash at the end; the caller frees it. ".." stays. */
char *path_clean(const char *path);

bool path_is_absolute(const char *path);
bool path_has_dotdot(const char *path);
