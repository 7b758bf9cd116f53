/* Which ends are a process's own fault. */
#include "services/supervisor/death.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

enum death_reason death_reason_of(bool is_known, int wait_status)
{
    if (!is_known)
        return DEATH_UNKNOWN;
    if (WIFEXITED(wait_status))
        return DEATH_EXIT;
    int signal = WTERMSIG(wait_status);
    return signal == SIGKILL || signal == SIGTERM ? DEATH_KILLED : DEATH_FAULT;
}

const char *death_describe(enum death_reason reason, int wait_status, char *text, size_t size)
{
    static const char *const names[] = {[DEATH_NONE] = "", [DEATH_KILLED] = "killed", [DEATH_FAULT] = "fault",
                                        [DEATH_HANG] = "hang", [DEATH_EXIT] = "exit", [DEATH_UNKNOWN] = "unknown"};
    const char *name = (unsigned)reason < sizeof(names) / sizeof(names[0]) ? names[reason] : "unknown";

    if (reason == DEATH_EXIT)
        snprintf(text, size, "exit %d", WEXITSTATUS(wait_status));
    else if (reason == DEATH_FAULT && WIFSIGNALED(wait_status))
        snprintf(text, size, "fault (SIG%s)", sigabbrev_np(WTERMSIG(wait_status)));
    else
        snprintf(text, size, "%s", name);
    return text;
}
