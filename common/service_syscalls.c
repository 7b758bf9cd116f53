/* The system calls of each group, and the arguments of those that do many things. */
#include "common/service_syscalls.h"

#include <errno.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#ifdef BULKHEAD_FAILPOINTS
#define REFUSED SCMP_ACT_KILL_PROCESS
#else
#define REFUSED SCMP_ACT_ERRNO(EPERM)
#endif

#define PIDFD_INFO_GET 0xff0b /* linux/pidfd.h's PIDFD_GET_INFO, type and number; the size above them grows */
#define IOCTL_TYPE_AND_NUMBER 0xffff

enum { CALLS_MAX = 112 };

struct group {
    unsigned group; /* 0: everybody's */
    int calls[CALLS_MAX]; /* ended by 0 where there are fewer: `read` stands first in the first group alone */
};

#define CALL(name) SCMP_SYS(name)

static const struct group groups[] = {
    {0,
     {CALL(read), CALL(write), CALL(readv), CALL(writev), CALL(pread64), CALL(pwrite64), CALL(preadv), CALL(pwritev), CALL(preadv2),
      CALL(pwritev2), CALL(lseek), CALL(close), CALL(close_range), CALL(dup), CALL(dup2), CALL(dup3), CALL(fcntl), CALL(fstat), CALL(fstatfs),
      CALL(ftruncate), CALL(pipe), CALL(pipe2), CALL(splice), CALL(tee), CALL(memfd_create), CALL(brk), CALL(mmap), CALL(munmap),
      CALL(mremap), CALL(mprotect), CALL(madvise), CALL(mincore), CALL(futex), CALL(set_robust_list), CALL(set_tid_address), CALL(rseq),
      CALL(arch_prctl), CALL(membarrier), CALL(getrandom), CALL(exit), CALL(exit_group), CALL(restart_syscall), CALL(rt_sigaction),
      CALL(rt_sigprocmask), CALL(rt_sigreturn), CALL(rt_sigtimedwait), CALL(rt_sigpending), CALL(sigaltstack), CALL(signalfd4),
      CALL(pause), CALL(poll), CALL(ppoll), CALL(select), CALL(pselect6), CALL(epoll_create), CALL(epoll_create1), CALL(epoll_ctl),
      CALL(epoll_wait), CALL(epoll_pwait), CALL(epoll_pwait2), CALL(eventfd2), CALL(timerfd_create), CALL(timerfd_settime),
      CALL(timerfd_gettime), CALL(nanosleep), CALL(clock_nanosleep), CALL(clock_gettime), CALL(clock_getres), CALL(gettimeofday),
      CALL(time), CALL(times), CALL(getpid), CALL(getppid), CALL(gettid), CALL(getuid), CALL(geteuid), CALL(getgid), CALL(getegid),
      CALL(getresuid), CALL(getresgid), CALL(getgroups), CALL(getcwd), CALL(umask), CALL(uname), CALL(sysinfo), CALL(getrusage),
      CALL(getrlimit), CALL(getcpu), CALL(sched_yield), CALL(sched_getaffinity), CALL(sched_getparam), CALL(sched_getscheduler),
      CALL(sched_get_priority_max), CALL(sched_get_priority_min)}},
    {SYSCALLS_READ,
     {CALL(open), CALL(openat), CALL(openat2), CALL(stat), CALL(lstat), CALL(newfstatat), CALL(statx), CALL(statfs), CALL(access),
      CALL(faccessat), CALL(faccessat2), CALL(readlink), CALL(readlinkat), CALL(getdents64), CALL(chdir), CALL(fchdir), CALL(flock),
      CALL(inotify_init1), CALL(inotify_add_watch), CALL(inotify_rm_watch), CALL(fadvise64), CALL(readahead), CALL(pidfd_open),
      CALL(waitid)}},
    {SYSCALLS_WRITE,
     {CALL(mkdir), CALL(mkdirat), CALL(rmdir), CALL(unlink), CALL(unlinkat), CALL(rename), CALL(renameat), CALL(renameat2), CALL(link),
      CALL(linkat), CALL(symlink), CALL(symlinkat), CALL(chmod), CALL(fchmod), CALL(fchmodat), CALL(utimensat), CALL(truncate),
      CALL(fallocate), CALL(fsync), CALL(fdatasync), CALL(syncfs), CALL(sync_file_range), CALL(copy_file_range), CALL(sendfile)}},
    {SYSCALLS_OWNERS,
     {CALL(chown), CALL(fchown), CALL(lchown), CALL(fchownat), CALL(mknod), CALL(mknodat), CALL(setxattr), CALL(lsetxattr),
      CALL(fsetxattr), CALL(getxattr), CALL(lgetxattr), CALL(fgetxattr), CALL(listxattr), CALL(llistxattr), CALL(flistxattr),
      CALL(removexattr), CALL(lremovexattr), CALL(fremovexattr)}},
    {SYSCALLS_UNIX | SYSCALLS_INTERNET,
     {CALL(socketpair), CALL(bind), CALL(listen), CALL(accept), CALL(accept4), CALL(connect), CALL(shutdown), CALL(sendto),
      CALL(recvfrom), CALL(sendmsg), CALL(recvmsg), CALL(sendmmsg), CALL(recvmmsg), CALL(getsockname), CALL(getpeername), CALL(setsockopt),
      CALL(getsockopt)}},
};

