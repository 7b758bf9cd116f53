/* How a process of the tree is recognized: by its program and its state directory; a child of a shim by its parent. */
#include "cli/chaos/processes.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/memory.h"

enum { CMDLINE_MAX = 1 << 16, ENVIRON_MAX = 1 << 17, STATUS_MAX = 1 << 14 };

/* What /proc says of one. */
struct candidate {
    pid_t pid, parent;
    bool is_contained; /* in another PID namespace than its parent's */
    char *cmdline;     /* NULs between arguments */
    size_t size;
};

struct candidates {
    struct candidate *all;
    size_t count;
};

static bool status_read(pid_t pid, struct candidate *ret)
{
    char path[48];
    autofree char *text = NULL;
    size_t size = 0;

    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    autoptr(error) gone = file_read_all(path, STATUS_MAX, &text, &size);
    const char *parent = gone ? NULL : strstr(text, "\nPPid:\t");
    const char *pids = parent ? strstr(parent, "\nNSpid:\t") : NULL;
    if (!pids)
        return false;
    ret->pid = pid;
    ret->parent = (pid_t)strtol(parent + 7, NULL, 10);
    pids += 8;
    ret->is_contained = memchr(pids, '\t', strcspn(pids, "\n")) != NULL;
    return true;
}

static bool candidate_read(pid_t pid, struct candidate *ret)
{
    char path[48];

    snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
    *ret = (struct candidate){0};
    autoptr(error) gone = file_read_all(path, CMDLINE_MAX, &ret->cmdline, &ret->size);
    if (!gone && ret->size > 0 && status_read(pid, ret))
        return true;
    free(ret->cmdline); /* a zombie's is empty */
    return false;
}

static void candidates_read(struct candidates *ret)
{
    DIR *proc = opendir("/proc");
    struct candidate candidate;

    *ret = (struct candidates){0};
    for (const struct dirent *entry; proc && (entry = readdir(proc));) {
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9' || !candidate_read(atoi(entry->d_name), &candidate))
            continue;
        ret->all = xreallocarray(ret->all, ret->count + 1, sizeof(*ret->all));
        ret->all[ret->count++] = candidate;
    }
    if (proc)
        closedir(proc);
}

static void candidates_free(struct candidates *candidates)
{
    for (size_t i = 0; i < candidates->count; i++)
        free(candidates->all[i].cmdline);
    free(candidates->all);
}

static const char *program_of(const struct candidate *candidate)
{
    const char *slash = memrchr(candidate->cmdline, '/', strnlen(candidate->cmdline, candidate->size));

    return slash ? slash + 1 : candidate->cmdline;
}

static const char *argument_next(const struct candidate *candidate, const char *argument)
{
    const char *next = argument + strlen(argument) + 1;

    return next < candidate->cmdline + candidate->size ? next : NULL;
}

/* Is a whole argument the text? Returns the argument after it, "" if it is the last, NULL if it is none. */
static const char *argument_find(const struct candidate *candidate, const char *text)
{
    for (const char *at = candidate->cmdline; at; at = argument_next(candidate, at))
        if (!strcmp(at, text))
            return argument_next(candidate, at) ? argument_next(candidate, at) : "";
    return NULL;
}

static const struct candidate *parent_of(const struct candidates *candidates, const struct candidate *child)
{
    for (size_t i = 0; i < candidates->count; i++)
        if (candidates->all[i].pid == child->parent)
            return &candidates->all[i];
    return NULL;
}

static bool is_program(const struct candidate *candidate, const char *name, const char *state)
{
    return !candidate->is_contained && !strcmp(program_of(candidate), name) && argument_find(candidate, state);
}

static void pod_set(const struct candidate *shim, struct process *ret)
{
    for (const char *at = shim->cmdline; at; at = argument_next(shim, at))
        if (strlen(at) == POD_ID_SIZE - 1 && strspn(at, "0123456789abcdef") == POD_ID_SIZE - 1)
            memcpy(ret->pod, at, POD_ID_SIZE);
}

/* The verb of crun or runc stands among its flags. */
static bool oci_set(const struct candidate *candidate, struct process *ret)
{
    static const char *const verbs[] = {"create", "start", "exec", "delete", "kill", "state"};
    const char *program = program_of(candidate);

    if (strcmp(program, "crun") != 0 && strcmp(program, "runc") != 0)
        return false;
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (argument_find(candidate, verbs[i])) {
            ret->target = TARGET_OCI;
            snprintf(ret->detail, sizeof(ret->detail), "%s %s", program, verbs[i]);
            return true;
        }
    return false;
}

