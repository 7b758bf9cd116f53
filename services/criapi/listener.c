/* Where the CRI socket comes from. */
#include "services/criapi/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/log.h"
#include "common/memory.h"

enum { BACKLOG = 4096, SOCKET_MODE = 0660 };

static struct error *address_format(const char *path, struct sockaddr_un *ret)
{
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(ret->sun_path))
        return error_new(ERROR_INVALID_ARGUMENT, "grpc.address: %s is longer than %zu bytes", path,
                         sizeof(ret->sun_path) - 1);
    strcpy(ret->sun_path, path);
    return NULL;
}

static struct error *parent_make(const char *path)
{
    autofree char *parent = xstrdup(path);
    char *slash = strrchr(parent, '/');

    if (!slash || slash == parent)
        return NULL;
    *slash = '\0';
    if (mkdir(parent, 0755) < 0 && errno != EEXIST)
        return error_errno(errno, "make %s", parent);
    return NULL;
}

/* A live listener at the address belongs to somebody else. */
static struct error *address_is_free(const struct sockaddr_un *address)
{
    autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
        return error_new(ERROR_ALREADY_EXISTS, "another process listens at %s", address->sun_path);
    return NULL;
}

/* Bound beside and renamed, so that whoever sees the name can connect. */
static struct error *bind_at(const char *path, int fd)
{
    autofree char *beside = xasprintf("%s.new", path);
    struct sockaddr_un address;

    TRY(address_format(path, &address));
    TRY(address_is_free(&address));
    TRY(address_format(beside, &address));
    if (unlink(beside) < 0 && errno != ENOENT)
        return error_errno(errno, "remove %s", beside);
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return error_errno(errno, "bind %s", beside);
    if (chmod(beside, SOCKET_MODE) < 0 || listen(fd, BACKLOG) < 0 || rename(beside, path) < 0) {
        struct error *error = error_errno(errno, "listen at %s", path);
        unlink(beside);
        return error;
    }
    return NULL;
}

static struct error *listener_bind(struct listener *listener, const char *path)
{
    autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return error_errno(errno, "make a socket");
    TRY(parent_make(path));
    TRY(bind_at(path, fd));
    log_info("listening", "address=%s", log_quote(path));
    listener->fd = TAKE_FD(fd);
    return NULL;
}

static struct error *listener_inherit(struct listener *listener, int fd)
{
    int is_listening = 0, flags = fcntl(fd, F_GETFL);
    socklen_t size = sizeof(is_listening);

    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &size) < 0 || !is_listening)
        return error_new(ERROR_FAILED_PRECONDITION, "the inherited descriptor `cri` is no listening socket");
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return error_errno(errno, "prepare the inherited socket");
    listener->fd = fd;
    listener->is_inherited = true;
    return NULL;
}

struct error *listener_open(struct listener *listener, const struct service_context *context)
{
    int inherited = service_fd(context, "cri");

    *listener = (struct listener){.fd = -1};
    if (inherited >= 0)
        return listener_inherit(listener, inherited);
    return listener_bind(listener, context->config->address);
}

void listener_close(struct listener *listener)
{
    cleanup_close(&listener->fd);
    listener->fd = -1;
}
