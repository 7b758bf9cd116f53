/* The first process of a pod's shared PID namespace: reaps orphans, and nothing else. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "services/sandboxd/shim/pod.h"

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
