/* Where a generation's cgroup is in each hierarchy, on v1 and v2. */
#include "services/supervisor/keeper/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/fd.h"
#include "common/log.h"
#include "common/memory.h"
#include "services/supervisor/keeper/programs.h"

enum { PROCS_MAX_BYTES = 1 << 20 };

/* v2 at the usual place, or else v1's hierarchy by which systemd counts tasks, and the one by which it finds them. */
static const char *hierarchy_path(int hierarchy)
{
    if (access("/sys/fs/cgroup/cgroup.procs", F_OK) == 0)
        return hierarchy == 0 ? "/sys/fs/cgroup" : NULL;
    const char *path = hierarchy == 0 ? "/sys/fs/cgroup/pids" : "/sys/fs/cgroup/systemd";
    autofree char *procs = xasprintf("%s/cgroup.procs", path);
    return access(procs, F_OK) == 0 ? path : NULL;
}

/* FNV-1a of the state directory, so that two trees on a machine never meet. */
static uint32_t state_hash(const char *state)
{
    uint32_t hash = 2166136261u;

    for (; *state; state++)
        hash = (hash ^ (unsigned char)*state) * 16777619u;
    return hash;
}

static char *tree_path(const struct keeper *keeper, int hierarchy)
{
    const char *path = hierarchy_path(hierarchy);

    return path ? xasprintf("%s/bulkhead-%08x", path, state_hash(keeper->options->state)) : NULL;
}

static char *generation_path(const struct keeper *keeper, int hierarchy, enum keeper_program program, uint64_t serial)
{
    autofree char *tree = tree_path(keeper, hierarchy);

    return tree ? xasprintf("%s/%s.%llu", tree, program_get(program)->name, (unsigned long long)serial) : NULL;
}

static int cgroup_make_one(const struct keeper *keeper, int hierarchy, enum keeper_program program, uint64_t serial)
{
    autofree char *tree = tree_path(keeper, hierarchy);
    autofree char *path = generation_path(keeper, hierarchy, program, serial);

    if (!path)
        return -1;
    mkdir(tree, 0755);
    if (mkdir(path, 0755) < 0 && errno != EEXIST) {
        log_warn("no cgroup for a process", "path=%s errno=%d", path, errno);
        return -1;
    }
    autofree char *procs = xasprintf("%s/cgroup.procs", path);
    return open(procs, O_WRONLY | O_CLOEXEC);
}

void cgroup_make(const struct keeper *keeper, enum keeper_program program, uint64_t serial,
                 int ret_procs[CGROUP_HIERARCHIES])
{
    for (int i = 0; i < CGROUP_HIERARCHIES; i++)
        ret_procs[i] = cgroup_make_one(keeper, i, program, serial);
}

/* Calls kill for each process of path; returns how many there are, and the last one. */
static int procs_signal(const char *path, int signal, pid_t *ret_last)
{
    autofree char *procs = xasprintf("%s/cgroup.procs", path);
    autofree char *text = NULL;
    size_t size = 0;
    int count = 0;
    autoptr(error) failure = file_read_all(procs, PROCS_MAX_BYTES, &text, &size);

    for (char *line = failure ? NULL : text; line && *line; line = strchr(line, '\n') + 1) {
        pid_t pid = (pid_t)strtol(line, NULL, 10);
        if (pid > 1) {
            kill(pid, signal);
            *ret_last = pid;
            count++;
        }
        if (!strchr(line, '\n'))
            break;
    }
    return count;
}

pid_t cgroup_only_process(const struct keeper *keeper, enum keeper_program program, uint64_t serial)
{
    autofree char *path = generation_path(keeper, 0, program, serial);
    pid_t pid = 0;

    return path && procs_signal(path, 0, &pid) == 1 ? pid : 0;
}

void cgroup_kill(const struct keeper *keeper, enum keeper_program program, uint64_t serial)
{
    autofree char *path = generation_path(keeper, 0, program, serial);
    pid_t pid = 0;

    if (path)
        procs_signal(path, SIGKILL, &pid);
}

bool cgroup_remove(const struct keeper *keeper, enum keeper_program program, uint64_t serial)
{
    bool is_gone = true;

    for (int i = 0; i < CGROUP_HIERARCHIES; i++) {
        autofree char *path = generation_path(keeper, i, program, serial);
        if (path && rmdir(path) < 0 && errno != ENOENT)
            is_gone = false;
    }
    return is_gone;
}

static bool serial_has_child(const struct keeper *keeper, int program, uint64_t serial)
{
    for (const struct child *child = keeper->children; child; child = child->next)
        if ((int)child->program == program && child->serial == serial)
            return true;
    return false;
}

/* The program and serial that a directory "NAME.SERIAL" stands for; -1 for anything else. */
static int generation_parse(const char *text, uint64_t *ret_serial)
{
    const char *dot = strrchr(text, '.');

    for (int i = 0; dot && i < KEEPER_PROGRAM_COUNT; i++) {
        const char *name = program_get((enum keeper_program)i)->name;
        if (strlen(name) == (size_t)(dot - text) && strncmp(name, text, strlen(name)) == 0) {
            *ret_serial = strtoull(dot + 1, NULL, 10);
            return i;
        }
    }
    return -1;
}

static bool sweep_one(const struct keeper *keeper, const char *name)
{
    uint64_t serial = 0;
    int program = generation_parse(name, &serial);

    if (program < 0 || serial_has_child(keeper, program, serial))
        return true;
    if (!program_get((enum keeper_program)program)->outlives_keeper)
        cgroup_kill(keeper, (enum keeper_program)program, serial);
    return cgroup_remove(keeper, (enum keeper_program)program, serial);
}

bool cgroup_sweep(const struct keeper *keeper)
{
    bool is_clean = true;

    for (int i = 0; i < CGROUP_HIERARCHIES; i++) {
        autofree char *tree = tree_path(keeper, i);
        DIR *directory = tree ? opendir(tree) : NULL;
        if (!directory)
            continue;
        for (struct dirent *entry; (entry = readdir(directory));)
            if (entry->d_type == DT_DIR && entry->d_name[0] != '.' && !sweep_one(keeper, entry->d_name))
                is_clean = false;
        closedir(directory);
        rmdir(tree); /* stays while a generation is in it */
    }
    return is_clean;
}
