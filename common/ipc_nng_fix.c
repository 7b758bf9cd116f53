/* Two defects of nng 1.5.2 and the way around them: this program's sendmsg(), which libnng.so finds before libc's.
 *
 * A listener's accept ends for ever when it fails with NNG_ECLOSED, and nng gives just that number for EPIPE: so one peer
 * that connects and dies before it has been greeted leaves a daemon that accepts nobody any more, while its living
 * connections go on. (A dialler stops likewise.) ECONNRESET means the same and is accepted over: a greeting gets that.
 *
 * A connection that nng closes for an error in sending, between the reading of a message's head and of its body, forgets
 * the read, and the thread that frees connections waits for it for ever: every later one leaks. So a message to a peer that
 * has gone is taken as sent. The reading side meets the end anyway, and then every unanswered request is sent again.
 */
#include "common/ipc_nng_fix.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { HEAD_SIZE = 9 }; /* of nng's messages: 1, then the length of what follows, its highest byte first */

static size_t total_size(const struct msghdr *message)
{
    size_t size = 0;

    for (size_t i = 0; i < message->msg_iovlen; i++)
        size += message->msg_iov[i].iov_len;
    return size;
}

static bool is_nng_message(const struct msghdr *message, size_t size)
{
    const uint8_t *head = message->msg_iovlen ? message->msg_iov[0].iov_base : NULL;
    uint64_t length = 0;

    if (!head || message->msg_controllen || message->msg_iov[0].iov_len != HEAD_SIZE || head[0] != 1)
        return false;
    for (size_t i = 1; i < HEAD_SIZE; i++)
        length = length << 8 | head[i];
    return length == size - HEAD_SIZE;
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    ssize_t sent = syscall(SYS_sendmsg, fd, message, flags);

    if (sent >= 0 || (errno != EPIPE && errno != ECONNRESET))
        return sent;
    size_t size = total_size(message);
    if (is_nng_message(message, size))
        return (ssize_t)size;
    errno = ECONNRESET;
    return -1;
}

void ipc_nng_fix(void)
{
}
