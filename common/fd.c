/* How whole reads and writes are made of the kernel's partial ones, and sockets are bound and reached by a path. */
#include "common/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/memory.h"

struct error *fd_write_all(int fd, const void *data, size_t size)
{
    const char *from = data;

    while (size > 0) {
        ssize_t count = write(fd, from, size);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return error_errno(errno, "write");
        from += count;
        size -= (size_t)count;
    }
    return NULL;
}

struct error *fd_read_all(int fd, size_t limit, char **ret_data, size_t *ret_size)
{
    autofree char *data = NULL;
    size_t room = 0, size = 0;

    for (;;) {
        if (size + 1 >= room) {
            room = room ? room * 2 : 4096;
            data = xrealloc(data, room);
        }
        ssize_t count = read(fd, data + size, room - size - 1);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return error_errno(errno, "read");
        if (count == 0)
            break;
        size += (size_t)count;
        if (size > limit)
            return error_new(ERROR_RESOURCE_EXHAUSTED, "larger than %zu bytes", limit);
    }
    data[size] = '\0';
    *ret_data = TAKE(data);
    *ret_size = size;
    return NULL;
}

struct error *file_read_all(const char *path, size_t limit, char **ret_data, size_t *ret_size)
{
    autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return error_errno(errno, "open %s", path);
    TRY_TO(fd_read_all(fd, limit, ret_data, ret_size), "%s", path);
    return NULL;
}

void fds_close(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        close(fds[i]);
}

/* The kernel takes 107 bytes of a path; a longer one goes by way of its directory, which stays open in *ret_directory.
 */
static struct error *socket_address(const char *path, struct sockaddr_un *ret, int *ret_directory)
{
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) < sizeof(ret->sun_path)) {
        strcpy(ret->sun_path, path);
        return NULL;
    }
    autofree char *directory = xstrdup(path);
    char *slash = strrchr(directory, '/');
    if (!slash)
        return error_new(ERROR_INVALID_ARGUMENT, "socket name %s is longer than %zu bytes", path,
                         sizeof(ret->sun_path) - 1);
    *slash = '\0';
    autoclose int fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(errno, "open %s", directory);
    int size = snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%s", fd, slash + 1);
    if (size >= (int)sizeof(ret->sun_path))
        return error_new(ERROR_INVALID_ARGUMENT, "socket name %s is too long", slash + 1);
    *ret_directory = TAKE_FD(fd);
    return NULL;
}

static struct error *socket_bind(int fd, const char *path, mode_t mode, uid_t owner)
{
    struct sockaddr_un address;
    autoclose int directory = -1;

    TRY(socket_address(path, &address, &directory));
    unlink(path);
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return error_errno(errno, "bind %s", path);
    if (chmod(path, mode) < 0 || (owner != (uid_t)-1 && chown(path, owner, (gid_t)-1) < 0))
        return error_errno(errno, "set mode and owner of %s", path);
    if (listen(fd, SOMAXCONN) < 0)
        return error_errno(errno, "listen on %s", path);
    return NULL;
}

struct error *socket_listen(const char *path, mode_t mode, uid_t owner, int *ret_fd)
{
    autoclose int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return error_errno(errno, "make a socket for %s", path);
    autofree char *beside = xasprintf("%s.new", path);
    struct error *failure = socket_bind(fd, beside, mode, owner);
    if (!failure && rename(beside, path) < 0)
        failure = error_errno(errno, "rename %s", beside);
    if (failure) {
        unlink(beside);
        return failure;
    }
    *ret_fd = TAKE_FD(fd);
    return NULL;
}

static struct error *connect_to(const char *path, int flags, int *ret_fd)
{
    autoclose int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0), directory = -1;
    struct sockaddr_un address;

    if (fd < 0)
        return error_errno(errno, "make a socket for %s", path);
    struct error *unnamed = socket_address(path, &address, &directory);
    if (unnamed && unnamed->code == ERROR_NOT_FOUND)
        unnamed->code = ERROR_UNAVAILABLE; /* no directory yet, so nobody listens there */
    TRY(unnamed);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        if (errno == ENOENT || errno == ECONNREFUSED || errno == EAGAIN || errno == EINTR)
            return error_new(ERROR_UNAVAILABLE, "nobody listens on %s", path);
        return error_errno(errno, "connect to %s", path);
    }
    *ret_fd = TAKE_FD(fd);
    return NULL;
}

struct error *socket_connect(const char *path, int *ret_fd)
{
    return connect_to(path, 0, ret_fd);
}

struct error *socket_connect_now(const char *path, int *ret_fd)
{
    return connect_to(path, SOCK_NONBLOCK, ret_fd);
}

struct error *socket_peer(int socket, pid_t *ret_pid, uid_t *ret_uid)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);

    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return error_errno(errno, "ask for the peer's identity");
    *ret_pid = peer.pid;
    *ret_uid = peer.uid;
    return NULL;
}
