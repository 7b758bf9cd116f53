/* Which lines of the notify protocol we read. */
#include "services/supervisor/notify.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/memory.h"

struct error *notify_open(const char *path, int *ret_fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int on = 1;

    if (snprintf(address.sun_path, sizeof(address.sun_path), "%s.new", path) >= (int)sizeof(address.sun_path))
        return error_new(ERROR_INVALID_ARGUMENT, "%s: longer than a socket's path may be", path);
    autoclose int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    unlink(address.sun_path);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return error_errno(errno, "notify socket %s", path);
    if (chmod(address.sun_path, 0666) < 0 || rename(address.sun_path, path) < 0)
        return error_errno(errno, "notify socket %s", path);
    *ret_fd = TAKE_FD(fd);
    return NULL;
}

void notify_parse(char *text, struct notify_message *ret)
{
    char *rest = NULL;

    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (strcmp(line, "READY=1") == 0)
            ret->is_ready = true;
        else if (strcmp(line, "WATCHDOG=1") == 0)
            ret->is_watchdog = true;
        else if (strcmp(line, "STOPPING=1") == 0)
            ret->is_stopping = true;
        else if (strncmp(line, "STATUS=", 7) == 0) {
            ret->has_status = true;
            snprintf(ret->status, sizeof(ret->status), "%s", line + 7);
        }
    }
}

/* The sender's pid; descriptors that somebody sent along are closed. */
static pid_t sender_pid(struct msghdr *header)
{
    pid_t pid = 0;

    for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part; part = CMSG_NXTHDR(header, part)) {
        if (part->cmsg_level != SOL_SOCKET)
            continue;
        if (part->cmsg_type == SCM_CREDENTIALS) {
            struct ucred credentials;
            memcpy(&credentials, CMSG_DATA(part), sizeof(credentials));
            pid = credentials.pid;
        } else if (part->cmsg_type == SCM_RIGHTS) {
            for (size_t i = 0; CMSG_LEN((i + 1) * sizeof(int)) <= part->cmsg_len; i++) {
                int fd;
                memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(fd));
                close(fd);
            }
        }
    }
    return pid;
}

bool notify_receive(int fd, struct notify_message *ret)
{
    char text[1024];
    char control[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(16 * sizeof(int))];
    struct iovec part = {.iov_base = text, .iov_len = sizeof(text) - 1};
    struct msghdr header = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    ssize_t size;

    do
        size = recvmsg(fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (size < 0 && errno == EINTR);
    if (size < 0)
        return false;
    text[size] = '\0';
    *ret = (struct notify_message){.pid = sender_pid(&header)};
    notify_parse(text, ret);
    return true;
}
