/* Where cgroups are looked for: at any depth below /sys/fs/cgroup, by the name in their path. */
#include "cli/chaos/cgroups.h"

#include <dirent.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/memory.h"

static const char top[] = "/sys/fs/cgroup";

struct walk {
    const char *name; /* "/bhc.XXXXXX": a component of the path */
    bool removes;
    size_t found, left;
};

char *cgroup_parent_of(const char *directory)
{
    return xstrdup(strrchr(directory, '/'));
}

/* The name that the keeper gives: FNV-1a of the state directory (services/supervisor/keeper/cgroup.c). */
static char *tree_name(const char *state)
{
    uint32_t hash = 2166136261u;

    for (; *state; state++)
        hash = (hash ^ (unsigned char)*state) * 16777619u;
    return xasprintf("/bulkhead-%08x", hash);
}

/* Where a hierarchy is hidden, crun makes plain directories in its place. */
static bool is_cgroup(const char *path)
{
    struct statfs info;

    return statfs(path, &info) == 0 && (info.f_type == CGROUP_SUPER_MAGIC || info.f_type == CGROUP2_SUPER_MAGIC);
}

static bool is_there(const struct walk *walk, const char *path)
{
    const char *found = strstr(path, walk->name);

    return found && (found[strlen(walk->name)] == '\0' || found[strlen(walk->name)] == '/') && is_cgroup(path);
}

static void walk_below(struct walk *walk, const char *path)
{
    DIR *directory = opendir(path);

    for (const struct dirent *entry; directory && (entry = readdir(directory));) {
        if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
            continue;
        autofree char *below = xasprintf("%s/%s", path, entry->d_name);
        walk_below(walk, below);
        if (!is_there(walk, below))
            continue;
        walk->found++;
        walk->left += walk->removes && rmdir(below) < 0;
    }
    if (directory)
        closedir(directory);
}

size_t cgroups_count(const char *parent)
{
    struct walk walk = {.name = parent};

    if (*parent)
        walk_below(&walk, top);
    return walk.found;
}

size_t cgroups_count_tree(const char *state)
{
    autofree char *name = tree_name(state);

    return cgroups_count(name);
}

size_t cgroups_remove(const char *parent)
{
    struct walk walk = {.name = parent, .removes = true};

    if (*parent)
        walk_below(&walk, top);
    return walk.left;
}

size_t cgroups_remove_tree(const char *state)
{
    autofree char *name = tree_name(state);

    return cgroups_remove(name);
}
