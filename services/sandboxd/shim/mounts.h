/* What the shim mounts, unmounts, makes and removes on the host. */
#pragma once

#include "services/sandboxd/shim/job.h"

/* Is something mounted exactly there? */
bool path_is_mount(const char *path);

/* Detaches all that is mounted there; nothing there is fine. */
void path_unmount(const char *path);

/* Removes a directory of mount points, and what is mounted on each: never the files that a mount shows. Not there is fine.
 * `_all`: a directory of such directories. */
struct error *mount_places_remove(const char *directory) __attribute__((warn_unused_result));
struct error *mount_places_remove_all(const char *directory) __attribute__((warn_unused_result));

/* What the path leads to from root (AT_FDCWD: this process's), whose links lead nowhere out of it, as a descriptor of O_PATH; -1 and errno. */
int path_open_in_root(int root, const char *path);

/* The text of /proc/self/mountinfo, which the caller frees; and the path of a line of it ("\\040" is a space there), of PATH_MAX bytes. */
struct error *mountinfo_read(char **ret) __attribute__((warn_unused_result));
bool mountinfo_path(const char *line, char *ret);

/* Removes a tree, not crossing into other file systems; not there is fine. May take long: for tasks. */
struct error *tree_remove(const char *path) __attribute__((warn_unused_result));

/* mkdir -p */
struct error *directories_make(const char *path, mode_t mode) __attribute__((warn_unused_result));