static bool cni_set(const struct candidate *candidate, struct process *ret)
{
    static const char key[] = "CNI_COMMAND=";
    char path[48];
    autofree char *text = NULL;
    size_t size = 0;

    snprintf(path, sizeof(path), "/proc/%d/environ", candidate->pid);
    autoptr(error) gone = file_read_all(path, ENVIRON_MAX, &text, &size);
    const char *command = gone ? NULL : memmem(text, size, key, sizeof(key) - 1);
    if (!command)
        return false;
    ret->target = TARGET_CNI;
    snprintf(ret->detail, sizeof(ret->detail), "%.20s %.20s", program_of(candidate), command + sizeof(key) - 1);
    return true;
}

static bool child_set(const struct candidates *candidates, const struct candidate *candidate, const char *state,
                      struct process *ret)
{
    const struct candidate *parent = parent_of(candidates, candidate);

    if (!parent || candidate->is_contained || !is_program(parent, "bulkhead-shim", state))
        return false;
    pod_set(parent, ret);
    return oci_set(candidate, ret) || cni_set(candidate, ret);
}

static bool daemon_set(const struct candidates *candidates, const struct candidate *candidate, const char *state,
                       struct process *ret)
{
    static const char prefix[] = "bulkhead-";
    const char *program = program_of(candidate);
    const struct candidate *parent = parent_of(candidates, candidate);

    if (is_program(candidate, "bulkhead", state) && argument_find(candidate, "run")) {
        ret->target = TARGET_BACKSTOP;
        return true;
    }
    if (strncmp(program, prefix, sizeof(prefix) - 1) != 0 || !is_program(candidate, program, state))
        return false;
    if (parent && is_program(parent, program, state)) /* a task of a shim: a fork, not yet another program */
        return false;
    ret->target = target_of_program(program + sizeof(prefix) - 1);
    if (ret->target == TARGET_SHIM)
        pod_set(candidate, ret);
    return ret->target < TARGET_OCI;
}

static bool match_set(const struct candidate *candidate, const regex_t *match, struct process *ret)
{
    autofree char *line = xmalloc(candidate->size + 1);

    for (size_t i = 0; i < candidate->size; i++)
        line[i] = candidate->cmdline[i] ? candidate->cmdline[i] : ' ';
    line[candidate->size] = '\0';
    if (candidate->pid == getpid() || regexec(match, line, 0, NULL, 0) != 0)
        return false;
    ret->target = TARGET_MATCH;
    snprintf(ret->detail, sizeof(ret->detail), "%.40s", program_of(candidate));
    return true;
}

void processes_read(const char *state, const regex_t *match, struct processes *ret)
{
    struct candidates candidates;

    candidates_read(&candidates);
    *ret = (struct processes){.all = xcalloc(candidates.count + 1, sizeof(*ret->all))};
    for (size_t i = 0; i < candidates.count; i++) {
        const struct candidate *candidate = &candidates.all[i];
        struct process process = {.pid = candidate->pid, .parent = candidate->parent};
        if (match ? match_set(candidate, match, &process)
                  : daemon_set(&candidates, candidate, state, &process) ||
                        child_set(&candidates, candidate, state, &process))
            ret->all[ret->count++] = process;
    }
    candidates_free(&candidates);
}

void processes_free(struct processes *processes)
{
    free(processes->all);
}

size_t processes_count(const struct processes *processes, enum target target)
{
    size_t count = 0;

    for (size_t i = 0; i < processes->count; i++)
        count += processes->all[i].target == target;
    return count;
}

int process_open(const struct process *process)
{
    struct candidate now;
    int pidfd = (int)syscall(SYS_pidfd_open, process->pid, 0);

    if (pidfd < 0)
        return -1;
    bool is_there = candidate_read(process->pid, &now);
    bool is_same = is_there && now.parent == process->parent && (process->target == TARGET_MATCH || !now.is_contained);
    if (is_there)
        free(now.cmdline);
    if (is_same)
        return pidfd;
    close(pidfd);
    return -1;
}
