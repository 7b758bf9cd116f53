/* How the default runtime is chosen. */
#include "services/sandboxd/runtime.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/fd.h"

static const struct config_runtime *runtime_named(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->runtime_count; i++)
        if (!strcmp(config->runtimes[i].name, name))
            return &config->runtimes[i];
    return NULL;
}

/* cgroup v1 beside a cgroup2 hierarchy that has a controller: crun refuses ("hybrid mode not supported"), runc does not. */
static bool is_hybrid_with_controllers(void)
{
    struct statfs top;
    autofree char *controllers = NULL;
    size_t size = 0;

    if (statfs("/sys/fs/cgroup", &top) < 0 || top.f_type == CGROUP2_SUPER_MAGIC)
        return false;
    struct error *error = file_read_all("/sys/fs/cgroup/unified/cgroup.controllers", 4096, &controllers, &size);
    bool has_controllers = !error && strspn(controllers, " \n") < size;
    error_free(error);
    return has_controllers;
}

static bool parent_may_raise_limits(void)
{
    autofree char *text = NULL;
    char path[40];
    size_t size = 0;

    snprintf(path, sizeof(path), "/proc/%d/status", getppid());
    struct error *error = file_read_all(path, 65536, &text, &size);
    const char *line = error ? NULL : strstr(text, "\nCapBnd:");
    error_free(error);
    return !line || strtoull(line + strlen("\nCapBnd:"), NULL, 16) >> CAP_SYS_RESOURCE & 1;
}

/* With version 2 cgroups crun lifts RLIMIT_MEMLOCK for its device filter. Shims have their rights of our parent, the keeper. */
static bool lacks_locked_memory(void)
{
    struct statfs top;
    struct rlimit limit;

    if (statfs("/sys/fs/cgroup", &top) < 0 || top.f_type != CGROUP2_SUPER_MAGIC)
        return false;
    return getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_max != RLIM_INFINITY && !parent_may_raise_limits();
}

const struct config_runtime *runtime_default(const struct config *config)
{
    if (config->default_runtime_name)
        return runtime_named(config, config->default_runtime_name);
    const struct config_runtime *crun = runtime_named(config, "crun");
    const struct config_runtime *runc = runtime_named(config, "runc");
    if (crun && (!runc || !(is_hybrid_with_controllers() || lacks_locked_memory())))
        return crun;
    return runc ? runc : config->runtime_count ? &config->runtimes[0] : NULL;
}

/* Where this user cannot look, the shim, as root, may well find it: only what is surely not there is an error. */
static struct error *runtime_check(const struct config_runtime *runtime)
{
    struct stat info;
    int result = stat(runtime->path, &info);

    if (result < 0 && errno != ENOENT && errno != ENOTDIR)
        return NULL;
    if (result < 0)
        return error_new(ERROR_FAILED_PRECONDITION, "OCI runtime \"%s\": %s is missing", runtime->name, runtime->path);
    if (!S_ISREG(info.st_mode) || !(info.st_mode & 0111))
        return error_new(ERROR_FAILED_PRECONDITION, "OCI runtime \"%s\": %s is no program", runtime->name, runtime->path);
    return NULL;
}

struct error *runtime_find(const struct sandboxd *d, const char *handler, const struct config_runtime **ret)
{
    *ret = *handler ? runtime_named(d->config, handler) : d->default_runtime;
    if (*ret)
        return runtime_check(*ret);
    if (*handler)
        return error_new(ERROR_INVALID_ARGUMENT, "no runtime for \"%s\" is configured", handler);
    return error_new(ERROR_FAILED_PRECONDITION, "no OCI runtime is installed (neither crun nor runc) or configured");
}
