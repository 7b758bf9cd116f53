/* How an interface is set up (netdevice(7)). */
#include "common/loopback.h"

#include <errno.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common/cleanup.h"

struct error *loopback_up(void)
{
    struct ifreq request = {.ifr_name = "lo"};
    autoclose int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) < 0)
        return error_errno(errno, "look at lo");
    request.ifr_flags |= IFF_UP;
    if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        return error_errno(errno, "set lo up");
    return NULL;
}
