/* stream serves one session of kubectl exec, attach or port-forward: it parses what a stranger sends, and can do
 * nothing else. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include "common/log.h"
#include "common/service.h"
#include "common/service_environment.h"
#include "services/criapi/stream/privileges.h"
#include "services/criapi/stream/session.h"

static enum log_level level_of(const char *name)
{
    return strcmp(name, "error") == 0  ? LOG_LEVEL_ERROR
           : strcmp(name, "warn") == 0 ? LOG_LEVEL_WARN
           : strcmp(name, "info") == 0 ? LOG_LEVEL_INFO
                                       : LOG_LEVEL_DEBUG;
}

static struct error *signals_open(int *ret_fd)
{
    sigset_t terminate;

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&terminate);
    sigaddset(&terminate, SIGTERM);
    sigprocmask(SIG_BLOCK, &terminate, NULL);
    *ret_fd = signalfd(-1, &terminate, SFD_CLOEXEC | SFD_NONBLOCK);
    return *ret_fd < 0 ? error_errno(errno, "signalfd") : NULL;
}

/* Many spares wait at the same socket, and one of them gets a connection. *ret_fd -1: SIGTERM came first. */
static struct error *connection_accept(int listener, int signal_fd, int *ret_fd)
{
    struct pollfd fds[] = {{.fd = listener, .events = POLLIN}, {.fd = signal_fd, .events = POLLIN}};

    fcntl(listener, F_SETFL, O_RDWR | O_NONBLOCK);
    for (*ret_fd = -1;;) {
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return error_errno(errno, "poll");
        if (fds[1].revents)
            return NULL;
        *ret_fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (*ret_fd >= 0)
            return NULL;
        if (errno == EINVAL || errno == EBADF || errno == ENOTSOCK)
            return error_errno(errno, "accept a connection");
    }
}

static struct error *stream_run(const struct config *config, const struct service_environment *environment)
{
    int listener = service_environment_fd(environment, "stream"), signal_fd, connection;

    if (listener < 0)
        return error_new(ERROR_INVALID_ARGUMENT, "no socket named \"stream\" was passed");
    TRY(signals_open(&signal_fd));
    TRY(service_confine(config, &stream_privileges));
    prctl(PR_SET_NAME, "stream-waits");
    TRY(connection_accept(listener, signal_fd, &connection));
    close(listener);
    if (connection < 0)
        return NULL;
    prctl(PR_SET_NAME, "stream-new");
    service_notify("STATUS=connected");
    return session_serve(config, connection, signal_fd);
}

int main(int argc, char **argv)
{
    struct service_environment environment;
    autoptr(config) config = NULL;

    log_open("stream", LOG_LEVEL_INFO);
    service_environment_init(&environment);
    struct error *failure = config_from_arguments(&argc, argv, &config);
    if (!failure) {
        log_open("stream", level_of(config->log_level));
        failure = stream_run(config, &environment);
    }
    service_environment_fini(&environment);
    if (!failure)
        return 0;
    log_error("stream failed", "error=%s", log_quote(failure->text));
    error_free(failure);
    return 1;
}
