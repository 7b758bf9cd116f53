/* Which system calls a confined process may make. */
#pragma once

#include "common/error.h"

/* Groups of system calls, beside what every program needs: memory, time, waiting, descriptors that it has. */
enum service_syscalls {
    SYSCALLS_THREADS = 1,      /* start threads, in no namespaces of their own */
    SYSCALLS_READ = 1 << 1,    /* open and look at files, watch processes */
    SYSCALLS_WRITE = 1 << 2,   /* make, change and remove files */
    SYSCALLS_OWNERS = 1 << 3,  /* give files owners, attributes, device numbers */
    SYSCALLS_UNIX = 1 << 4,    /* sockets of this machine */
    SYSCALLS_INTERNET = 1 << 5 /* sockets of the network */
};

/* Refuses all others, to this thread and those that it starts, for ever: EPERM, so that a library may have its fallback; in a
 * build for tests the process dies of SIGSYS, so that nobody overlooks it. Needs no_new_privs. groups: of enum service_syscalls. */
struct error *service_syscalls_restrict(unsigned groups) __attribute__((warn_unused_result));
