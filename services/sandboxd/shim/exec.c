/* How execs are kept over a shim's death. */
#include "services/sandboxd/shim/exec.h"

#include <dirent.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/memory.h"
#include "common/record.h"
#include "services/sandboxd/shim/shim.h"

static const char *const suffixes[EXEC_FD_COUNT] = {"xo", "xe", "xof", "xef", "xpid"};

struct error *exec_save(struct shim *shim, const struct exec *exec)
{
    return record_save(shim->execs_fd, exec->name, "exec", EXEC_VERSION, &exec->record, sizeof(exec->record));
}

struct exec *exec_find(const struct shim *shim, const char *name)
{
    struct exec *exec = shim->execs;

    while (exec && strcmp(exec->name, name) != 0)
        exec = exec->next;
    return exec;
}

struct exec *exec_new(struct shim *shim, const char *name)
{
    const struct exec_user *user = strlen(name) == EXEC_SESSION_NAME_LENGTH ? &exec_session_user : &exec_sync_user;
    struct exec *exec = xcalloc(1, user->size);

    exec->user = user;
    snprintf(exec->name, sizeof(exec->name), "%s", name);
    for (int i = 0; i < EXEC_FD_COUNT; i++)
        exec->fds[i] = -1;
    exec->next = shim->execs;
    shim->execs = exec;
    return exec;
}

void exec_keep_fd(struct shim *shim, struct exec *exec, enum exec_fd which, int fd)
{
    exec->fds[which] = fd;
    store_put(shim, exec->name, suffixes[which], fd);
}

void exec_drop_fd(struct shim *shim, struct exec *exec, enum exec_fd which)
{
    if (exec->fds[which] < 0)
        return;
    close(exec->fds[which]);
    exec->fds[which] = -1;
    store_drop(shim, exec->name, suffixes[which]);
}

/* What a predecessor's runtime has left: its log, and what it was given. */
static void remains_remove(struct shim *shim, const struct exec *exec)
{
    autofree char *log = xasprintf("%d.%u.log", exec->record.shim_pid, exec->record.log);

    if (!exec_may_have_run(shim, exec))
        return; /* what it was to be given may be wanted again */
    exec_remove_files(shim, exec->name);
    unlinkat(shim->work_fd, log, 0);
}

void exec_forget(struct shim *shim, struct exec *exec)
{
    struct exec **at = &shim->execs;

    exec->user->closing(shim, exec);
    for (int i = 0; i < EXEC_FD_COUNT; i++)
        exec_drop_fd(shim, exec, (enum exec_fd)i);
    if (exec->is_adopted) {
        store_drop_exit(shim, &exec->record.process);
        remains_remove(shim, exec);
    }
    loop_disarm(&shim->loop, &exec->reaping);
    error_free(record_remove(shim->execs_fd, exec->name));
    while (*at != exec)
        at = &(*at)->next;
    *at = exec->next;
    free(exec);
}

void exec_store_all(struct shim *shim)
{
    for (const struct exec *exec = shim->execs; exec; exec = exec->next)
        for (int i = 0; i < EXEC_FD_COUNT; i++)
            store_put(shim, exec->name, suffixes[i], exec->fds[i]);
}

/* "NAME.SUFFIX" */
void exec_take_fd(struct shim *shim, const char *name, int fd)
{
    autofree char *owner = xstrdup(name);
    char *dot = strrchr(owner, '.');

    *dot = '\0';
    struct exec *exec = exec_find(shim, owner);
    for (int i = 0; exec && i < EXEC_FD_COUNT; i++)
        if (strcmp(dot + 1, suffixes[i]) == 0 && exec->fds[i] < 0) {
            exec->fds[i] = fd;
            return;
        }
    close(fd);
}

static void exec_adopt(struct shim *shim, const char *name)
{
    autofree void *data = NULL;
    size_t size = 0, length = strlen(name);
    uint32_t version;

    autoptr(error) failure = record_load(shim->execs_fd, name, "exec", EXEC_VERSION, &version, &data, &size);
    bool is_whole = size >= offsetof(struct exec_record, is_unknown) && size <= sizeof(struct exec_record);
    if (failure || !is_whole || (length != EXEC_SYNC_NAME_LENGTH && length != EXEC_SESSION_NAME_LENGTH)) {
        log_warn("exec record set aside", "name=%s error=%s", name, log_quote(failure ? failure->text : "its size"));
        return;
    }
    struct exec *exec = exec_new(shim, name);
    memcpy(&exec->record, data, size);
    exec->is_adopted = true;
}

void exec_adopt_all(struct shim *shim)
{
    int fd = openat(shim->execs_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);

    if (!directory)
        return;
    for (const struct dirent *entry; (entry = readdir(directory));)
        if (entry->d_name[0] != '.' && !strchr(entry->d_name, '.'))
            exec_adopt(shim, entry->d_name);
    closedir(directory);
}
