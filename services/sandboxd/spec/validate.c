/* Which values of the fields that pods and containers share can be honoured. */
#include "services/sandboxd/spec/validate.h"

#include <inttypes.h>
#include <string.h>

#include "services/sandboxd/spec/path.h"
#include "services/sandboxd/spec/seccomp.h"

struct error *validate_unsupported(const char *field)
{
    return error_new(ERROR_UNIMPLEMENTED, "%s is not supported", field);
}

struct error *validate_name(const char *field, const char *name)
{
    size_t length = strlen(name);

    if (length == 0)
        return error_new(ERROR_INVALID_ARGUMENT, "%s is missing", field);
    if (length > VALIDATE_NAME_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "%s is longer than %d bytes", field, VALIDATE_NAME_MAX);
    for (size_t i = 0; i < length; i++) {
        if (name[i] <= ' ' || name[i] > '~' || strchr("/;=", name[i]))
            return error_new(ERROR_INVALID_ARGUMENT, "%s has a character that names cannot have, byte %zu", field, i);
    }
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return error_new(ERROR_INVALID_ARGUMENT, "%s is \"%s\"", field, name);
    return NULL;
}

struct error *validate_path(const char *field, const char *path)
{
    if (!path[0])
        return NULL;
    if (!path_is_absolute(path))
        return error_new(ERROR_INVALID_ARGUMENT, "%s \"%s\" is not an absolute path", field, path);
    if (path_has_dotdot(path))
        return error_new(ERROR_INVALID_ARGUMENT, "%s \"%s\" has a \"..\" in it", field, path);
    if (strlen(path) >= 4096)
        return error_new(ERROR_INVALID_ARGUMENT, "%s is longer than a path can be", field);
    return NULL;
}

struct error *validate_selinux(const Runtime__V1__SELinuxOption *o)
{
    if (!o)
        return NULL;
    if (spec_text_is_set(o->user) || spec_text_is_set(o->role) || spec_text_is_set(o->type) ||
        spec_text_is_set(o->level))
        return validate_unsupported("selinux_options");
    return NULL;
}

/* Without AppArmor in the kernel there is no default profile either, and nothing is lost. */
struct error *validate_apparmor(const Runtime__V1__SecurityProfile *profile, const struct spec_host *host)
{
    if (!profile || profile->profile_type == RUNTIME__V1__PROFILE_TYPE__Unconfined)
        return NULL;
    if (profile->profile_type == RUNTIME__V1__PROFILE_TYPE__RuntimeDefault && !host->has_apparmor)
        return NULL;
    return validate_unsupported("apparmor: a profile other than Unconfined");
}

struct error *validate_seccomp(const Runtime__V1__SecurityProfile *profile, const char *old_path)
{
    if (seccomp_choose(profile, old_path) != SECCOMP_UNSUPPORTED)
        return NULL;
    return validate_unsupported(profile ? "seccomp: a profile other than RuntimeDefault and Unconfined"
                                        : "seccomp_profile_path: a profile other than runtime/default and unconfined");
}

static struct error *mode_check(const char *field, Runtime__V1__NamespaceMode mode)
{
    if (mode == RUNTIME__V1__NAMESPACE_MODE__TARGET)
        return error_new(ERROR_UNIMPLEMENTED, "namespace_options.%s: TARGET is not supported", field);
    if (mode < RUNTIME__V1__NAMESPACE_MODE__POD || mode > RUNTIME__V1__NAMESPACE_MODE__TARGET)
        return error_new(ERROR_INVALID_ARGUMENT, "namespace_options.%s: %d is no mode", field, (int)mode);
    return NULL;
}

