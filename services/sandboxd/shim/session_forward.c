/* Port-forwards: sockets of the pod's network, made there by this thread, which comes back at once. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "common/memory.h"
#include "services/sandboxd/shim/session.h"
#include "services/sandboxd/shim/shim.h"

enum { PORT_MAX = 65535 };

/* A thread that stayed in a pod's network would run CNI plugins there: the shim ends rather, and its successor begins
 * at home. */
static void network_leave(int home)
{
    if (setns(home, CLONE_NEWNET) == 0)
        return;
    log_error("the way back from the pod's network is lost", "error=%s", log_quote(strerror(errno)));
    abort();
}

static struct error *socket_make_there(const char *netns, int family, int *ret_fd)
{
    autoclose int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    autoclose int there = open(netns, O_RDONLY | O_CLOEXEC);

    if (home < 0 || there < 0 || setns(there, CLONE_NEWNET) < 0)
        return error_new(ERROR_FAILED_PRECONDITION, "the pod's network is not there: %s", strerror(errno));
    *ret_fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int failure = errno;
    network_leave(home);
    return *ret_fd < 0 ? error_errno(failure, "make a socket in the pod's network") : NULL;
}

static struct error *socket_make(const struct shim *shim, int family, int *ret_fd)
{
    autofree char *netns = shim_path(shim, "netns");

    if (!(shim->pod.record.state & SHIM_POD_IS_SET_UP))
        return error_new(ERROR_FAILED_PRECONDITION, "the pod has no network");
    if (shim->pod.record.netns_mode == SHIM_NAMESPACE_OWN)
        return socket_make_there(netns, family, ret_fd);
    *ret_fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return *ret_fd < 0 ? error_errno(errno, "make a socket") : NULL;
}

static struct error *loopback_connect(int fd, int family, uint16_t port)
{
    struct sockaddr_in of_4 = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 of_6 = {.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    bool is_4 = family == AF_INET;

    if (connect(fd, is_4 ? (struct sockaddr *)&of_4 : (struct sockaddr *)&of_6, is_4 ? sizeof(of_4) : sizeof(of_6)) ==
            0 ||
        errno == EINPROGRESS)
        return NULL;
    return error_new(ERROR_UNAVAILABLE, "connect to %s port %u: %s", is_4 ? "127.0.0.1" : "[::1]", port,
                     strerror(errno));
}

static struct error *forward_connect(const struct shim *shim, const struct stream_message *message, int *ret_fd)
{
    int family = (int)message->family;
    autoclose int fd = -1;

    if (message->port == 0 || message->port > PORT_MAX || (family != AF_INET && family != AF_INET6))
        return error_new(ERROR_INVALID_ARGUMENT, "port %u of family %u", message->port, message->family);
    TRY(socket_make(shim, family, &fd));
    TRY(loopback_connect(fd, family, (uint16_t)message->port));
    *ret_fd = TAKE_FD(fd);
    return NULL;
}

void session_forward_connect(struct shim *shim, struct session *session, const struct stream_message *message)
{
    struct stream_message connected = {.type = STREAM_CONNECTED, .serial = message->serial, .port = message->port};
    autoclose int fd = -1;
    struct error *failure = forward_connect(shim, message, &fd);

    if (failure)
        session_fail(session, message->serial, failure);
    else
        session_send(session, &connected, &fd, 1);
}
