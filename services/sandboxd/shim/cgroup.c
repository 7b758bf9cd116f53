/* How cgroups are found, made, killed and removed, v1 and v2. */
#include "services/sandboxd/shim/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include "common/fd.h"
#include "common/memory.h"

enum { PROCS_SIZE_MAX = 4 << 20, MAKE_TRIES = 20 };

/* Marks the groups that some shim made: kubelet's are never removed, and of those that pods share, the last pod removes them. */
#define MADE_BY_US "trusted.bulkhead"

static void cgroups_add(struct cgroups *cgroups, const char *mount, const char *name)
{
    autofree char *path = xasprintf("%s/%s", mount, name);
    autofree char *procs = xasprintf("%s/cgroup.procs", path);

    if (cgroups->count < CGROUP_HIERARCHIES_MAX && access(procs, F_OK) == 0)
        cgroups->hierarchies[cgroups->count++] = TAKE(path);
}

static struct error *cgroups_find_v1(struct cgroups *cgroups, const char *mount)
{
    DIR *directory = opendir(mount);

    if (!directory)
        return error_errno(errno, "open %s", mount);
    for (const struct dirent *entry; (entry = readdir(directory));)
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.' && strcmp(entry->d_name, "unified") != 0)
            cgroups_add(cgroups, mount, entry->d_name);
    closedir(directory);
    cgroups->made = cgroups->count;
    autofree char *unified = xasprintf("%s/unified", mount);
    struct statfs about;
    if (cgroups->count < CGROUP_HIERARCHIES_MAX && statfs(unified, &about) == 0 && about.f_type == CGROUP2_SUPER_MAGIC)
        cgroups->hierarchies[cgroups->count++] = TAKE(unified);
    return NULL;
}

static char *cgroups_choose_tracking(const struct cgroups *cgroups)
{
    static const char *const wanted[] = {"/pids", "/systemd"};

    for (size_t w = 0; w < sizeof(wanted) / sizeof(wanted[0]); w++)
        for (size_t i = 0; i < cgroups->count; i++) {
            const char *name = strrchr(cgroups->hierarchies[i], '/');
            if (strcmp(name, wanted[w]) == 0)
                return xstrdup(cgroups->hierarchies[i]);
        }
    return NULL;
}

struct error *cgroups_init(struct cgroups *cgroups, const char *mount)
{
    struct statfs about;

    *cgroups = (struct cgroups){0};
    if (statfs(mount, &about) < 0)
        return error_errno(errno, "look at %s", mount);
    if (about.f_type == CGROUP2_SUPER_MAGIC) {
        cgroups->is_unified = true;
        cgroups->tracking = xstrdup(mount);
        cgroups->hierarchies[cgroups->count++] = xstrdup(mount);
        cgroups->made = 1;
        return NULL;
    }
    TRY(cgroups_find_v1(cgroups, mount));
    cgroups->tracking = cgroups_choose_tracking(cgroups);
    if (!cgroups->tracking)
        return error_new(ERROR_FAILED_PRECONDITION, "below %s is neither cgroup v2 nor v1's pids or name=systemd", mount);
    return NULL;
}

void cgroups_fini(struct cgroups *cgroups)
{
    for (size_t i = 0; i < cgroups->count; i++)
        free(cgroups->hierarchies[i]);
    free(cgroups->tracking);
    *cgroups = (struct cgroups){0};
}

bool cgroup_path_is_valid(const char *path)
{
    if (!path || path[0] != '/' || path[1] == '\0' || strlen(path) >= CGROUP_PATH_SIZE)
        return false;
    for (const char *at = path; *at;) {
        const char *name = at + 1;
        size_t length = strcspn(name, "/");
        if (length == 0 || (length == 1 && name[0] == '.') || (length == 2 && name[0] == '.' && name[1] == '.'))
            return false;
        at = name + length;
    }
    return true;
}

/* One walk along the path; ENOENT when somebody removed a parent meanwhile. */
static int make_components(const char *mount, const char *path)
{
    autofree char *full = xasprintf("%s%s", mount, path);
    size_t skip = strlen(mount) + 1;

    for (char *slash = full + skip;; slash++) {
        slash = strchrnul(slash, '/');
        char end = *slash;
        *slash = '\0';
        if (mkdir(full, 0755) == 0)
            setxattr(full, MADE_BY_US, "1", 1, 0); /* without it the group stays when we go */
        else if (errno != EEXIST)
            return errno;
        if (!end)
            return 0;
        *slash = end;
    }
}

static struct error *make_in(const char *mount, const char *path)
{
    int failure = 0;

    for (int tries = 0; tries < MAKE_TRIES; tries++) {
        failure = make_components(mount, path);
        if (failure != ENOENT)
            break;
    }
    return failure ? error_errno(failure, "make cgroup %s%s", mount, path) : NULL;
}

struct error *cgroup_make_tracking(const struct cgroups *cgroups, const char *path)
{
    return make_in(cgroups->tracking, path);
}

struct error *cgroup_make(const struct cgroups *cgroups, const char *path)
{
    for (size_t i = 0; i < cgroups->made; i++)
        TRY(make_in(cgroups->hierarchies[i], path));
    return NULL;
}

