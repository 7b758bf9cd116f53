/* SHIM_PREPARE_MOUNTS and SHIM_CHECK_PROPAGATION: host paths that containers mount. Children look: a file system may hang. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/fd.h"
#include "common/memory.h"
#include "services/sandboxd/shim/mounts.h"
#include "services/sandboxd/shim/shim.h"
#include "services/sandboxd/shim/task_step.h"

enum { PATH_SIZE = 4096 };

/* A missing one is made as a directory. */
static struct error *source_make(const char *path)
{
    struct stat about;

    if (path[0] != '/')
        return error_new(ERROR_INVALID_ARGUMENT, "mount source %s is no absolute path", path);
    if (stat(path, &about) == 0)
        return NULL;
    if (errno != ENOENT)
        return error_errno(errno, "look at mount source %s", path);
    TRY(directories_make(path, 0755));
    if (stat(path, &about) < 0)
        return error_errno(errno, "mount source %s leads to what is not there", path);
    return NULL;
}

static struct error *sources_make(const struct shim *shim, void *input, struct task_output *output)
{
    size_t count;
    autofree char **paths = step_strings(input, SHIM_TAG_MOUNT_SOURCE, &count);

    (void)shim;
    (void)output;
    for (size_t i = 0; i < count; i++)
        TRY(source_make(paths[i]));
    return NULL;
}

void mount_sources_prepare(struct shim *shim, struct step *step)
{
    task_step_run(shim, step, sources_make, "look at mount sources");
}

/* --- propagation --------------------------------------------------------------------------------------------------- */

/* Which mount is it on? As /proc/PID/mountinfo numbers them (proc_pid_fdinfo(5)). */
static struct error *mount_of(const char *path, int *ret_id)
{
    autoclose int fd = open(path, O_PATH | O_CLOEXEC);
    autofree char *info_path = xasprintf("/proc/self/fdinfo/%d", fd), *info = NULL;
    size_t size;

    if (fd < 0)
        return error_errno(errno, "open mount source %s", path);
    TRY(file_read_all(info_path, PATH_SIZE, &info, &size));
    const char *id = strstr(info, "mnt_id:");
    if (!id || sscanf(id, "mnt_id: %d", ret_id) != 1)
        return error_new(ERROR_INTERNAL, "the kernel does not say on which mount %s is", path);
    return NULL;
}

/* "36 35 98:0 /root /mount rw,noatime master:1 - ext3 /dev/root rw": fields without names up to the hyphen. */
static bool line_is_of(const char *line, int id, char *ret_mount, const char **ret_fields)
{
    int found, end = 0;

    if (sscanf(line, "%d %*d %*s %*s %4095s %*s %n", &found, ret_mount, &end) != 2 || !end || found != id)
        return false;
    *ret_fields = line + end;
    return true;
}

static bool fields_have(const char *fields, const char *name)
{
    const char *end = strstr(fields, "- ");
    const char *at = strstr(fields, name);

    return at && end && at < end;
}

static struct error *mount_check(const char *path, int id, bool must_be_shared, FILE *mounts)
{
    char mount[PATH_SIZE];
    const char *fields = NULL;
    autofree char *line = NULL;
    size_t room = 0;

    while (getline(&line, &room, mounts) > 0) {
        if (!line_is_of(line, id, mount, &fields))
            continue;
        if (fields_have(fields, "shared:") || (!must_be_shared && fields_have(fields, "master:")))
            return NULL;
        return error_new(ERROR_FAILED_PRECONDITION, "mount source %s is on the mount %s, which is %s", path, mount,
                         must_be_shared ? "not shared" : "neither shared nor a slave");
    }
    return error_new(ERROR_INTERNAL, "mount source %s is on no mount", path);
}

static struct error *propagation_check(const char *path, bool must_be_shared)
{
    int id;

    TRY(mount_of(path, &id));
    FILE *mounts = fopen("/proc/self/mountinfo", "re");
    if (!mounts)
        return error_errno(errno, "open mountinfo");
    struct error *failure = mount_check(path, id, must_be_shared, mounts);
    fclose(mounts);
    return failure;
}

static struct error *propagations_check(const struct shim *shim, void *input, struct task_output *output)
{
    size_t shared_count, slave_count;
    autofree char **shared = step_strings(input, SHIM_TAG_SHARED_SOURCE, &shared_count);
    autofree char **slaves = step_strings(input, SHIM_TAG_SLAVE_SOURCE, &slave_count);

    (void)shim;
    (void)output;
    for (size_t i = 0; i < shared_count; i++)
        TRY(propagation_check(shared[i], true));
    for (size_t i = 0; i < slave_count; i++)
        TRY(propagation_check(slaves[i], false));
    return NULL;
}

void mount_propagation_check(struct shim *shim, struct step *step)
{
    task_step_run(shim, step, propagations_check, "propagation");
}
