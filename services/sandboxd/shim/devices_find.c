/* SHIM_FIND_DEVICES: what device nodes are at the paths that a pod names. A child looks: the file system may hang. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "common/memory.h"
#include "services/sandboxd/shim/shim.h"
#include "services/sandboxd/shim/task_step.h"

enum { DEVICES_SIZE_MAX = 4 << 20, DEPTH_MAX = 8 };

/* 0 for what is no device; a FIFO counts, as OCI runtimes make those too. */
static char type_of(mode_t mode)
{
    return S_ISCHR(mode) ? 'c' : S_ISBLK(mode) ? 'b' : S_ISFIFO(mode) ? 'p' : '\0';
}

static void device_put(struct wire_writer *fields, const char *path, const struct stat *about)
{
    autofree char *text =
        xasprintf("%c %u %u %o %u %u %s", type_of(about->st_mode), major(about->st_rdev), minor(about->st_rdev),
                  (unsigned)about->st_mode & 07777, (unsigned)about->st_uid, (unsigned)about->st_gid, path);

    wire_put_string(fields, SHIM_TAG_DEVICE, text);
}

/* As containerd: what every container has of its own, and what containers of other kinds left there. */
static bool is_left_out(const char *name)
{
    static const char *const names[] = {".", "..", "pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev", "console"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static void directory_put(struct wire_writer *fields, const char *path, unsigned depth)
{
    DIR *directory = depth < DEPTH_MAX && fields->size < DEVICES_SIZE_MAX ? opendir(path) : NULL;

    for (const struct dirent *entry; directory && (entry = readdir(directory));) {
        struct stat about;
        autofree char *inner = xasprintf("%s/%s", path, entry->d_name);
        if (is_left_out(entry->d_name) || lstat(inner, &about) < 0)
            continue;
        if (S_ISDIR(about.st_mode))
            directory_put(fields, inner, depth + 1);
        else if (type_of(about.st_mode))
            device_put(fields, inner, &about);
    }
    if (directory)
        closedir(directory);
}

static struct error *path_put(struct wire_writer *fields, const char *path)
{
    struct stat about;

    if (path[0] != '/')
        return error_new(ERROR_INVALID_ARGUMENT, "device %s is no absolute path", path);
    if (stat(path, &about) < 0)
        return error_errno(errno, "device %s", path);
    if (S_ISDIR(about.st_mode))
        directory_put(fields, path, 0);
    else if (type_of(about.st_mode))
        device_put(fields, path, &about);
    else
        return error_new(ERROR_INVALID_ARGUMENT, "%s is no device", path);
    return NULL;
}

static struct error *devices_put(const struct shim *shim, void *input, struct task_output *output)
{
    struct wire_writer fields = {0};
    size_t count;
    autofree char **paths = step_strings(input, SHIM_TAG_PATH, &count);

    (void)shim;
    for (char *const *path = paths; *path; path++) {
        wire_put_string(&fields, SHIM_TAG_PATH, *path);
        autoptr(error) failure = path_put(&fields, *path);
        if (failure) {
            wire_put_u64(&fields, SHIM_TAG_CODE, (uint64_t)failure->code);
            wire_put_string(&fields, SHIM_TAG_TEXT, failure->text);
        }
    }
    struct error *failure = task_output_put_fields(output, &fields);
    wire_writer_fini(&fields);
    return failure;
}

void devices_find(struct shim *shim, struct step *step)
{
    task_step_run(shim, step, devices_put, "find devices");
}