static void procs_each(const char *directory, void (*each)(void *argument, pid_t pid), void *argument)
{
    autofree char *path = xasprintf("%s/cgroup.procs", directory);
    autofree char *text = NULL;
    size_t size;
    struct error *failure = file_read_all(path, PROCS_SIZE_MAX, &text, &size);

    if (failure) {
        error_free(failure); /* gone, which is what its callers want */
        return;
    }
    for (char *at = text; *at;) {
        long pid = strtol(at, &at, 10);
        if (pid > 0) /* 0: in a PID namespace that we can't see */
            each(argument, (pid_t)pid);
        while (*at && (*at < '0' || *at > '9'))
            at++;
    }
}

/* The group and all below it, children first. */
static void walk(const char *directory, void (*visit)(void *argument, const char *directory), void *argument)
{
    DIR *entries = opendir(directory);

    if (!entries)
        return;
    for (const struct dirent *entry; (entry = readdir(entries));)
        if (entry->d_type == DT_DIR && strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            autofree char *child = xasprintf("%s/%s", directory, entry->d_name);
            walk(child, visit, argument);
        }
    closedir(entries);
    visit(argument, directory);
}

static void count_process(void *argument, pid_t pid)
{
    (void)pid;
    ++*(size_t *)argument;
}

static void count_in(void *argument, const char *directory)
{
    procs_each(directory, count_process, argument);
}

static void kill_process(void *argument, pid_t pid)
{
    ++*(size_t *)argument;
    kill(pid, SIGKILL);
}

static void kill_in(void *argument, const char *directory)
{
    procs_each(directory, kill_process, argument);
}

bool cgroup_is_empty(const struct cgroups *cgroups, const char *path)
{
    autofree char *directory = xasprintf("%s%s", cgroups->tracking, path);
    size_t count = 0;

    walk(directory, count_in, &count);
    return count == 0;
}

bool cgroup_kill(const struct cgroups *cgroups, const char *path)
{
    autofree char *directory = xasprintf("%s%s", cgroups->tracking, path);
    autofree char *all = xasprintf("%s/cgroup.kill", directory);
    size_t count = 0;

    autoclose int fd = cgroups->is_unified ? open(all, O_WRONLY | O_CLOEXEC) : -1;
    if (fd >= 0 && write(fd, "1", 1) == 1)
        return cgroup_is_empty(cgroups, path);
    walk(directory, kill_in, &count);
    return count == 0;
}

static void remove_in(void *argument, const char *directory)
{
    if (rmdir(directory) < 0 && errno != ENOENT)
        *(bool *)argument = false;
}

bool cgroup_remove(const struct cgroups *cgroups, const char *path)
{
    bool is_gone = true;

    for (size_t i = 0; i < cgroups->count; i++) {
        autofree char *directory = xasprintf("%s%s", cgroups->hierarchies[i], path);
        walk(directory, remove_in, &is_gone);
    }
    return is_gone;
}

void cgroup_remove_parents(const struct cgroups *cgroups, const char *path)
{
    autofree char *parent = xstrdup(path);

    for (char *slash; (slash = strrchr(parent, '/')) && slash > parent;) {
        *slash = '\0';
        for (size_t i = 0; i < cgroups->count; i++) {
            autofree char *directory = xasprintf("%s%s", cgroups->hierarchies[i], parent);
            if (getxattr(directory, MADE_BY_US, NULL, 0) > 0)
                rmdir(directory); /* another pod may be using it: then that one's teardown does it */
        }
    }
}

static const char *memory_hierarchy(const struct cgroups *cgroups)
{
    if (cgroups->is_unified)
        return cgroups->tracking;
    for (size_t i = 0; i < cgroups->count; i++)
        if (strcmp(strrchr(cgroups->hierarchies[i], '/'), "/memory") == 0)
            return cgroups->hierarchies[i];
    return NULL;
}

uint64_t cgroup_oom_kills(const struct cgroups *cgroups, const char *path)
{
    const char *mount = memory_hierarchy(cgroups);

    if (!mount)
        return 0;
    autofree char *file = xasprintf("%s%s/%s", mount, path, cgroups->is_unified ? "memory.events" : "memory.oom_control");
    autofree char *text = NULL;
    size_t size;
    struct error *failure = file_read_all(file, 4096, &text, &size);
    error_free(failure); /* no such group: nothing was killed in it */
    const char *line = failure ? NULL : strstr(text, "oom_kill ");
    return line ? strtoull(line + strlen("oom_kill "), NULL, 10) : 0;
}

void cgroup_each_child(const struct cgroups *cgroups, const char *path,
                       void (*each)(void *argument, const char *name), void *argument)
{
    autofree char *directory = xasprintf("%s%s", cgroups->tracking, path);
    DIR *entries = opendir(directory);

    if (!entries)
        return;
    for (const struct dirent *entry; (entry = readdir(entries));)
        if (entry->d_type == DT_DIR && strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            each(argument, entry->d_name);
    closedir(entries);
}

void cgroup_each_process(const struct cgroups *cgroups, const char *path, void (*each)(void *argument, pid_t pid),
                         void *argument)
{
    autofree char *directory = xasprintf("%s%s", cgroups->tracking, path);

    procs_each(directory, each, argument);
}
