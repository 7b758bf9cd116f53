/* In which order rights are given up. */
#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/log.h"
#include "common/service.h"
#include "common/service_paths.h"

/* Capabilities, no_new_privs and the bounding set belong to each thread by itself. */
static struct error *check_single_thread(void)
{
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");

    if (!tasks)
        return error_errno(errno, "count threads");
    for (struct dirent *entry; (entry = readdir(tasks));)
        count += entry->d_name[0] != '.';
    closedir(tasks);
    if (count > 1)
        return error_new(ERROR_INTERNAL, "rights can't be dropped: %d threads run already", count);
    return NULL;
}

/* As many descriptors as wished, or as many as the hard limit leaves to a process that may not raise it. */
static struct error *limit_files(uint64_t wanted)
{
    struct rlimit limit;

    if (wanted == 0)
        return NULL;
    if (setrlimit(RLIMIT_NOFILE, &(struct rlimit){wanted, wanted}) == 0)
        return NULL;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return error_errno(errno, "read the limit of descriptors");
    limit.rlim_cur = limit.rlim_max = wanted < limit.rlim_max ? wanted : limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        return error_errno(errno, "set the limit of descriptors");
    return NULL;
}

static struct error *drop_bounding_set(void)
{
    for (int capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; capability++) {
        if (prctl(PR_CAPBSET_READ, capability) == 1 && prctl(PR_CAPBSET_DROP, capability) < 0)
            return error_errno(errno, "drop capability %d from the bounding set", capability);
    }
    return NULL;
}

static struct error *become_user(uid_t uid, const uint32_t *groups)
{
    size_t count = 0;

    while (groups && groups[count])
        count++;
    if (setgroups(count, groups) < 0)
        return error_errno(errno, "set supplementary groups");
    if (setresgid(uid, uid, uid) < 0)
        return error_errno(errno, "become group %u", uid);
    if (setresuid(uid, uid, uid) < 0)
        return error_errno(errno, "become user %u", uid);
    return NULL;
}

static struct error *keep_capabilities(uint64_t capabilities)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {
        {.effective = (uint32_t)capabilities, .permitted = (uint32_t)capabilities},
        {.effective = (uint32_t)(capabilities >> 32), .permitted = (uint32_t)(capabilities >> 32)},
    };

    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (syscall(SYS_capset, &header, data) < 0)
        return error_errno(errno, "set capabilities");
    return NULL;
}

struct error *service_confine(const struct config *config, const struct service_privileges *privileges)
{
    uid_t uid = config_uid(config, privileges->user);

    if (geteuid() != 0)
        return error_new(ERROR_PERMISSION_DENIED, "must be started as root, to become user %u", uid);
    TRY(check_single_thread());
    TRY(limit_files(privileges->nofile));
    TRY(drop_bounding_set());
    if (prctl(PR_SET_KEEPCAPS, privileges->capabilities != 0) < 0)
        return error_errno(errno, "keep capabilities over the change of user");
    TRY(become_user(uid, privileges->groups));
    TRY(keep_capabilities(privileges->capabilities));
    prctl(PR_SET_KEEPCAPS, 0);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return error_errno(errno, "set no_new_privs");
    if (prctl(PR_SET_DUMPABLE, 0) < 0) /* no other process of this user may look inside */
        return error_errno(errno, "clear dumpable");
    return privileges->is_jailed ? NULL : service_restrict(config, privileges);
}

struct error *service_restrict(const struct config *config, const struct service_privileges *privileges)
{
    bool is_refused = false;

    TRY(service_paths_restrict(config, privileges, &is_refused));
    if (!is_refused && !privileges->is_jailed)
        log_warn("the kernel has no Landlock: files are kept from this process by their owners alone", "uid=%u", (unsigned)getuid());
    return service_syscalls_restrict(privileges->syscalls);
}
