/* How a process tree without a cgroup of its own is killed: children lists, and the session, which orphans keep. */
#include "services/sandboxd/shim/process_tree.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/fd.h"
#include "common/memory.h"

enum { DEPTH_MAX = 64, CHILDREN_SIZE_MAX = 1 << 20 };

/* Two passes: stopped from the top, so that nothing forks; then killed from the bottom, as a dead parent has no children. */
static void tree_signal(pid_t pid, int depth, int number)
{
    autofree char *path = xasprintf("/proc/%d/task/%d/children", pid, pid);
    autofree char *text = NULL;
    size_t size;

    if (number == SIGSTOP)
        kill(pid, number);
    autoptr(error) failure = depth < DEPTH_MAX ? file_read_all(path, CHILDREN_SIZE_MAX, &text, &size) : NULL;
    for (char *at = failure ? NULL : text; at && *at;) {
        char *end;
        long child = strtol(at, &end, 10);
        if (end == at)
            break;
        tree_signal((pid_t)child, depth + 1, number);
        at = end;
    }
    if (number != SIGSTOP)
        kill(pid, number);
}

struct session {
    pid_t leader;
};

static void kill_if_of_session(void *argument, pid_t pid)
{
    const struct session *session = argument;

    if (pid != session->leader && getsid(pid) == session->leader)
        kill(pid, SIGKILL);
}

void process_tree_kill(const struct cgroups *cgroups, const char *cgroup, pid_t pid)
{
    struct session session = {.leader = pid};

    tree_signal(pid, 0, SIGSTOP);
    tree_signal(pid, 0, SIGKILL);
    if (cgroup)
        cgroup_each_process(cgroups, cgroup, kill_if_of_session, &session);
}
