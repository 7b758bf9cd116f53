/* The layout of PIDFD_GET_INFO, which Debian 12's headers do not have. */
#include "services/supervisor/keeper/pidfd_info.h"

#include <stdint.h>
#include <sys/ioctl.h>

struct exit_info {
    uint64_t mask;
    uint64_t cgroup_id;
    uint32_t ids[11];
    int32_t exit_code;
};

enum { MASK_EXIT = 1 << 3 };

_Static_assert(sizeof(struct exit_info) == 64, "the kernel's first version of pidfd_info has 64 bytes");

bool pidfd_exit_status(int pidfd, int *ret_wait_status)
{
    struct exit_info info = {.mask = MASK_EXIT};

    if (ioctl(pidfd, _IOWR(0xFF, 11, struct exit_info), &info) < 0 || !(info.mask & MASK_EXIT))
        return false;
    *ret_wait_status = info.exit_code;
    return true;
}
