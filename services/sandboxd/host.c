/* Where a fact of the host is to be read. */
#include "services/sandboxd/host.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/vfs.h>

#include "common/fd.h"
#include "common/memory.h"

enum { SMALL_FILE_MAX = 64 << 10, DEVICES_MAX = 4096, CAP_SYS_RESOURCE_BIT = 24 };

static int cgroup_version_of_host(void)
{
    struct statfs top;

    return statfs("/sys/fs/cgroup", &top) == 0 && top.f_type == CGROUP2_SUPER_MAGIC ? 2 : 1;
}

static uint64_t status_capabilities(const char *status, const char *key)
{
    const char *line = strstr(status, key);

    return line ? strtoull(line + strlen(key), NULL, 16) : 0;
}

/* Without CAP_SYS_RESOURCE nobody gets below what this process has. */
static int oom_score_adj_floor(uint64_t capabilities)
{
    autofree char *text = NULL;
    size_t size = 0;

    if (capabilities & (1ull << CAP_SYS_RESOURCE_BIT))
        return -1000;
    struct error *error = file_read_all("/proc/self/oom_score_adj", SMALL_FILE_MAX, &text, &size);
    int floor = error ? 0 : atoi(text);
    error_free(error);
    return floor;
}

static bool apparmor_is_on(void)
{
    autofree char *text = NULL;
    size_t size = 0;
    struct error *error = file_read_all("/sys/module/apparmor/parameters/enabled", 16, &text, &size);
    bool is_on = !error && text[0] == 'Y' && access(APPARMOR_PARSER, X_OK) == 0;

    error_free(error);
    return is_on;
}

/* Is the hugetlb controller mounted where the runtimes use it? */
static bool hugetlb_is_on(void)
{
    autofree char *text = NULL;
    size_t size = 0;

    if (cgroup_version_of_host() == 1)
        return access("/sys/fs/cgroup/hugetlb/cgroup.procs", F_OK) == 0;
    struct error *error = file_read_all("/sys/fs/cgroup/cgroup.controllers", SMALL_FILE_MAX, &text, &size);
    bool is_on = !error && strstr(text, "hugetlb");
    error_free(error);
    return is_on;
}

/* "6.18.5" is 6 << 8 | 18. */
static unsigned kernel_version_of(const char *release)
{
    unsigned major = 0, minor = 0;

    sscanf(release, "%u.%u", &major, &minor);
    return major << 8 | (minor > 255 ? 255 : minor);
}

struct device_list {
    struct spec_device *items;
    size_t count;
};

static void device_add(struct device_list *list, const char *path, const struct stat *info)
{
    list->items = xreallocarray(list->items, list->count + 1, sizeof(*list->items));
    list->items[list->count++] = (struct spec_device){
        .path = xstrdup(path),
        .type = S_ISCHR(info->st_mode) ? 'c' : 'b',
        .major = major(info->st_rdev),
        .minor = minor(info->st_rdev),
        .mode = info->st_mode & 07777,
        .uid = info->st_uid,
        .gid = info->st_gid,
    };
}

/* As containerd: no terminals, no shared memory, no queues, no file descriptors, no log socket, no console. */
static bool device_is_left_out(const char *name)
{
    static const char *const names[] = {".", "..", "pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev", "console"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (!strcmp(name, names[i]))
            return true;
    return false;
}

static void devices_read(const char *path, unsigned depth, struct device_list *list)
{
    DIR *directory = depth < 8 ? opendir(path) : NULL;
    struct dirent *entry;

    while (directory && list->count < DEVICES_MAX && (entry = readdir(directory))) {
        struct stat info;
        autofree char *inner = xasprintf("%s/%s", path, entry->d_name);
        if (device_is_left_out(entry->d_name) || lstat(inner, &info) < 0)
            continue;
        if (S_ISDIR(info.st_mode))
            devices_read(inner, depth + 1, list);
        else if (S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode))
            device_add(list, inner, &info);
    }
    if (directory)
        closedir(directory);
}

struct error *host_read(struct spec_host *ret)
{
    struct device_list devices = {0};
    struct utsname name;
    autofree char *status = NULL;
    size_t size = 0;

    TRY_TO(file_read_all("/proc/self/status", SMALL_FILE_MAX, &status, &size), "read own status");
    if (uname(&name) < 0)
        return error_errno(errno, "uname");
    devices_read("/dev", 0, &devices);
    *ret = (struct spec_host){
        .cgroup_version = cgroup_version_of_host(),
        .has_swap_limit = access("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes", F_OK) == 0 ||
                          cgroup_version_of_host() == 2,
        .has_selinux = access("/sys/fs/selinux/enforce", F_OK) == 0,
        .has_apparmor = apparmor_is_on(),
        .has_hugetlb = hugetlb_is_on(),
        .kernel_version = kernel_version_of(name.release),
        .bounding_capabilities = status_capabilities(status, "CapBnd:"),
        .oom_score_adj_min = oom_score_adj_floor(status_capabilities(status, "CapEff:")),
        .hostname = xstrdup(name.nodename),
        .devices = devices.items,
        .device_count = devices.count,
    };
    return NULL;
}
