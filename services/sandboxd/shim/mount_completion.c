/* SHIM_COMPLETE_MOUNTS: what is mounted below a volume comes into a created container with it. The OCI runtimes' "rbind" does that,
 * but crun 1.8.1's leaves it out where there is a user namespace. */
#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/failpoint.h"
#include "common/fd.h"
#include "common/memory.h"
#include "services/sandboxd/shim/container.h"
#include "services/sandboxd/shim/mounts.h"
#include "services/sandboxd/shim/shim.h"
#include "services/sandboxd/shim/task_step.h"

enum { PATH_SIZE = 4096, BELOW_MAX = 512 };

/* A copy of a tree of the host's, and where it belongs. */
struct below {
    int fd;
    char *source; /* where it was */
    char *target; /* in the container */
};

struct belows {
    struct below list[BELOW_MAX];
    size_t count;
};

/* A path's length in the paths of what is inside: all is inside of "/". */
static size_t top_length(const char *top)
{
    return strcmp(top, "/") == 0 ? 0 : strlen(top);
}

static bool is_inside(const char *path, const char *top)
{
    size_t length = top_length(top);

    return strncmp(path, top, length) == 0 && path[length] == '/' && path[length + 1];
}

/* Of the volume whose first is that. */
static bool has_source(const struct belows *belows, size_t first, const char *path)
{
    for (size_t i = first; i < belows->count; i++)
        if (strcmp(belows->list[i].source, path) == 0 || is_inside(path, belows->list[i].source))
            return true; /* a mount on top of it, or in its tree */
    return false;
}

static struct error *propagation_set(int fd, uint64_t propagation)
{
    static const uint64_t types[] = {[SHIM_MOUNT_PRIVATE] = MS_PRIVATE, [SHIM_MOUNT_SLAVE] = MS_SLAVE};
    struct mount_attr attributes = {0};

    if (propagation >= sizeof(types) / sizeof(types[0]))
        return NULL;
    attributes.propagation = types[propagation];
    if (syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof(attributes)) < 0)
        return error_errno(errno, "set the propagation of a mount");
    return NULL;
}

static struct error *below_add(struct belows *belows, const char *mount, char *target, uint64_t propagation)
{
    if (belows->count == BELOW_MAX)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "more than %d mounts below the volumes", BELOW_MAX);
    int fd = (int)syscall(SYS_open_tree, AT_FDCWD, mount, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
    if (fd < 0 && errno == ENOENT) /* gone meanwhile, or hidden by another */
        return NULL;
    if (fd < 0)
        return error_errno(errno, "copy the mount %s", mount);
    belows->list[belows->count++] = (struct below){.fd = fd, .source = xstrdup(mount), .target = target};
    return propagation_set(fd, propagation);
}

/* Mounts come in mountinfo behind those that they are on. */
static struct error *source_find(const char *mounts, const char *source, const char *target, uint64_t propagation,
                                 struct belows *belows)
{
    autofree char *copy = xstrdup(mounts), *top = realpath(source, NULL);
    size_t first = belows->count;
    char *rest = NULL;

    if (!top)
        return error_errno(errno, "look at mount source %s", source);
    for (char *line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char mount[PATH_SIZE];
        if (mountinfo_path(line, mount) && is_inside(mount, top) && !has_source(belows, first, mount))
            TRY(below_add(belows, mount, xasprintf("%s%s", target, mount + top_length(top)), propagation));
    }
    return NULL;
}

/* FLAGS, MOUNT_SOURCE, PATH of each mount. */
static struct error *belows_find(const struct step *step, struct belows *belows)
{
    struct wire_reader reader = {.data = step->message, .size = step->message_size};
    autofree char *mounts = NULL;
    const char *source = NULL, *target = NULL;
    struct wire_field field;
    struct error *failure = NULL;
    uint64_t propagation = SHIM_MOUNT_PRIVATE;

    TRY(mountinfo_read(&mounts));
    while (!failure && wire_next(&reader, &field, &failure)) {
        if (field.tag == SHIM_TAG_FLAGS)
            failure = wire_u64(&field, &propagation);
        else if (field.tag == SHIM_TAG_MOUNT_SOURCE)
            failure = wire_string(&field, &source);
        else if (field.tag == SHIM_TAG_PATH && !(failure = wire_string(&field, &target)) && source)
            failure = source_find(mounts, source, target, propagation, belows);
    }
    return failure;
}

/* In the container's mount namespace. A runtime that did it already is right. */
static struct error *below_attach(const struct below *below)
{
    autoclose int target = path_open_in_root(AT_FDCWD, below->target);
    struct statx about;

    if (target < 0 && (errno == ENOENT || errno == ENOTDIR)) /* hidden by another mount of the container's */
        return NULL;
    if (target < 0 || statx(target, "", AT_EMPTY_PATH, STATX_TYPE, &about) < 0)
        return error_errno(errno, "open %s in the container", below->target);
    if (about.stx_attributes & STATX_ATTR_MOUNT_ROOT)
        return NULL;
    if (move_mount(below->fd, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
        return error_errno(errno, "mount %s at %s in the container", below->source, below->target);
    return NULL;
}

static struct error *mounts_complete_task(const struct shim *shim, void *input, struct task_output *output)
{
    struct belows *belows = xcalloc(1, sizeof(*belows)); /* the task ends soon */
    const char *id;

    (void)output;
    TRY(step_container_name(input, &id));
    TRY(belows_find(input, belows));
    if (belows->count == 0)
        return NULL;
    FAILPOINT("shim.complete.before_mount");
    TRY(container_enter_mounts(shim, id));
    for (size_t i = 0; i < belows->count; i++)
        TRY(below_attach(&belows->list[i]));
    return NULL;
}

void mounts_complete(struct shim *shim, struct step *step)
{
    task_step_run(shim, step, mounts_complete_task, "mounts below the volumes");
}
