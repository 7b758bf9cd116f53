/* How an end is recorded before its last holder, the zombie, is given up. */
#include "services/supervisor/keeper/exits.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/record.h"

enum { NAME_SIZE = 48, NS_PER_S = 1000000000 };

static void exit_name(const struct process_id *process, char name[NAME_SIZE])
{
    snprintf(name, NAME_SIZE, "%d.%llu", process->pid, (unsigned long long)process->start_ticks);
}

static void exit_save(int exits_dir, const struct ended_process *ended)
{
    struct keeper_exit_record record = {
        .process = ended->process, .wait_status = ended->wait_status, .time_ns = ended->time_ns};
    char name[NAME_SIZE];

    exit_name(&ended->process, name);
    autoptr(error) failure = record_save(exits_dir, name, "exit", 1, &record, sizeof(record));
    if (failure)
        log_error("an exit could not be recorded", "pid=%d status=%d error=%s", ended->process.pid,
                  ended->wait_status, log_quote(failure->text));
}

bool exit_next(int exits_dir, struct ended_process *ret)
{
    siginfo_t info = {0};

    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
        return false;
    *ret = (struct ended_process){.wait_status = wait_status_of(&info), .time_ns = clock_realtime_ns()};
    autoptr(error) unread = process_id_read(info.si_pid, &ret->process);
    if (unread) {
        log_error("a zombie's start time cannot be read", "pid=%d error=%s", info.si_pid, log_quote(unread->text));
        ret->process.pid = info.si_pid;
        return true;
    }
    exit_save(exits_dir, ret);
    return true;
}

void exit_reap(const struct ended_process *ended)
{
    siginfo_t info;

    while (waitid(P_PID, (id_t)ended->process.pid, &info, WEXITED | WNOHANG) < 0 && errno == EINTR)
        ;
}

struct error *exit_load(int exits_dir, const struct process_id *process, struct keeper_exit_record *ret)
{
    char name[NAME_SIZE];
    autofree void *data = NULL;
    size_t size = 0;
    uint32_t version = 0;

    exit_name(process, name);
    TRY(record_load(exits_dir, name, "exit", 1, &version, &data, &size));
    if (size != sizeof(*ret))
        return error_new(ERROR_DATA_LOSS, "exit record %s has a wrong size", name);
    const struct keeper_exit_record *record = data;
    if (strncmp(record->process.boot_id, process->boot_id, sizeof(process->boot_id)) != 0)
        return error_new(ERROR_NOT_FOUND, "exit record %s is of another boot", name); /* pid and start can be the same */
    *ret = *record;
    return NULL;
}

void exit_drop(int exits_dir, const struct process_id *process)
{
    char name[NAME_SIZE];

    exit_name(process, name);
    error_free(record_remove(exits_dir, name));
}

/* A record's age must not follow wall time: the first sweep sets its mtime to BOOTTIME, later ones compare. */
static void exit_age(int exits_dir, const char *name, int64_t now_ns, int64_t max_age_ns)
{
    struct stat status;

    if (fstatat(exits_dir, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return;
    int64_t seen_ns = (int64_t)status.st_mtim.tv_sec * NS_PER_S;
    if (seen_ns > now_ns) {
        struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = now_ns / NS_PER_S}};
        utimensat(exits_dir, name, times, AT_SYMLINK_NOFOLLOW);
    } else if (now_ns - seen_ns > max_age_ns) {
        unlinkat(exits_dir, name, 0);
    }
}

void exits_sweep(int exits_dir, int64_t max_age_ns)
{
    int fd = openat(exits_dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    int64_t now_ns = clock_boottime_ns();

    if (!directory) {
        if (fd >= 0)
            close(fd);
        return;
    }
    for (struct dirent *entry; (entry = readdir(directory));)
        if (entry->d_name[0] != '.')
            exit_age(exits_dir, entry->d_name, now_ns, max_age_ns);
    closedir(directory);
}
