/* How layers are told to the kernel. */
#include "services/sandboxd/shim/overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/memory.h"
#include "services/sandboxd/shim/mounts.h"

enum { OPTIONS_SIZE = 4096, FILLERS_MAX = 2 };

/* What the kernel gets: the overlay's layers, above as many empty ones as it wants besides. */
struct stack {
    const char **layers; /* the lowest first */
    size_t count;
    char *fillers[FILLERS_MAX];
    char *upper, *work; /* NULL: nobody writes */
};

static void stack_fini(struct stack *stack)
{
    for (size_t i = 0; i < FILLERS_MAX; i++)
        free(stack->fillers[i]);
    free(stack->layers);
    free(stack->upper);
    free(stack->work);
}

/* An image may have no layers, an overlay may not; one that nobody writes to must have two. */
static struct error *fillers_add(const struct overlay *overlay, struct stack *stack)
{
    size_t fewest = overlay->is_writable ? 1 : FILLERS_MAX;

    for (size_t i = 0; overlay->count + i < fewest; i++) {
        stack->fillers[i] = xasprintf("%s/empty%zu", overlay->storage, i);
        TRY(directories_make(stack->fillers[i], 0755));
        stack->layers[stack->count++] = stack->fillers[i];
    }
    return NULL;
}

static struct error *layers_add(const struct overlay *overlay, struct stack *stack)
{
    for (size_t i = 0; i < overlay->count; i++) {
        if (overlay->layers[i][0] != '/')
            return error_new(ERROR_INVALID_ARGUMENT, "layer %s is no absolute path", overlay->layers[i]);
        stack->layers[stack->count++] = overlay->layers[i];
    }
    return NULL;
}

static struct error *writing_add(const struct overlay *overlay, struct stack *stack)
{
    stack->upper = xasprintf("%s/upper", overlay->storage);
    stack->work = xasprintf("%s/work", overlay->storage);
    TRY(directories_make(stack->upper, 0755));
    return directories_make(stack->work, 0711);
}

static int overlay_set(int filesystem, const char *key, const char *value)
{
    return fsconfig(filesystem, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, key, value, 0);
}

static bool stack_is_told(const struct stack *stack, int filesystem)
{
    for (size_t i = stack->count; i-- > 0;)
        if (overlay_set(filesystem, "lowerdir+", stack->layers[i]) < 0)
            return false;
    if (stack->upper && (overlay_set(filesystem, "upperdir", stack->upper) < 0 || overlay_set(filesystem, "workdir", stack->work) < 0))
        return false;
    return overlay_set(filesystem, "userxattr", NULL) == 0 && overlay_set(filesystem, "index", "off") == 0;
}

/* One layer a call (kernel 6.7 and later): no limit of 4 KiB. The topmost comes first. */
static bool mount_new(const struct stack *stack, const char *target)
{
    autoclose int filesystem = fsopen("overlay", FSOPEN_CLOEXEC);

    if (filesystem < 0 || !stack_is_told(stack, filesystem) || fsconfig(filesystem, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return false;
    autoclose int mounted = fsmount(filesystem, FSMOUNT_CLOEXEC, stack->upper ? 0 : MOUNT_ATTR_RDONLY);
    return mounted >= 0 && move_mount(mounted, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) == 0;
}

static struct error *links_make(const struct stack *stack, const char *directory)
{
    TRY(tree_remove(directory));
    TRY(directories_make(directory, 0700));
    if (chdir(directory) < 0)
        return error_errno(errno, "enter %s", directory);
    for (size_t i = 0; i < stack->count; i++) {
        autofree char *name = xasprintf("%zx", i);
        if (symlink(stack->layers[i], name) < 0)
            return error_errno(errno, "link layer %s", stack->layers[i]);
    }
    return NULL;
}

/* mount(2)'s options end at a page: so layers go by links of a few bytes in one directory, 500 of them. */
static struct error *mount_classic(const struct stack *stack, const struct overlay *overlay)
{
    autofree char *links = xasprintf("%s/l", overlay->storage);
    char options[OPTIONS_SIZE];
    size_t used;

    TRY(links_make(stack, links));
    used = (size_t)snprintf(options, sizeof(options), "userxattr,index=off,");
    if (stack->upper)
        used += (size_t)snprintf(options + used, sizeof(options) - used, "upperdir=%s,workdir=%s,", stack->upper, stack->work);
    if (used < sizeof(options))
        used += (size_t)snprintf(options + used, sizeof(options) - used, "lowerdir=");
    for (size_t i = stack->count; i-- > 0 && used < sizeof(options);)
        used += (size_t)snprintf(options + used, sizeof(options) - used, "%zx%s", i, i ? ":" : "");
    if (used >= sizeof(options))
        return error_new(ERROR_RESOURCE_EXHAUSTED, "%zu layers are too many for this kernel", stack->count);
    if (mount("overlay", overlay->target, "overlay", stack->upper ? 0 : MS_RDONLY, options) < 0)
        return error_errno(errno, "mount the overlay of %zu layers", stack->count);
    return NULL;
}

struct error *overlay_mount(const struct overlay *overlay)
{
    __attribute__((cleanup(stack_fini))) struct stack stack = {0};

    stack.layers = xcalloc(overlay->count + FILLERS_MAX, sizeof(stack.layers[0]));
    TRY(directories_make(overlay->target, 0755));
    TRY(directories_make(overlay->storage, 0711));
    TRY(fillers_add(overlay, &stack));
    TRY(layers_add(overlay, &stack));
    if (overlay->is_writable)
        TRY(writing_add(overlay, &stack));
    return mount_new(&stack, overlay->target) ? NULL : mount_classic(&stack, overlay);
}
