/* How one message and its descriptors travel over a SEQPACKET socket. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/fd.h"

union control {
    char bytes[CMSG_SPACE(FD_PASS_MAX * sizeof(int))];
    struct cmsghdr align;
};

static struct error *send_error(int errnum)
{
    switch (errnum) {
    case EPIPE:
    case ECONNRESET:
    case ECONNREFUSED:
    case ENOTCONN:
        return error_new(ERROR_UNAVAILABLE, "the peer is gone");
    case EAGAIN:
    case ENOBUFS:
    case ETOOMANYREFS:
        return error_new(ERROR_RESOURCE_EXHAUSTED, "the peer's socket is full");
    default:
        return error_errno(errnum, "send a message");
    }
}

struct error *fd_send(int socket, const void *data, size_t size, const int *fds, size_t count)
{
    union control control = {0};
    struct iovec bytes = {(void *)data, size};
    struct msghdr message = {.msg_iov = &bytes, .msg_iovlen = 1};

    if (count > FD_PASS_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "%zu descriptors in one message", count);
    if (count > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(header), fds, count * sizeof(int));
    }
    for (;;) {
        if (sendmsg(socket, &message, MSG_NOSIGNAL) >= 0)
            return NULL;
        if (errno != EINTR)
            return send_error(errno);
    }
}

static size_t take_descriptors(struct msghdr *message, int fds[FD_PASS_MAX])
{
    size_t count = 0;

    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
            continue;
        size_t here = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(fds + count, CMSG_DATA(header), here * sizeof(int)); /* the control buffer holds no more than fit */
        count += here;
    }
    return count;
}

static struct error *receive_error(int errnum, size_t *ret_size, size_t *ret_count)
{
    if (errnum == EAGAIN)
        return error_new(ERROR_ABORTED, "no message is waiting");
    if (errnum != ECONNRESET)
        return error_errno(errnum, "receive a message");
    *ret_size = 0;
    *ret_count = 0;
    return NULL;
}

struct error *fd_receive(int socket, void *data, size_t room, size_t *ret_size, int fds[FD_PASS_MAX], size_t *ret_count)
{
    union control control = {0};
    struct iovec bytes = {data, room};
    struct msghdr message = {.msg_iov = &bytes, .msg_iovlen = 1};
    ssize_t size;

    do {
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof(control.bytes);
        size = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
        /* ECONNRESET is said once, of a peer that died with messages unread; what it sent before comes after it. */
    } while (size < 0 && (errno == EINTR || errno == ECONNRESET));
    if (size < 0)
        return receive_error(errno, ret_size, ret_count);
    size_t count = take_descriptors(&message, fds);
    if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
        fds_close(fds, count);
        return error_new(ERROR_INVALID_ARGUMENT, "a message was larger than expected, or had too many descriptors");
    }
    *ret_size = (size_t)size;
    *ret_count = count;
    return NULL;
}
