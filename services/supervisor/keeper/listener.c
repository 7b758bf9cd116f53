/* When the gRPC socket may be bound: only if no living process listens there. */
#include "services/supervisor/keeper/listener.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/memory.h"

static struct error *address_fill(const char *path, struct sockaddr_un *ret)
{
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(ret->sun_path))
        return error_new(ERROR_INVALID_ARGUMENT, "%s: longer than a socket's path may be", path);
    strcpy(ret->sun_path, path);
    return NULL;
}

static bool listener_is_held(const struct sockaddr_un *address)
{
    autoclose int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    return probe >= 0 && (connect(probe, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN);
}

static struct error *listener_bind(int fd, const char *path, const char *beside)
{
    struct sockaddr_un address;

    TRY(address_fill(beside, &address));
    unlink(beside);
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return error_errno(errno, "bind %s", beside);
    if (chmod(beside, 0660) < 0 || listen(fd, LISTENER_BACKLOG) < 0)
        return error_errno(errno, "listen at %s", beside);
    if (rename(beside, path) < 0)
        return error_errno(errno, "rename %s to %s", beside, path);
    return NULL;
}

struct error *listener_open(const char *address, int *ret_fd)
{
    struct sockaddr_un name;
    autofree char *directory = xstrdup(address);
    autofree char *beside = xasprintf("%s.new", address);
    char *slash = strrchr(directory, '/');

    TRY(address_fill(address, &name));
    if (listener_is_held(&name))
        return error_new(ERROR_ABORTED, "a living process listens at %s", address);
    if (slash && slash != directory) {
        *slash = '\0';
        mkdir(directory, 0711); /* bind says what is wrong with it */
    }
    autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_errno(errno, "socket");
    TRY(listener_bind(fd, address, beside));
    *ret_fd = TAKE_FD(fd);
    return NULL;
}