/* libseccomp's errors are negative errnos. A call that this architecture lacks is no failure: it cannot be made either. */
static struct error *rule_result(int result)
{
    return result < 0 && result != -EDOM ? error_errno(-result, "add a system call") : NULL;
}

static struct error *allow(scmp_filter_ctx filter, int call)
{
    return call < 0 ? NULL : rule_result(seccomp_rule_add_exact(filter, SCMP_ACT_ALLOW, call, 0));
}

static struct error *allow_with(scmp_filter_ctx filter, int call, struct scmp_arg_cmp argument)
{
    return rule_result(seccomp_rule_add_exact(filter, SCMP_ACT_ALLOW, call, 1, argument));
}

static struct error *groups_allow(scmp_filter_ctx filter, unsigned wanted)
{
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        if (groups[i].group && !(groups[i].group & wanted))
            continue;
        for (size_t k = 0; k < CALLS_MAX && (k == 0 || groups[i].calls[k]); k++)
            TRY(allow(filter, groups[i].calls[k]));
    }
    return NULL;
}

static struct error *ioctls_allow(scmp_filter_ctx filter)
{
    static const unsigned long requests[] = {FIONREAD, FIONBIO, TCGETS, TIOCGWINSZ, TIOCSWINSZ};

    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
        TRY(allow_with(filter, CALL(ioctl), SCMP_A1(SCMP_CMP_EQ, requests[i])));
    return allow_with(filter, CALL(ioctl), SCMP_A1(SCMP_CMP_MASKED_EQ, IOCTL_TYPE_AND_NUMBER, PIDFD_INFO_GET));
}

static struct error *prctls_allow(scmp_filter_ctx filter)
{
    static const int options[] = {PR_SET_NAME, PR_GET_NAME, PR_SET_VMA};

    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
        TRY(allow_with(filter, CALL(prctl), SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)options[i])));
    return NULL;
}

/* To itself alone: abort() is a signal. No signal to another asks whether it lives. */
static struct error *signals_allow(scmp_filter_ctx filter)
{
    TRY(allow_with(filter, CALL(tgkill), SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid())));
    TRY(allow_with(filter, CALL(kill), SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid())));
    TRY(allow_with(filter, CALL(pidfd_send_signal), SCMP_A1(SCMP_CMP_EQ, 0)));
    return allow_with(filter, CALL(prlimit64), SCMP_A0(SCMP_CMP_EQ, 0));
}

static struct error *sockets_allow(scmp_filter_ctx filter, unsigned wanted)
{
    static const int domains[] = {AF_INET, AF_INET6, AF_NETLINK}; /* by netlink, getaddrinfo(3) asks which addresses there are */

    if (wanted & SYSCALLS_UNIX)
        TRY(allow_with(filter, CALL(socket), SCMP_A0(SCMP_CMP_EQ, AF_UNIX)));
    for (size_t i = 0; wanted & SYSCALLS_INTERNET && i < sizeof(domains) / sizeof(domains[0]); i++)
        TRY(allow_with(filter, CALL(socket), SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)domains[i])));
    return NULL;
}

/* clone3's flags lie in memory, where no filter looks: a libc that hears of no such call uses clone. */
static struct error *threads_allow(scmp_filter_ctx filter)
{
    const scmp_datum_t namespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

    TRY(rule_result(seccomp_rule_add_exact(filter, SCMP_ACT_ERRNO(ENOSYS), CALL(clone3), 0)));
    TRY(allow_with(filter, CALL(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, namespaces | CLONE_THREAD, CLONE_THREAD)));
    return NULL;
}

/* A failpoint is a file to be looked for and renamed, wherever the process may be. */
static struct error *failpoints_allow(scmp_filter_ctx filter)
{
#ifdef BULKHEAD_FAILPOINTS
    TRY(allow(filter, CALL(rename)));
    TRY(allow(filter, CALL(openat)));
#endif
    (void)filter;
    return NULL;
}

static struct error *filter_fill(scmp_filter_ctx filter, unsigned wanted)
{
    TRY(groups_allow(filter, wanted));
    TRY(ioctls_allow(filter));
    TRY(prctls_allow(filter));
    TRY(signals_allow(filter));
    TRY(sockets_allow(filter, wanted));
    if (wanted & SYSCALLS_THREADS)
        TRY(threads_allow(filter));
    return failpoints_allow(filter);
}

struct error *service_syscalls_restrict(unsigned wanted)
{
    scmp_filter_ctx filter = seccomp_init(REFUSED);

    if (!filter)
        return error_new(ERROR_INTERNAL, "no seccomp filter can be made");
    seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree of comparisons, not a list */
    struct error *failure = filter_fill(filter, wanted);
    int result = failure ? 0 : seccomp_load(filter);
    seccomp_release(filter);
    if (result < 0)
        return error_errno(-result, "load the seccomp filter");
    return failure;
}
