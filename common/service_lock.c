/* Which of two generations that run at once has to end. */
#include "common/service_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"

static const int64_t corpse_ns = 500000000;

/* POSIX locks: they name their holder, and a child that is forked does not hold them. */
static struct flock lock_of(uint64_t first, uint64_t count)
{
    return (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)first, .l_len = (off_t)count};
}

/* Does another process hold a lock among these generations (count 0: all from `first` on)? */
static bool lock_find(int fd, uint64_t first, uint64_t count, struct flock *ret)
{
    *ret = lock_of(first, count);
    return fcntl(fd, F_GETLK, ret) == 0 && ret->l_type != F_UNLCK;
}

static struct error *lock_refused(const char *name, const struct flock *holder)
{
    return error_new(ERROR_ALREADY_EXISTS, "%s: generation %jd runs already, pid %d", name, (intmax_t)holder->l_start,
                     (int)holder->l_pid);
}

/* SIGKILL to the holder, if it still is the holder once we have a handle of it. */
static struct error *holder_kill(int fd, const char *name, const struct flock *holder)
{
    struct flock now;
    autoclose int pidfd = holder->l_pid > 0 ? (int)syscall(SYS_pidfd_open, holder->l_pid, 0) : -1;

    if (!lock_find(fd, (uint64_t)holder->l_start, 1, &now) || now.l_pid != holder->l_pid)
        return NULL;
    if (pidfd < 0 || (syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) < 0 && errno != ESRCH))
        return error_wrap(lock_refused(name, holder), "an older generation cannot be ended");
    log_warn("an older generation still ran and was killed", "daemon=%s generation=%jd pid=%d", name,
             (intmax_t)holder->l_start, (int)holder->l_pid);
    return NULL;
}

static void holder_wait(int fd, const struct flock *holder, int64_t until_ns)
{
    struct flock now;

    while (lock_find(fd, (uint64_t)holder->l_start, 1, &now) && now.l_pid == holder->l_pid &&
           clock_boottime_ns() < until_ns)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

/* The corpses' locks are skipped: the search goes on behind each one that did not go. */
static struct error *older_end(int fd, const char *name, uint64_t generation)
{
    int64_t until_ns = clock_boottime_ns() + corpse_ns;
    struct flock holder, now;

    for (uint64_t first = 0; first < generation && lock_find(fd, first, generation - first, &holder);) {
        TRY(holder_kill(fd, name, &holder));
        holder_wait(fd, &holder, until_ns);
        if (lock_find(fd, (uint64_t)holder.l_start, 1, &now))
            first = (uint64_t)holder.l_start + 1;
    }
    return NULL;
}

struct error *service_lock(const char *state_directory, const char *name, uint64_t generation, int *ret_fd)
{
    autofree char *path = xasprintf("%s/%s.lock", state_directory, name);
    struct flock own = lock_of(generation, 1), holder;

    if (generation >= INT64_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "%s: no generation %" PRIu64, name, generation);
    autoclose int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_errno(errno, "open %s", path);
    if (fcntl(fd, F_SETLK, &own) < 0)
        return lock_find(fd, generation, 1, &holder) ? lock_refused(name, &holder)
                                                     : error_errno(errno, "lock %s", path);
    if (lock_find(fd, generation + 1, 0, &holder)) /* our own is set: of two that start at once, each sees the other */
        return lock_refused(name, &holder);
    TRY(older_end(fd, name, generation));
    *ret_fd = TAKE_FD(fd);
    return NULL;
}
