/* How imaged has the keeper start its children, and sees that they have ended. */
#include "services/imaged/child.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"

enum { END_WAIT_MS = 5000, END_ITSELF_MS = 200 };

/* Those that LIST finds under one name. */
struct leftovers {
    const char *name;
    struct child list[8];
    size_t count;
};

static struct keeper_message message_new(enum keeper_message_type type, enum keeper_program program, const char *name)
{
    struct keeper_message message = {.version = KEEPER_VERSION, .type = type, .program = (int32_t)program};

    snprintf(message.name, sizeof(message.name), "%s", name);
    return message;
}

static void leftover_take(void *argument, const struct keeper_message *reply, const int *fds, size_t fd_count)
{
    struct leftovers *leftovers = argument;
    bool is_ours = reply->found && strcmp(reply->name, leftovers->name) == 0 && fd_count == 1 &&
                   leftovers->count < sizeof(leftovers->list) / sizeof(leftovers->list[0]);

    if (!is_ours) {
        fds_close(fds, fd_count);
        return;
    }
    leftovers->list[leftovers->count++] =
        (struct child){.program = (enum keeper_program)reply->program, .process = reply->process, .pidfd = fds[0]};
}

static struct error *leftover_end(struct keeper_client *keeper, struct child *child)
{
    struct pollfd ended = {.fd = child->pidfd, .events = POLLIN};
    int pidfd = child->pidfd;
    autoclose int closing = pidfd;

    struct keeper_message kill = message_new(KEEPER_KILL, child->program, "");
    struct keeper_message reply;
    int fds[FD_PASS_MAX];
    size_t fd_count = 0;
    kill.process = child->process;
    kill.signal = SIGKILL;
    error_free(keeper_client_call(keeper, &kill, NULL, 0, 0, &reply, fds, &fd_count)); /* it may have ended by itself */
    fds_close(fds, fd_count);
    if (poll(&ended, 1, END_WAIT_MS) <= 0)
        return error_new(ERROR_UNAVAILABLE, "process %d of an earlier attempt does not end", child->process.pid);
    return NULL;
}

static struct error *leftovers_end(struct keeper_client *keeper, enum keeper_program program, const char *name)
{
    struct leftovers leftovers = {.name = name};
    struct keeper_message list = message_new(KEEPER_LIST, program, "");
    struct error *failure = keeper_client_call_each(keeper, &list, 0, leftover_take, &leftovers);

    for (size_t i = 0; i < leftovers.count; i++) {
        struct error *next = leftover_end(keeper, &leftovers.list[i]);
        if (failure)
            error_free(next);
        else
            failure = next;
    }
    return failure;
}

struct error *child_spawn(struct keeper_client *keeper, uint64_t generation, enum keeper_program program, const char *name,
                          const struct child_fds *fds, struct child *ret)
{
    struct keeper_message spawn = message_new(KEEPER_SPAWN, program, name), reply;
    int passed[FD_PASS_MAX];
    size_t passed_count = 0;

    TRY_TO(leftovers_end(keeper, program, name), "start %s", name);
    spawn.generation = generation;
    spawn.fd_count = (uint32_t)fds->count;
    for (size_t i = 0; i < fds->count; i++)
        snprintf(spawn.fd_names[i], sizeof(spawn.fd_names[i]), "%s", fds->names[i]);
    TRY_TO(keeper_client_call(keeper, &spawn, fds->fds, fds->count, 0, &reply, passed, &passed_count), "start %s", name);
    if (passed_count != 1) {
        fds_close(passed, passed_count);
        return error_new(ERROR_INTERNAL, "start %s: the keeper sent no pidfd", name);
    }
    *ret = (struct child){.program = program, .process = reply.process, .pidfd = passed[0]};
    return NULL;
}

void child_end(struct keeper_client *keeper, struct child *child)
{
    struct pollfd ended = {.fd = child->pidfd, .events = POLLIN};

    if (child->pidfd < 0)
        return;
    if (poll(&ended, 1, END_ITSELF_MS) > 0) { /* its pipes are closed: most end by themselves */
        close(TAKE_FD(child->pidfd));
        return;
    }
    struct error *failure = leftover_end(keeper, child);
    child->pidfd = -1;
    if (failure)
        log_warn("child not ended", "error=%s", log_quote(failure->text));
    error_free(failure);
}

bool child_wait_readable(const struct child *child, int fd, int timeout_ms, bool *ret_timeout)
{
    struct pollfd both[] = {{.fd = fd, .events = POLLIN}, {.fd = child->pidfd, .events = POLLIN}};
    int count;

    do {
        count = poll(both, 2, timeout_ms);
    } while (count < 0 && errno == EINTR);
    if (ret_timeout)
        *ret_timeout = count == 0;
    if (both[0].revents & POLLIN)
        return true;
    if (count <= 0 || (both[0].revents & (POLLHUP | POLLERR)))
        return false;
    return poll(both, 1, 0) > 0 && (both[0].revents & POLLIN); /* its last words came before its end */
}

struct error *child_read(const struct child *child, int fd, void *data, size_t size)
{
    char *to = data;

    while (size > 0) {
        if (!child_wait_readable(child, fd, -1, NULL))
            return error_new(ERROR_ABORTED, "process %d has ended too early", child->process.pid);
        ssize_t count = read(fd, to, size);
        if (count < 0 && errno != EINTR)
            return error_errno(errno, "read from process %d", child->process.pid);
        if (count == 0)
            return error_new(ERROR_ABORTED, "process %d has ended too early", child->process.pid);
        if (count > 0) {
            to += count;
            size -= (size_t)count;
        }
    }
    return NULL;
}
