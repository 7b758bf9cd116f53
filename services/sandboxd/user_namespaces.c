/* What of a pod with a user namespace is tried to learn whether one can run. */
#include "services/sandboxd/user_namespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fd.h"
#include "common/memory.h"
#include "services/sandboxd/shim/idmap_layers.h"
#include "services/sandboxd/shim/user_namespace.h"

enum { PROBE_LIMIT_MS = 20000 /* the supervisor gives a start 30 s */, REASON_SIZE = 512 };

/* Any ids will do; these are the first that the kubelet gives. */
static const struct user_map probe_map = {.uid_first = 65536, .uid_count = 65536, .gid_first = 65536, .gid_count = 65536};

static struct error *overlay_try(const char *layer, const char *directory, struct idmap_layers *there)
{
    autofree char *upper = xasprintf("%s/upper", directory), *work = xasprintf("%s/work", directory);
    autofree char *options = xasprintf("userxattr,index=off,lowerdir=%s,upperdir=%s,workdir=%s", there->layers[0], upper, work);

    if (mkdir(upper, 0755) < 0 || mkdir(work, 0755) < 0)
        return error_errno(errno, "make directories");
    if (mount("overlay", there->merged, "overlay", 0, options) < 0)
        return error_errno(errno, "overlay of layers of %s with mapped owners (Linux 5.19 has it)", layer);
    return NULL;
}

static int proc_try(void)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0)
        _exit(mount("proc", ".", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0 ? errno : 0);
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        return errno;
    return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
}

/* Where /proc or /sys is covered in part, as in many containers, the kernel refuses fresh ones to a user namespace. By "." as its
 * root need not reach the directory by its path. */
static struct error *mounts_try(int user_fd, const char *directory)
{
    if (chdir(directory) < 0)
        return error_errno(errno, "enter %s", directory);
    TRY(user_namespace_become(user_fd));
    if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID) < 0)
        return error_errno(errno, "unshare");
    if (mount("sysfs", ".", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, NULL) < 0)
        return error_errno(errno, "mount /sys");
    int reason = proc_try();
    return reason ? error_errno(reason, "mount /proc") : NULL;
}

static struct error *all_try(const char *root, const char *directory)
{
    char *const layers[] = {(char *)root};
    struct idmap_layers there;
    int user_fd;

    TRY(user_namespace_make(&probe_map, &user_fd));
    TRY(idmap_layers_enter(directory, layers, 1, user_fd, &there));
    TRY(overlay_try(root, directory, &there));
    return mounts_try(user_fd, there.merged);
}

static void probe_main(const char *root, const char *directory, int result)
{
    struct error *failure = all_try(root, directory);

    if (failure)
        dprintf(result, "%s", failure->text);
    _exit(failure ? 1 : 0);
}

/* Its last word: nothing is yes. */
static char *probe_await(pid_t pid, int result)
{
    struct pollfd watch = {.fd = result, .events = POLLIN};
    char reason[REASON_SIZE] = "";
    int status = 0;

    if (poll(&watch, 1, PROBE_LIMIT_MS) <= 0) {
        kill(pid, SIGKILL); /* whatever it waits for: it is not waited for */
        return xasprintf("the probe did not end within %d ms", PROBE_LIMIT_MS);
    }
    ssize_t size = read(result, reason, sizeof(reason) - 1);
    waitpid(pid, &status, 0);
    if (size > 0)
        return xstrdup(reason);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? NULL : xstrdup("the probe died");
}

char *user_namespaces_probe(const char *root, const char *directory)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return xstrdup("no pipe");
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        probe_main(root, directory, ends[1]);
    }
    close(ends[1]);
    autoclose int result = ends[0];
    return pid < 0 ? xstrdup("no process") : probe_await(pid, result);
}
