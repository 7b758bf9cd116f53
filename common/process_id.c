/* How a process is told from every other that had or will have its pid. */
#include "common/process_id.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <threads.h>

#include "common/fd.h"
#include "common/log.h"

enum { PID_FS_MAGIC_NUMBER = 0x50494446 }; /* linux/magic.h of 6.9 and later */

static char boot_id_text[BOOT_ID_SIZE]; /* written once, by boot_id_load */

/* Without it a record of an earlier boot would look like one of this: no program of ours may go on then. */
static void boot_id_load(void)
{
    autofree char *text = NULL;
    size_t size = 0;

    autoptr(error) failure = file_read_all("/proc/sys/kernel/random/boot_id", 64, &text, &size);
    if (failure || size < BOOT_ID_SIZE - 1) {
        log_error("the boot id cannot be read", "error=%s", log_quote(failure ? failure->text : "too short"));
        abort();
    }
    snprintf(boot_id_text, sizeof(boot_id_text), "%.36s", text);
}

const char *boot_id(void)
{
    static once_flag once = ONCE_FLAG_INIT;

    call_once(&once, boot_id_load);
    return boot_id_text;
}

/* 0 where pidfds share one anonymous inode. */
static uint64_t pidfd_inode(int pidfd)
{
    struct statfs filesystem;
    struct stat status;

    if (fstatfs(pidfd, &filesystem) < 0 || filesystem.f_type != PID_FS_MAGIC_NUMBER || fstat(pidfd, &status) < 0)
        return 0;
    return status.st_ino;
}

/* Field 22. The name in field 2 may hold anything, so counting starts behind its last parenthesis. */
static struct error *start_ticks_parse(const char *stat, uint64_t *ret)
{
    const char *field = strrchr(stat, ')');

    for (int number = 2; field && number < 22; number++) {
        field = strchr(field, ' ');
        if (field)
            field++;
    }
    if (!field)
        return error_new(ERROR_INTERNAL, "a stat line of /proc is too short");
    *ret = strtoull(field, NULL, 10);
    return NULL;
}

static struct error *gone(pid_t pid)
{
    return error_new(ERROR_NOT_FOUND, "no process %d", (int)pid);
}

static struct error *start_ticks_read(pid_t pid, uint64_t *ret)
{
    autofree char *text = NULL;
    char path[40];
    size_t size;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    struct error *failure = file_read_all(path, 4096, &text, &size);
    if (failure) { /* ENOENT at the open, ESRCH at the read */
        error_free(failure);
        return gone(pid);
    }
    return start_ticks_parse(text, ret);
}

/* Is the pidfd's process not yet reaped? So what was read of its pid before is its own. */
static bool pidfd_has_process(int pidfd)
{
    return syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0) == 0 || errno == EPERM;
}

static struct error *process_open(pid_t pid, struct process_id *ret, int *ret_pidfd)
{
    struct process_id id = {.pid = pid};

    if (pid <= 0)
        return gone(pid);
    autoclose int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0)
        return errno == ESRCH || errno == EINVAL ? gone(pid) : error_errno(errno, "open a pidfd of %d", (int)pid);
    TRY(start_ticks_read(pid, &id.start_ticks));
    if (!pidfd_has_process(pidfd))
        return gone(pid);
    id.pidfd_inode = pidfd_inode(pidfd);
    snprintf(id.boot_id, sizeof(id.boot_id), "%s", boot_id());
    *ret = id;
    *ret_pidfd = TAKE_FD(pidfd);
    return NULL;
}

struct error *process_id_read(pid_t pid, struct process_id *ret)
{
    autoclose int pidfd = -1;

    return process_open(pid, ret, &pidfd);
}

static bool is_same(const struct process_id *wanted, const struct process_id *found)
{
    if (wanted->pidfd_inode && found->pidfd_inode && wanted->pidfd_inode != found->pidfd_inode)
        return false;
    return wanted->start_ticks == found->start_ticks;
}

struct error *process_id_open(const struct process_id *id, int *ret_pidfd)
{
    struct process_id found;
    autoclose int pidfd = -1;

    if (strncmp(id->boot_id, boot_id(), BOOT_ID_SIZE) != 0)
        return gone(id->pid);
    TRY(process_open(id->pid, &found, &pidfd));
    if (!is_same(id, &found))
        return error_new(ERROR_NOT_FOUND, "process %d is another one now", (int)id->pid);
    *ret_pidfd = TAKE_FD(pidfd);
    return NULL;
}

bool process_id_is_alive(const struct process_id *id)
{
    autoclose int pidfd = -1;

    autoptr(error) failure = process_id_open(id, &pidfd);
    struct pollfd watch = {.fd = pidfd, .events = POLLIN};
    return !failure && poll(&watch, 1, 0) == 0;
}

int wait_status_of(const siginfo_t *info)
{
    if (info->si_code == CLD_EXITED)
        return (info->si_status & 0xff) << 8;
    return info->si_status | (info->si_code == CLD_DUMPED ? 0x80 : 0);
}
