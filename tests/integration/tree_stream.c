/* A stand-in for `stream`: it waits for a connection, answers its pid, is proven when it is sent "open", and ends with
 * its client. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/service.h"

static int listener_find(void)
{
    const char *names = getenv("LISTEN_FDNAMES");

    return names && strcmp(names, "stream") == 0 ? 3 : -1;
}

static void serve(int fd)
{
    char text[16];
    int size = snprintf(text, sizeof(text), "%d\n", getpid());

    if (send(fd, text, (size_t)size, MSG_NOSIGNAL) < 0)
        return;
    for (ssize_t count; (count = read(fd, text, sizeof(text))) > 0;)
        if (count >= 4 && memcmp(text, "open", 4) == 0) {
            prctl(PR_SET_NAME, "stream-exec");
            service_notify("READY=1\nSTATUS=exec");
            send(fd, "proven\n", 7, MSG_NOSIGNAL);
        }
}

int main(void)
{
    struct pollfd waiting = {.fd = listener_find(), .events = POLLIN};
    int fd = -1;

    prctl(PR_SET_NAME, "stream-waits");
    while (fd < 0 && poll(&waiting, 1, -1) == 1)
        fd = accept4(waiting.fd, NULL, NULL, SOCK_CLOEXEC);
    close(waiting.fd);
    prctl(PR_SET_NAME, "stream-new");
    service_notify("STATUS=connected");
    serve(fd);
    return 0;
}
