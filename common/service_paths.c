/* How Landlock is told: its rights by version, a rule a path. */
#include "common/service_paths.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/memory.h"

/* linux/landlock.h of Linux 6.12; Debian 12's header ends with version 2. */
#define ACCESS_TRUNCATE (UINT64_C(1) << 14)  /* version 3 */
#define ACCESS_IOCTL_DEV (UINT64_C(1) << 15) /* version 5 */
#define NET_BIND_TCP UINT64_C(1)             /* version 4 */
#define NET_CONNECT_TCP UINT64_C(2)
#define SCOPE_ABSTRACT_SOCKETS UINT64_C(1) /* version 6 */
#define SCOPE_SIGNALS UINT64_C(2)

struct ruleset_attributes {
    uint64_t files;
    uint64_t network;
    uint64_t scoped;
};

#define READS (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define ON_FILES (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | ACCESS_TRUNCATE) /* what a rule of a file may say */
#define WRITES                                                                                                                              \
    (READS | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR | \
     LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |              \
     LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER | ACCESS_TRUNCATE)

static uint64_t files_known(int version)
{
    uint64_t files = WRITES | LANDLOCK_ACCESS_FS_EXECUTE | ACCESS_IOCTL_DEV;

    if (version < 2)
        files &= ~(uint64_t)LANDLOCK_ACCESS_FS_REFER;
    if (version < 3)
        files &= ~ACCESS_TRUNCATE;
    if (version < 5)
        files &= ~ACCESS_IOCTL_DEV;
    return files;
}

static size_t attributes_size(int version)
{
    if (version < 4)
        return offsetof(struct ruleset_attributes, network);
    return version < 6 ? offsetof(struct ruleset_attributes, scoped) : sizeof(struct ruleset_attributes);
}

static char *path_expand(const struct config *config, const char *path)
{
    if (strncmp(path, "$ROOT", 5) == 0)
        return xasprintf("%s%s", config->root, path + 5);
    if (strncmp(path, "$STATE", 6) == 0)
        return xasprintf("%s%s", config->state, path + 6);
    return xstrdup(path);
}

static struct error *path_allow(int ruleset, const char *path, uint64_t access)
{
    autoclose int fd = open(path, O_PATH | O_CLOEXEC);
    struct stat about;

    if (fd < 0 || fstat(fd, &about) < 0)
        return NULL;
    struct landlock_path_beneath_attr rule = {.parent_fd = fd, .allowed_access = S_ISDIR(about.st_mode) ? access : access & ON_FILES};
    if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
        return error_errno(errno, "allow %s", path);
    return NULL;
}

static struct error *paths_allow(int ruleset, const struct config *config, const char *const *paths, uint64_t access)
{
    for (; paths && *paths; paths++) {
        autofree char *path = path_expand(config, *paths);
        TRY(path_allow(ruleset, path, access));
    }
    return NULL;
}

/* A failpoint is a file there; see failpoint.h. */
static struct error *failpoints_allow(int ruleset, uint64_t access)
{
#ifdef BULKHEAD_FAILPOINTS
    const char *directory = getenv("BULKHEAD_FAILPOINT_DIR");

    if (directory)
        return path_allow(ruleset, directory, access);
#endif
    (void)ruleset;
    (void)access;
    return NULL;
}

struct error *service_paths_restrict(const struct config *config, const struct service_privileges *privileges, bool *ret_is_refused)
{
    int version = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    struct ruleset_attributes attributes = {.scoped = SCOPE_ABSTRACT_SOCKETS | SCOPE_SIGNALS};

    *ret_is_refused = version > 0;
    if (version <= 0)
        return NULL; /* not compiled in, or not enabled at boot */
    attributes.files = privileges->is_jailed ? 0 : files_known(version);
    attributes.network = privileges->syscalls & SYSCALLS_INTERNET ? 0 : NET_BIND_TCP | NET_CONNECT_TCP;
    if (privileges->is_jailed && version < 4)
        return NULL; /* a ruleset must have something to refuse */
    autoclose int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attributes, attributes_size(version), 0);
    if (ruleset < 0)
        return error_errno(errno, "make a Landlock ruleset");
    if (!privileges->is_jailed) {
        TRY(paths_allow(ruleset, config, privileges->reads, READS & attributes.files));
        TRY(paths_allow(ruleset, config, privileges->writes, WRITES & attributes.files));
        TRY(failpoints_allow(ruleset, WRITES & attributes.files));
    }
    if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
        return error_errno(errno, "enter the Landlock ruleset");
    return NULL;
}
