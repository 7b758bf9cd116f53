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

struct error *validate_selinux(const Runtime__V1__SELinuxOption *o, const struct spec_host *host)
{
    if (!o || !(spec_text_is_set(o->user) || spec_text_is_set(o->role) || spec_text_is_set(o->type) || spec_text_is_set(o->level)))
        return NULL;
    if (!host->has_selinux)
        return error_new(ERROR_FAILED_PRECONDITION, "selinux_options: this host has no SELinux");
    return validate_unsupported("selinux_options");
}

struct error *validate_seccomp(const Runtime__V1__SecurityProfile *profile, const char *old_path)
{
    const char *field = profile ? "seccomp.localhost_ref" : "seccomp_profile_path", *path;

    switch (seccomp_choose(profile, old_path, &path)) {
    case SECCOMP_UNKNOWN:
        if (profile)
            return error_new(ERROR_INVALID_ARGUMENT, "seccomp: %d is no profile type", (int)profile->profile_type);
        return error_new(ERROR_INVALID_ARGUMENT, "seccomp_profile_path: \"%s\" is no profile", old_path);
    case SECCOMP_LOCALHOST:
        if (!path[0])
            return error_new(ERROR_INVALID_ARGUMENT, "%s is missing", field);
        if (path_has_dotdot(path) || strlen(path) >= 4096)
            return error_new(ERROR_INVALID_ARGUMENT, "%s \"%.200s\" is no path of a profile", field, path);
        return NULL;
    default:
        return NULL;
    }
}

static struct error *mode_check(const char *field, Runtime__V1__NamespaceMode mode)
{
    if (mode == RUNTIME__V1__NAMESPACE_MODE__TARGET && strcmp(field, "pid") != 0)
        return error_new(ERROR_INVALID_ARGUMENT, "namespace_options.%s: TARGET is a mode of pid alone", field);
    if (mode < RUNTIME__V1__NAMESPACE_MODE__POD || mode > RUNTIME__V1__NAMESPACE_MODE__TARGET)
        return error_new(ERROR_INVALID_ARGUMENT, "namespace_options.%s: %d is no mode", field, (int)mode);
    return NULL;
}

static struct error *target_check(const Runtime__V1__NamespaceOption *options)
{
    bool is_target = options->pid == RUNTIME__V1__NAMESPACE_MODE__TARGET, has_id = spec_text_is_set(options->target_id);

    if (is_target && !has_id)
        return error_new(ERROR_INVALID_ARGUMENT, "namespace_options.target_id is missing, and pid is TARGET");
    if (has_id && !is_target)
        return error_new(ERROR_INVALID_ARGUMENT, "namespace_options.target_id is set, and pid is not TARGET");
    return NULL;
}

struct error *validate_namespaces(const Runtime__V1__NamespaceOption *options)
{
    if (!options)
        return NULL;
    TRY(mode_check("network", options->network));
    TRY(mode_check("pid", options->pid));
    TRY(mode_check("ipc", options->ipc));
    return target_check(options);
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

struct error *validate_groups_policy(Runtime__V1__SupplementalGroupsPolicy policy)
{
    if (policy == RUNTIME__V1__SUPPLEMENTAL_GROUPS_POLICY__Merge || policy == RUNTIME__V1__SUPPLEMENTAL_GROUPS_POLICY__Strict)
        return NULL;
    return error_new(ERROR_INVALID_ARGUMENT, "supplemental_groups_policy: %d is no policy", (int)policy);
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

/* A file of a controller, "memory.high": the group's own, "cgroup.procs" and the like, are ours. */
static bool is_controller_file(const char *key)
{
    const char *dot = strchr(key, '.');

    return dot && dot != key && dot[1] && key[strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.")] == '\0' &&
           strncmp(key, "cgroup.", 7) != 0;
}

static struct error *unified_check(const Runtime__V1__LinuxContainerResources *r, const struct spec_host *host)
{
    if (r->n_unified && host->cgroup_version != 2)
        return error_new(ERROR_FAILED_PRECONDITION, "unified: the cgroups of this host are of version 1");
    for (size_t i = 0; i < r->n_unified; i++) {
        if (!is_controller_file(r->unified[i]->key))
            return error_new(ERROR_INVALID_ARGUMENT, "unified: \"%.100s\" is no controller's file", r->unified[i]->key);
        if (!r->unified[i]->value[0])
            return error_new(ERROR_INVALID_ARGUMENT, "unified: %s has no value", r->unified[i]->key);
    }
    return NULL;
}

/* "2MB", as the kernel names its files. */
static bool is_page_size(const char *text)
{
    size_t digits = strspn(text, "0123456789");

    return digits > 0 && digits < 10 && strchr("KMG", text[digits]) && text[digits] && strcmp(text + digits + 1, "B") == 0;
}

static struct error *hugepages_check(const Runtime__V1__LinuxContainerResources *r, const struct spec_host *host)
{
    for (size_t i = 0; i < r->n_hugepage_limits; i++) {
        const Runtime__V1__HugepageLimit *page = r->hugepage_limits[i];
        if (!is_page_size(page->page_size) && (page->limit || host->has_hugetlb))
            return error_new(ERROR_INVALID_ARGUMENT, "hugepage_limits: \"%.100s\" is no page size", page->page_size);
        /* The kubelet names each page size with limit 0 and holds the pod's own cgroup to it. */
        if (page->limit && !host->has_hugetlb)
            return error_new(ERROR_FAILED_PRECONDITION, "hugepage_limits: this host has no hugetlb cgroup controller");
    }
    return NULL;
}

/* The limit of memory and swap together. */
static struct error *swap_check(const Runtime__V1__LinuxContainerResources *r, const struct spec_host *host)
{
    int64_t swap = r->memory_swap_limit_in_bytes;

    if (swap == 0)
        return NULL;
    TRY(range_check("memory_swap_limit_in_bytes", swap, -1 /* no limit */, INT64_MAX));
    if (swap > 0 && swap < r->memory_limit_in_bytes)
        return error_new(ERROR_INVALID_ARGUMENT, "memory_swap_limit_in_bytes %" PRId64 " is less than memory_limit_in_bytes", swap);
    if (swap > 0 && r->memory_limit_in_bytes == 0)
        return error_new(ERROR_INVALID_ARGUMENT, "memory_swap_limit_in_bytes is set without memory_limit_in_bytes");
    if (!host->has_swap_limit)
        return error_new(ERROR_FAILED_PRECONDITION, "memory_swap_limit_in_bytes: the cgroups of this host do not account for swap");
    return NULL;
}

struct error *validate_resources(const Runtime__V1__LinuxContainerResources *r, const struct spec_host *host)
{
    if (!r)
        return NULL;
    TRY(hugepages_check(r, host));
    TRY(swap_check(r, host));
    TRY(unified_check(r, host));
    TRY(numbers_check(r));
    TRY(cpuset_check("cpuset_cpus", r->cpuset_cpus));
    return cpuset_check("cpuset_mems", r->cpuset_mems);
}
