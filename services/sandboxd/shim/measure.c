/* SHIM_MEASURE: how large a container's writable layer is, and how many descriptors its processes have. Both are root's to see. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/failpoint.h"
#include "common/memory.h"
#include "services/sandboxd/shim/container.h"
#include "services/sandboxd/shim/shim.h"
#include "services/sandboxd/shim/task_step.h"

enum { MEASURE_LIMIT_MS = 600000, BLOCK_SIZE = 512 /* of st_blocks */, IOPRIO_WHO_PROCESS = 1, IOPRIO_IDLE = 3 << 13, LINKS_MIN = 64 };

/* Files with several names that were counted, as an open hash of inode numbers (all on one device). */
struct linked {
    ino_t *inodes; /* 0: free */
    size_t room;   /* a power of two */
    size_t count;
};

struct measure {
    struct linked linked;
    uint64_t bytes;
    uint64_t inodes;
    uint64_t fds;
    uint64_t sockets;
};

static size_t linked_slot(const struct linked *linked, ino_t inode)
{
    size_t slot = (size_t)(inode * 11400714819323198485u >> 32) & (linked->room - 1);

    while (linked->inodes[slot] && linked->inodes[slot] != inode)
        slot = (slot + 1) & (linked->room - 1);
    return slot;
}

static void linked_grow(struct linked *linked)
{
    struct linked larger = {.room = linked->room ? 2 * linked->room : LINKS_MIN, .count = linked->count};

    larger.inodes = xcalloc(larger.room, sizeof(*larger.inodes));
    for (size_t i = 0; i < linked->room; i++)
        if (linked->inodes[i])
            larger.inodes[linked_slot(&larger, linked->inodes[i])] = linked->inodes[i];
    free(linked->inodes);
    *linked = larger;
}

/* False: it was there already. */
static bool linked_add(struct linked *linked, ino_t inode)
{
    if (2 * linked->count >= linked->room)
        linked_grow(linked);
    size_t slot = linked_slot(linked, inode);
    if (linked->inodes[slot])
        return false;
    linked->inodes[slot] = inode;
    linked->count++;
    return true;
}

static void entry_count(struct measure *measure, const struct stat *info)
{
    if (!S_ISDIR(info->st_mode) && info->st_nlink > 1 && !linked_add(&measure->linked, info->st_ino))
        return;
    measure->bytes += (uint64_t)info->st_blocks * BLOCK_SIZE;
    measure->inodes++;
}

/* What goes away meanwhile is not counted; the layer's own directory is. */
static struct error *layer_walk(char *upper, struct measure *measure)
{
    char *paths[] = {upper, NULL};
    FTS *tree = fts_open(paths, FTS_PHYSICAL | FTS_XDEV, NULL);

    if (!tree)
        return error_errno(errno, "walk the writable layer");
    for (FTSENT *entry; (entry = fts_read(tree));)
        if (entry->fts_info != FTS_DP && entry->fts_info != FTS_NS && entry->fts_info != FTS_ERR && entry->fts_info != FTS_DNR)
            entry_count(measure, entry->fts_statp);
    fts_close(tree);
    return NULL;
}

static struct error *filesystem_look(const char *upper, struct wire_writer *fields)
{
    struct statvfs about;
    struct stat info;

    if (statvfs(upper, &about) < 0 || stat(upper, &info) < 0)
        return error_errno(errno, "look at the writable layer's file system");
    wire_put_u64(fields, SHIM_TAG_FS_BYTES, (uint64_t)about.f_blocks * about.f_frsize);
    wire_put_u64(fields, SHIM_TAG_FS_INODES, about.f_files);
    wire_put_u64(fields, SHIM_TAG_FS_INODES_FREE, about.f_ffree);
    wire_put_u64(fields, SHIM_TAG_FS_DEVICE, (uint64_t)major(info.st_dev) << 32 | minor(info.st_dev));
    return NULL;
}

static void descriptors_count(void *argument, pid_t pid)
{
    struct measure *measure = argument;
    char path[48], link[8];

    snprintf(path, sizeof(path), "/proc/%d/fd", pid);
    DIR *directory = opendir(path);
    if (!directory)
        return; /* it has ended */
    for (const struct dirent *entry; (entry = readdir(directory));) {
        if (entry->d_name[0] == '.')
            continue;
        measure->fds++;
        if (readlinkat(dirfd(directory), entry->d_name, link, sizeof(link)) == sizeof(link) && memcmp(link, "socket:[", sizeof(link)) == 0)
            measure->sockets++;
    }
    closedir(directory);
}

/* Whoever works goes first. */
static void become_idle(void)
{
    setpriority(PRIO_PROCESS, 0, 19);
    syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_IDLE);
}

static struct error *measure_take(const struct shim *shim, void *input, struct task_output *output)
{
    struct measure measure = {0};
    const char *id;

    TRY(step_container_name(input, &id));
    const struct container *container = container_find(shim, id);
    if (!container)
        return error_new(ERROR_NOT_FOUND, "no container %s", id);
    become_idle();
    FAILPOINT("shim.measure.begun");
    autofree char *upper = shim_storage_path(shim, "%s/upper", id);
    cgroup_each_process(&shim->cgroups, container->record.cgroup, descriptors_count, &measure);
    TRY(filesystem_look(upper, &output->fields));
    TRY(layer_walk(upper, &measure));
    wire_put_u64(&output->fields, SHIM_TAG_BYTES, measure.bytes);
    wire_put_u64(&output->fields, SHIM_TAG_INODES, measure.inodes);
    wire_put_u64(&output->fields, SHIM_TAG_FDS, measure.fds);
    wire_put_u64(&output->fields, SHIM_TAG_SOCKETS, measure.sockets);
    return NULL;
}

void container_measure(struct shim *shim, struct step *step)
{
    task_step_run_within(shim, step, measure_take, "measure", MEASURE_LIMIT_MS);
}
