/* A process that reaps orphans, and does nothing else. */
#include "services/sandboxd/shim/first_process.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

_Noreturn void first_process_become(const char *role)
{
    char *argv[] = {"bulkhead-shim", (char *)role, NULL};
    char *environment[] = {NULL};

    setsid();
    int null = open("/dev/null", O_RDWR);
    for (int i = 0; i < 3; i++)
        dup2(null, i);
    close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    execve("/proc/self/exe", argv, environment);
    _exit(1);
}

int first_process_main(void)
{
    sigset_t all;
    int number;

    close_range(3, ~0U, 0);
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL); /* a namespace's first process ends by SIGKILL from outside alone */
    for (;;) {
        while (waitpid(-1, NULL, WNOHANG) > 0)
            continue;
        sigwait(&all, &number);
    }
}
