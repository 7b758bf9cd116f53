/* Which process an exec's pid file means, when the shim that would have been its parent is dead. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/memory.h"
#include "services/sandboxd/shim/container.h"
#include "services/sandboxd/shim/shim.h"

enum { NS_PER_S = 1000000000, SLACK_TICKS = 2 };

static uint64_t ticks_of(int64_t boottime_ns)
{
    long hz = sysconf(_SC_CLK_TCK);
    uint64_t ticks = (uint64_t)(boottime_ns / (NS_PER_S / hz));

    return ticks > SLACK_TICKS ? ticks - SLACK_TICKS : 0;
}

/* PID.START among the exit records of keeper and backstop, begun at or after since_ticks. */
static bool find_exited(const struct shim *shim, pid_t pid, uint64_t since_ticks, struct process_id *ret)
{
    autofree char *path = xasprintf("%s/keeper/exits", shim->state);
    DIR *directory = opendir(path);
    bool is_found = false;

    for (const struct dirent *entry; directory && !is_found && (entry = readdir(directory));) {
        char *end;
        long number = strtol(entry->d_name, &end, 10);
        if (number != pid || *end != '.')
            continue;
        uint64_t start_ticks = strtoull(end + 1, NULL, 10);
        is_found = start_ticks >= since_ticks;
        if (is_found)
            *ret = (struct process_id){.pid = pid, .start_ticks = start_ticks};
    }
    if (directory)
        closedir(directory);
    if (is_found)
        snprintf(ret->boot_id, sizeof(ret->boot_id), "%s", boot_id());
    return is_found;
}

struct error *exec_process_find(const struct shim *shim, pid_t pid, int64_t begun_ns, struct process_id *ret)
{
    uint64_t since_ticks = ticks_of(begun_ns);
    struct process_id now;

    if (pid <= 0)
        return error_new(ERROR_INTERNAL, "the pid file holds no pid");
    autoptr(error) gone = process_id_read(pid, &now);
    if (!gone &&
        now.start_ticks >= since_ticks) { /* a pid used again would be younger still: its record is looked for first */
        if (!find_exited(shim, pid, since_ticks, ret))
            *ret = now;
        return NULL;
    }
    if (find_exited(shim, pid, since_ticks, ret))
        return NULL;
    return error_new(ERROR_NOT_FOUND, "process %d of the pid file has gone without a record", pid);
}
