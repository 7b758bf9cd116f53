/* What the shim mounts, unmounts, makes and removes on the host. */
#pragma once

#include "services/sandboxd/shim/job.h"

/* Is something mounted exactly there? */
bool path_is_mount(const char *path);

/* Detaches all that is mounted there; nothing there is fine. */
void path_unmount(const char *path);

/* Detaches what is mounted on the entries of a directory; not there is fine. */
void entries_unmount(const char *directory);

/* The text of /proc/self/mountinfo, which the caller frees; and the path of a line of it ("\\040" is a space there), of PATH_MAX bytes. */
struct error *mountinfo_read(char **ret) __attribute__((warn_unused_result));
bool mountinfo_path(const char *line, char *ret);

/* Removes a tree, not crossing into other file systems; not there is fine. May take long: for tasks. */
struct error *tree_remove(const char *path) __attribute__((warn_unused_result));

/* mkdir -p */
struct error *directories_make(const char *path, mode_t mode) __attribute__((warn_unused_result));
