/* A defect of nng 1.5.2 and the way around it.
 *
 * A listener's accept ends for ever when it fails with NNG_ECLOSED, and nng gives just that number for EPIPE: so one peer
 * that connects and dies before it has been greeted leaves a daemon that accepts nobody any more, while its living
 * connections go on. (A dialler stops likewise.) ECONNRESET means the same and is accepted over, so this program's
 * sendmsg(), which libnng.so finds before libc's, says ECONNRESET instead of EPIPE.
 */
#include "common/ipc_nng_fix.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    ssize_t size = syscall(SYS_sendmsg, fd, message, flags);

    if (size < 0 && errno == EPIPE)
        errno = ECONNRESET;
    return size;
}

void ipc_nng_fix(void)
{
}
