/* What unpack may do to the files of its jail. */
#include "services/imaged/unpack/privileges.h"

/* SYS_ADMIN only until the jail stands, which comes second because there is no /proc in it. */
const struct service_privileges unpack_privileges = {
    .user = CONFIG_USER_ROOT,
    .capabilities = UNPACK_CAPABILITIES | CAPABILITY(SYS_ADMIN),
    .nofile = 1024, /* a descriptor for each layer below */
    .syscalls = SYSCALLS_READ | SYSCALLS_WRITE | SYSCALLS_OWNERS,
    .is_jailed = true,
};
