/* How an exec's status is had: from its own zombie, or, where its shim has died, from whoever reaped it. */
#include <stdlib.h>
#include <sys/wait.h>

#include "common/failpoint.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/memory.h"
#include "services/sandboxd/shim/container.h"
#include "services/sandboxd/shim/exec.h"
#include "services/sandboxd/shim/shim.h"

enum { REAP_POLL_MS = 3 };

static void exec_ended(struct shim *shim, struct exec *exec)
{
    loop_disarm(&shim->loop, &exec->reaping);
    exec->user->ended(shim, exec);
}

/* On record before it is reaped, as nobody else can tell it then (before Linux 6.15). */
static void exec_reap(struct shim *shim, struct exec *exec)
{
    siginfo_t info = {0};
    pid_t pid = exec->record.process.pid;

    if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid != pid)
        return;
    exec->record.status = wait_status_of(&info);
    exec->record.is_ended = 1;
    error_free(exec_save(shim, exec));
    waitpid(pid, NULL, 0);
    FAILPOINT("shim.exec.after_reap");
    exec_ended(shim, exec);
}

bool exec_is_own_child(struct shim *shim, pid_t pid)
{
    for (struct exec *exec = shim->execs; exec; exec = exec->next)
        if (exec->record.process.pid == pid && exec->record.state == EXEC_RUNS && !exec->is_adopted &&
            !exec->record.is_ended) {
            exec_reap(shim, exec);
            return true;
        }
    return false;
}

static void exec_await_reaping(struct shim *shim, void *owner)
{
    struct exec *exec = owner;
    struct exec_record *record = &exec->record;
    autoclose int pidfd = -1;
    int64_t time_ns;

    autoptr(error) failure = process_id_open(&record->process, &pidfd);
    if (!failure || failure->code != ERROR_NOT_FOUND) {
        loop_arm(&shim->loop, &exec->reaping, REAP_POLL_MS);
        return;
    }
    record->status = 255 << 8;
    record->is_unknown = !exit_status_find(shim, &record->process, exec->fds[EXEC_PIDFD], &record->status, &time_ns);
    if (record->is_unknown)
        log_warn("an exec's status is lost", "container=%s pid=%d", record->container, record->process.pid);
    record->is_ended = 1;
    exec_ended(shim, exec);
}

static void exec_resume(struct shim *shim, struct exec *exec)
{
    exec->user->resumed(shim, exec);
    if (exec->record.state != EXEC_RUNS)
        return;
    if (exec->record.is_ended) {
        exec_ended(shim, exec);
        return;
    }
    exec->reaping = (struct timer){.fire = exec_await_reaping, .owner = exec};
    loop_arm(&shim->loop, &exec->reaping, 0);
}

void exec_resume_all(struct shim *shim)
{
    for (struct exec *exec = shim->execs, *next; exec; exec = next) {
        next = exec->next;
        exec_resume(shim, exec);
    }
}

/* The runtime has ended without its shim: its pid file says whether the command was begun, and by which process. */
static struct error *exec_find_process(struct shim *shim, struct exec *exec)
{
    autofree char *path = shim_path(shim, "tmp/%s.xpid", exec->name);
    autofree char *text = NULL;
    size_t size;
    int pidfd = -1;

    TRY(file_read_all(path, 64, &text, &size));
    TRY(exec_process_find(shim, (pid_t)strtol(text, NULL, 10), exec->record.begun_ns, &exec->record.process));
    error_free(process_id_open(&exec->record.process, &pidfd)); /* it may have been reaped: then there is a record */
    if (pidfd >= 0)
        exec_keep_fd(shim, exec, EXEC_PIDFD, pidfd);
    exec->record.state = EXEC_RUNS;
    return exec_save(shim, exec);
}

void execs_settle(struct shim *shim)
{
    for (struct exec *exec = shim->execs, *next; exec; exec = next) {
        next = exec->next;
        if (exec->record.state != EXEC_BEGUN || !exec->is_adopted)
            continue;
        if (!cgroup_is_empty(&shim->cgroups, exec->record.step_cgroup))
            continue;
        autoptr(error) failure = exec_find_process(shim, exec);
        if (failure)
            continue;
        exec_remove_files(shim, exec->name);
        exec_resume(shim, exec);
    }
}
