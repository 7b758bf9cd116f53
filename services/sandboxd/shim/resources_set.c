/* SHIM_SET_RESOURCES: how a file of a container's cgroup is written, and what a kernel's refusal means. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/failpoint.h"
#include "common/fd.h"
#include "common/memory.h"
#include "services/sandboxd/shim/container.h"
#include "services/sandboxd/shim/shim.h"
#include "services/sandboxd/shim/task_step.h"

enum { NAME_SIZE = 128 };

/* "FIELD CONTROLLER FILE VALUE", the value up to the end. */
struct setting {
    char field[NAME_SIZE];
    char controller[NAME_SIZE];
    char file[NAME_SIZE];
    const char *value;
};

static bool is_name(const char *text)
{
    return text[0] != '.' && text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] == '\0';
}

static struct error *setting_parse(const char *text, struct setting *ret)
{
    int length = 0;

    if (sscanf(text, "%127s %127s %127s %n", ret->field, ret->controller, ret->file, &length) != 3 || length == 0 ||
        !is_name(ret->controller) || !is_name(ret->file) || strncmp(ret->file, "cgroup.", 7) == 0)
        return error_new(ERROR_INVALID_ARGUMENT, "\"%s\" is no setting", text);
    ret->value = text + length;
    return NULL;
}

/* The container's directory in the setting's hierarchy. */
static char *directory_of(const struct shim *shim, const struct container *container, const struct setting *setting)
{
    const char *first = shim->cgroups.hierarchies[0];
    int top = (int)(strrchr(first, '/') - first);

    if (shim->cgroups.is_unified)
        return xasprintf("%s%s", shim->cgroups.tracking, container->record.cgroup);
    return xasprintf("%.*s/%s%s", top, first, setting->controller, container->record.cgroup);
}

/* The value is what the kernel does not take, or not now. */
static bool is_refusal(int reason)
{
    return reason == EINVAL || reason == ERANGE || reason == EBUSY || reason == ENOSPC || reason == EOPNOTSUPP ||
           reason == EPERM || reason == EACCES || reason == E2BIG || reason == ENODEV;
}

static struct error *write_error(const struct setting *setting, int reason)
{
    struct error *failure =
        error_errno(reason, "%s: write \"%s\" to %s", setting->field, setting->value, setting->file);

    if (is_refusal(reason))
        failure->code = ERROR_INVALID_ARGUMENT;
    return failure;
}

static struct error *open_error(const char *directory, const struct setting *setting, int reason)
{
    if (reason != ENOENT)
        return error_errno(reason, "%s: open %s", setting->field, setting->file);
    if (access(directory, F_OK) < 0)
        return error_new(ERROR_NOT_FOUND, "the container's cgroup is gone");
    return error_new(ERROR_FAILED_PRECONDITION, "%s: the cgroups of this host have no %s", setting->field, setting->file);
}

static struct error *setting_write(const struct shim *shim, const struct container *container, const char *text)
{
    struct setting setting;

    TRY(setting_parse(text, &setting));
    autofree char *directory = directory_of(shim, container, &setting);
    autofree char *path = xasprintf("%s/%s", directory, setting.file);
    autoclose int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return open_error(directory, &setting, errno);
    size_t size = strlen(setting.value);
    if (write(fd, setting.value, size) < 0 || (size == 0 && write(fd, "\n", 1) < 0)) /* an empty list is a line, too */
        return write_error(&setting, errno);
    return NULL;
}

/* --- oom_score_adj: of each process ------------------------------------------------------------------------------- */

struct adjustment {
    int from;
    int to;
    int failure; /* errno of the first that could not be set */
};

static void process_adjust(void *argument, pid_t pid)
{
    struct adjustment *adjustment = argument;
    char path[64], text[16];

    snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", pid);
    autoclose int fd = open(path, O_RDWR | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (size <= 0)
        return; /* it has ended */
    text[size] = '\0';
    if (atoi(text) != adjustment->from) /* it has chosen for itself */
        return;
    int length = snprintf(text, sizeof(text), "%d", adjustment->to);
    if (pwrite(fd, text, (size_t)length, 0) < 0 && errno != ESRCH && !adjustment->failure)
        adjustment->failure = errno;
}

static struct error *processes_adjust(const struct shim *shim, const struct container *container, const char *text)
{
    struct adjustment adjustment = {0};

    if (sscanf(text, "%d %d", &adjustment.from, &adjustment.to) != 2)
        return error_new(ERROR_INVALID_ARGUMENT, "oom_score_adj: \"%s\" is not OLD NEW", text);
    cgroup_each_process(&shim->cgroups, container->record.cgroup, process_adjust, &adjustment);
    if (!adjustment.failure)
        return NULL;
    struct error *failure = error_errno(adjustment.failure, "oom_score_adj: write \"%d\"", adjustment.to);
    if (is_refusal(adjustment.failure))
        failure->code = ERROR_INVALID_ARGUMENT;
    return failure;
}

/* --- the step ------------------------------------------------------------------------------------------------------ */

/* A task's: lowering a limit of memory waits for the kernel to reclaim what is above it. */
static struct error *settings_write(const struct shim *shim, void *input, struct task_output *output)
{
    const struct step *step = input;
    const char *id, *adjustment = step_string(step, SHIM_TAG_OOM_SCORE_ADJ);
    bool goes_on = step_u64(step, SHIM_TAG_FLAGS, 0) & SHIM_SET_ALL;
    struct error *first = NULL;
    size_t count;

    (void)output;
    TRY(step_container_name(step, &id));
    const struct container *container = container_find(shim, id);
    if (!container || container->record.state == SHIM_CONTAINER_CREATING)
        return error_new(ERROR_NOT_FOUND, "no container %s", id);
    autofree char **settings = step_strings(step, SHIM_TAG_SETTING, &count);
    for (size_t i = 0; i < count && (!first || goes_on); i++) {
        struct error *failure = setting_write(shim, container, settings[i]);
        if (!first)
            first = failure;
        else
            error_free(failure);
        FAILPOINT("shim.resources.after_setting");
    }
    if (adjustment && (!first || goes_on)) {
        struct error *failure = processes_adjust(shim, container, adjustment);
        if (!first)
            first = failure;
        else
            error_free(failure);
    }
    return first;
}

void resources_set(struct shim *shim, struct step *step)
{
    FAILPOINT("shim.resources.before");
    task_step_run(shim, step, settings_write, "resources");
}
