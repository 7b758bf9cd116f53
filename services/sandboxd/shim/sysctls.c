/* How a pod's kernel parameters are set: SHIM_SYSCTLS, and the writing of one. */
#include "services/sandboxd/shim/sysctls.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/memory.h"
#include "services/sandboxd/shim/shim.h"
#include "services/sandboxd/shim/task_step.h"

static char *setting_name(const char *setting)
{
    return xstrndup(setting, strcspn(setting, "="));
}

enum sysctl_namespace sysctl_setting_namespace(const char *setting)
{
    autofree char *name = setting_name(setting);

    return sysctl_namespace_of(name);
}

bool sysctl_is_allowed(const char *setting, const struct pod_record *pod)
{
    if (!strchr(setting, '='))
        return false;
    switch (sysctl_setting_namespace(setting)) {
    case SYSCTL_OF_NET:
        return pod->netns_mode == SHIM_NAMESPACE_OWN;
    case SYSCTL_OF_IPC:
        return pod->ipc_mode == SHIM_NAMESPACE_OWN;
    case SYSCTL_OF_UTS:
        return pod->has_hostname;
    default:
        return false;
    }
}

struct error *sysctl_set(const char *setting)
{
    autofree char *name = setting_name(setting), *path = sysctl_path(name);
    const char *value = setting + strlen(name) + 1;
    autoclose int fd = path ? open(path, O_WRONLY | O_CLOEXEC) : -1;

    if (fd < 0)
        return error_errno(path ? errno : EINVAL, "sysctl %s", name);
    if (write(fd, value, strlen(value)) < 0) {
        int reason = errno;
        struct error *failure = error_errno(reason, "set sysctl %s", setting);
        if (reason == EINVAL || reason == ERANGE)
            failure->code = ERROR_INVALID_ARGUMENT;
        return failure;
    }
    return NULL;
}

/* Those of ipc and uts were set where those namespaces were made. */
static struct error *net_set(const struct shim *shim, void *input, struct task_output *output)
{
    size_t count;
    autofree char *path = shim_path(shim, "netns");
    autofree char **settings = step_strings(input, SHIM_TAG_SYSCTL, &count);
    autoclose int netns = open(path, O_RDONLY | O_CLOEXEC);

    (void)output;
    if (netns < 0 || setns(netns, CLONE_NEWNET) < 0)
        return error_errno(errno, "enter the pod's network namespace");
    for (char *const *setting = settings; *setting; setting++)
        if (sysctl_setting_namespace(*setting) == SYSCTL_OF_NET)
            TRY(sysctl_set(*setting));
    return NULL;
}

void sysctls_set(struct shim *shim, struct step *step)
{
    size_t count;
    autofree char **settings = step_strings(step, SHIM_TAG_SYSCTL, &count);
    struct error *failure = NULL;

    for (size_t i = 0; i < count && !failure; i++)
        if (!sysctl_is_allowed(settings[i], &shim->pod.record))
            failure = error_new(ERROR_INVALID_ARGUMENT, "sysctl %s is of no namespace of the pod's own", settings[i]);
    if (failure)
        step_finish(shim, step, failure);
    else
        task_step_run(shim, step, net_set, "set sysctls");
}