struct error *validate_namespaces(const Runtime__V1__NamespaceOption *options)
{
    if (!options)
        return NULL;
    const Runtime__V1__UserNamespace *user = options->userns_options;
    if (user && (user->mode != RUNTIME__V1__NAMESPACE_MODE__NODE || user->n_uids || user->n_gids))
        return validate_unsupported("namespace_options.userns_options");
    if (spec_text_is_set(options->target_id))
        return validate_unsupported("namespace_options.target_id");
    TRY(mode_check("network", options->network));
    TRY(mode_check("pid", options->pid));
    return mode_check("ipc", options->ipc);
}

struct error *validate_id(const char *field, const Runtime__V1__Int64Value *id)
{
    return id ? validate_ids(field, &id->value, 1) : NULL;
}

struct error *validate_ids(const char *field, const int64_t *ids, size_t count)
{
    if (count > USER_GROUPS_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "%s has more than %d entries", field, USER_GROUPS_MAX);
    for (size_t i = 0; i < count; i++) {
        if (ids[i] < 0 || ids[i] > INT32_MAX)
            return error_new(ERROR_INVALID_ARGUMENT, "%s %" PRId64 " is not in 0..2147483647", field, ids[i]);
    }
    return NULL;
}

static struct error *range_check(const char *field, int64_t value, int64_t least, int64_t most)
{
    if (value >= least && value <= most)
        return NULL;
    return error_new(ERROR_INVALID_ARGUMENT, "%s %" PRId64 " is not in %" PRId64 "..%" PRId64, field, value, least,
                     most);
}

static struct error *cpuset_check(const char *field, const char *text)
{
    if (text[strspn(text, "0123456789,-")] == '\0')
        return NULL;
    return error_new(ERROR_INVALID_ARGUMENT, "%s \"%s\" is not a list of numbers and ranges", field, text);
}

static struct error *numbers_check(const Runtime__V1__LinuxContainerResources *r)
{
    TRY(range_check("cpu_period", r->cpu_period, 0, 1000000));
    TRY(range_check("cpu_quota", r->cpu_quota, -1 /* no limit */, INT64_MAX));
    TRY(range_check("cpu_shares", r->cpu_shares, 0, INT64_MAX));
    TRY(range_check("memory_limit_in_bytes", r->memory_limit_in_bytes, 0, INT64_MAX));
    return range_check("oom_score_adj", r->oom_score_adj, -1000, 1000);
}

/* The kubelet always says that a group of v2 is killed whole or not; nothing else of unified is known here. */
static struct error *unified_check(const Runtime__V1__LinuxContainerResources *r, const struct spec_host *host)
{
    for (size_t i = 0; i < r->n_unified; i++) {
        const char *key = r->unified[i]->key, *value = r->unified[i]->value;
        bool is_known = host->cgroup_version == 2 && strcmp(key, "memory.oom.group") == 0;
        if (!is_known)
            return error_new(ERROR_UNIMPLEMENTED, "unified: \"%s\" is not supported", key);
        if (strcmp(value, "0") != 0 && strcmp(value, "1") != 0)
            return error_new(ERROR_INVALID_ARGUMENT, "unified: memory.oom.group is \"%s\", not 0 or 1", value);
    }
    return NULL;
}

struct error *validate_resources(const Runtime__V1__LinuxContainerResources *r, const struct spec_host *host)
{
    if (!r)
        return NULL;
    /* The kubelet names each page size with limit 0 and holds the pod's own cgroup to it. */
    for (size_t i = 0; i < r->n_hugepage_limits; i++) {
        if (r->hugepage_limits[i]->limit != 0)
            return validate_unsupported("hugepage_limits");
    }
    /* No swap beside the memory limit is what a container gets anyway. */
    if (r->memory_swap_limit_in_bytes != 0 &&
        (r->memory_swap_limit_in_bytes != r->memory_limit_in_bytes || !host->has_swap_limit))
        return validate_unsupported("memory_swap_limit_in_bytes");
    TRY(unified_check(r, host));
    TRY(numbers_check(r));
    TRY(cpuset_check("cpuset_cpus", r->cpuset_cpus));
    return cpuset_check("cpuset_mems", r->cpuset_mems);
}
