/* A stand-in daemon for the tree test, installed under each daemon's real name: it beats, and as criapi answers each
 * connection to the "cri" socket with its pid; a file STATE/NAME/hang stops its heartbeat, STATE/NAME/fault aborts it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/memory.h"
#include "common/service.h"
#include "common/keeper_protocol.h"

struct stand_in {
    const struct service_context *context;
    int listener;
    struct keeper_client *keeper;
};

static const char *own_name(void)
{
    return strchr(program_invocation_short_name, '-') + 1;
}

static bool is_told(const struct stand_in *stand_in, const char *what)
{
    return faccessat(stand_in->context->state_fd, what, F_OK, 0) == 0;
}

static struct error *stand_in_ping(void *state)
{
    struct stand_in *stand_in = state;

    if (is_told(stand_in, "fault"))
        abort();
    return is_told(stand_in, "hang") ? error_new(ERROR_UNAVAILABLE, "told to hang") : NULL;
}

/* What criapi does for a new keeper: it hands the listening socket back. */
static void *hand_back(void *argument)
{
    struct stand_in *stand_in = argument;
    struct keeper_message reply, put = {.type = KEEPER_STORE_PUT, .name = "listener", .fd_count = 1};
    int fds[KEEPER_SPAWN_FDS];
    size_t count = 0;

    strcpy(put.fd_names[0], "cri");
    error_free(keeper_client_call(stand_in->keeper, &put, &stand_in->listener, 1, 0, &reply, fds, &count));
    return NULL;
}

static void connected(void *argument, struct keeper_client *client)
{
    struct stand_in *stand_in = argument;

    stand_in->keeper = client;
    hand_back(stand_in);
}

static struct error *stand_in_recover(void *state, const struct service_context *context)
{
    struct stand_in *stand_in = state;

    stand_in->context = context;
    stand_in->listener = service_fd(context, "cri");
    if (stand_in->listener < 0)
        return NULL;
    struct keeper_client_options options = {.state_directory = context->config->state,
                                            .connected = connected,
                                            .subscribe = -2,
                                            .argument = stand_in};
    return keeper_client_open(&options, &stand_in->keeper);
}

static struct error *stand_in_run(void *state)
{
    struct stand_in *stand_in = state;
    char answer[32];

    snprintf(answer, sizeof(answer), "%d", getpid());
    for (bool is_told_to_end = false; !is_told_to_end;) {
        int fd = stand_in->listener < 0 ? -1 : accept4(stand_in->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) {
            usleep(1000); /* the shared socket does not block */
            continue;
        }
        send(fd, answer, strlen(answer), MSG_NOSIGNAL);
        close(fd);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        enum config_user user;
    } users[] = {{"criapi", CONFIG_USER_CRIAPI}, {"sandboxd", CONFIG_USER_SANDBOXD}, {"imaged", CONFIG_USER_IMAGED},
                 {"logd", CONFIG_USER_LOGD}};
    static const char *const everywhere[] = {"/", NULL};
    struct service_privileges privileges = {.user = CONFIG_USER_LOGD,
                                            .nofile = 256,
                                            .syscalls = SYSCALLS_THREADS | SYSCALLS_READ | SYSCALLS_WRITE | SYSCALLS_UNIX,
                                            .writes = everywhere};
    struct stand_in stand_in = {.listener = -1};

    if (strcmp(own_name(), "shim") == 0)
        for (;;)
            pause();
    for (size_t i = 0; i < 4; i++)
        if (strcmp(users[i].name, own_name()) == 0)
            privileges.user = users[i].user;
    return service_main(argc, argv, &(struct service){
        .name = own_name(),
        .privileges = &privileges,
        .state = &stand_in,
        .recover = stand_in_recover,
        .run = stand_in_run,
        .ping = stand_in_ping,
    });
}
