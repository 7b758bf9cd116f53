/* Where a process must be for the kernel to give a namespace to a user namespace: in it. So children go there. */
#include "services/sandboxd/shim/user_namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/memory.h"

/* A child that is in new namespaces until we let it go; it ends with us, too. */
struct helper {
    pid_t pid;
    int hold; /* write end */
};

static void helper_end(struct helper *helper)
{
    if (helper->pid <= 0)
        return;
    close(helper->hold);
    waitpid(helper->pid, NULL, 0);
}
#define auto_helper __attribute__((cleanup(helper_end))) struct helper

static void helper_main(int user_fd, int flags, int result, int held)
{
    bool has_failed = (user_fd >= 0 && setns(user_fd, CLONE_NEWUSER) < 0) || unshare(flags) < 0;
    int reason = has_failed ? errno : 0;
    char nothing;

    if (write(result, &reason, sizeof(reason)) == sizeof(reason))
        while (read(held, &nothing, 1) < 0 && errno == EINTR)
            continue;
    _exit(0);
}

/* user_fd -1: our own. */
static struct error *helper_start(int user_fd, int flags, struct helper *ret)
{
    int result[2], held[2], reason = ECHILD;

    if (pipe2(result, O_CLOEXEC) < 0)
        return error_errno(errno, "pipe");
    autoclose int told = result[0], tells = result[1];
    if (pipe2(held, O_CLOEXEC) < 0)
        return error_errno(errno, "pipe");
    autoclose int holds = held[0];
    *ret = (struct helper){.pid = fork(), .hold = held[1]};
    if (ret->pid == 0) {
        close(held[1]);
        helper_main(user_fd, flags, tells, holds);
    }
    if (ret->pid < 0) {
        reason = errno;
        close(held[1]);
        return error_errno(reason, "fork");
    }
    close(TAKE_FD(tells));
    if (read(told, &reason, sizeof(reason)) != sizeof(reason))
        reason = ECHILD;
    return reason ? error_errno(reason, "make namespaces") : NULL;
}

static struct error *namespace_open(pid_t pid, const char *kind, int *ret_fd)
{
    autofree char *path = xasprintf("/proc/%d/ns/%s", pid, kind);

    *ret_fd = open(path, O_RDONLY | O_CLOEXEC);
    return *ret_fd < 0 ? error_errno(errno, "open %s", path) : NULL;
}

static struct error *map_write(pid_t pid, const char *file, uint32_t first, uint32_t count)
{
    autofree char *path = xasprintf("/proc/%d/%s", pid, file), *line = xasprintf("0 %u %u\n", first, count);
    autoclose int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return error_errno(errno, "open %s", path);
    return fd_write_all(fd, line, strlen(line));
}

struct error *user_namespace_make(const struct user_map *map, int *ret_fd)
{
    auto_helper helper = {0};

    TRY_TO(helper_start(-1, CLONE_NEWUSER, &helper), "user namespace");
    TRY_TO(map_write(helper.pid, "gid_map", map->gid_first, map->gid_count), "user namespace");
    TRY_TO(map_write(helper.pid, "uid_map", map->uid_first, map->uid_count), "user namespace");
    return namespace_open(helper.pid, "user", ret_fd);
}

struct error *user_namespace_of(const char *netns_path, int *ret_fd)
{
    autoclose int fd = open(netns_path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || (*ret_fd = ioctl(fd, NS_GET_USERNS)) < 0)
        return error_errno(errno, "find the user namespace of %s", netns_path);
    return NULL;
}

static struct error *namespace_enter(pid_t pid, const char *kind, int flag)
{
    autoclose int fd = -1;

    TRY(namespace_open(pid, kind, &fd));
    return setns(fd, flag) < 0 ? error_errno(errno, "enter the new %s namespace", kind) : NULL;
}

struct error *user_namespace_unshare(int user_fd, int flags)
{
    static const struct {
        const char *name;
        int flag;
    } kinds[] = {{"net", CLONE_NEWNET}, {"ipc", CLONE_NEWIPC}, {"uts", CLONE_NEWUTS}};
    auto_helper helper = {0};

    TRY(helper_start(user_fd, flags, &helper));
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (flags & kinds[i].flag)
            TRY(namespace_enter(helper.pid, kinds[i].name, kinds[i].flag));
    return NULL;
}

struct error *user_namespace_become(int user_fd)
{
    if (setns(user_fd, CLONE_NEWUSER) < 0)
        return error_errno(errno, "enter the user namespace");
    if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
        return error_errno(errno, "become the user namespace's root");
    return NULL;
}
