/* Cgroups of a run, in whichever hierarchies there are. */
#pragma once

#include <stddef.h>

/* The cgroup of a node's pods, from its directory: "/bhc.XXXXXX". The caller frees it. */
char *cgroup_parent_of(const char *directory);

/* How many there are below `parent`, a path in a hierarchy; and of a tree's daemons, by its state directory. */
size_t cgroups_count(const char *parent);
size_t cgroups_count_tree(const char *state);

/* Removes them, and says how many it could not. */
size_t cgroups_remove(const char *parent);
size_t cgroups_remove_tree(const char *state);
