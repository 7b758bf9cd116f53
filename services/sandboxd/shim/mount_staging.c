/* SHIM_STAGE_MOUNTS: sources that are idmapped before the OCI runtime binds them, because Debian's runtimes cannot do it. They stay
 * no longer than that takes: a file system that is mounted cannot be given back. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/failpoint.h"
#include "common/fd.h"
#include "common/memory.h"
#include "services/sandboxd/shim/idmap.h"
#include "services/sandboxd/shim/mounts.h"
#include "services/sandboxd/shim/shim.h"
#include "services/sandboxd/shim/task_step.h"

static struct error *directory_of(const struct shim *shim, const struct step *step, char **ret)
{
    const char *id;

    TRY(step_container_name(step, &id));
    *ret = shim_path(shim, "mounts/%s", id);
    return NULL;
}

/* What a file is mounted on is a file. */
static struct error *place_make(const char *source, const char *place)
{
    struct stat about;

    if (stat(source, &about) < 0)
        return error_errno(errno, "look at mount source %s", source);
    if (S_ISDIR(about.st_mode))
        return mkdir(place, 0755) < 0 && errno != EEXIST ? error_errno(errno, "make %s", place) : NULL;
    autoclose int fd = open(place, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
    return fd < 0 ? error_errno(errno, "make %s", place) : NULL;
}

static struct error *source_stage(const char *source, int user_fd, const char *place)
{
    if (path_is_mount(place))
        return NULL;
    TRY(place_make(source, place));
    return idmap_mount(source, true, user_fd, place);
}

static struct error *sources_stage(const struct shim *shim, void *input, struct task_output *output)
{
    size_t count;
    autofree char **sources = step_strings(input, SHIM_TAG_MOUNT_SOURCE, &count);
    autofree char *directory = NULL, *netns = shim_path(shim, "netns");
    autoclose int user_fd = -1;

    TRY(directory_of(shim, input, &directory));
    TRY(directories_make(directory, 0755));
    TRY(user_namespace_of(netns, &user_fd));
    for (size_t i = 0; i < count; i++) {
        autofree char *place = xasprintf("%s/%zu", directory, i);
        TRY(source_stage(sources[i], user_fd, place));
        FAILPOINT("shim.stage.after_mount");
    }
    wire_put_string(&output->fields, SHIM_TAG_PATH, directory);
    return NULL;
}

void mounts_stage(struct shim *shim, struct step *step)
{
    if (user_map_is_set(&shim->pod.record.user))
        task_step_run(shim, step, sources_stage, "mounts with mapped owners");
    else
        step_finish(shim, step, error_new(ERROR_FAILED_PRECONDITION, "the pod has no user namespace"));
}

static struct error *sources_unstage(const struct shim *shim, void *input, struct task_output *output)
{
    autofree char *directory = NULL;

    (void)output;
    TRY(directory_of(shim, input, &directory));
    return mount_places_remove(directory);
}

void mounts_unstage(struct shim *shim, struct step *step)
{
    task_step_run(shim, step, sources_unstage, "mounts with mapped owners");
}
