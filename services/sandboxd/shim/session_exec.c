/* Exec sessions: the descriptors that a stream process passes become a command's stdio, and its end is told to whoever
 * joins. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/failpoint.h"
#include "common/log.h"
#include "common/memory.h"
#include "services/sandboxd/shim/container.h"
#include "services/sandboxd/shim/exec.h"
#include "services/sandboxd/shim/session.h"
#include "services/sandboxd/shim/shim.h"

enum { RETRY_MS = 3 };

/* --- telling ------------------------------------------------------------------------------------------------------ */

static void tell(struct session *session, const struct exec_record *record)
{
    if (!session->is_start_asked || record->state == EXEC_BEGUN)
        return;
    if (!session->is_start_told) {
        struct stream_message started = {.type = STREAM_STARTED, .flags = session->token->record.flags};
        session->is_start_told = true;
        session_drop_fds(session);
        session_send(session, &started, NULL, 0);
    }
    if (record->state == EXEC_DONE && !session->is_end_told) {
        struct stream_message ended = {.type = STREAM_ENDED, .wait_status = record->status};
        ended.flags = record->is_unknown ? STREAM_UNKNOWN : 0;
        session->is_end_told = true;
        FAILPOINT("shim.stream.before_ended");
        session_send(session, &ended, NULL, 0);
    }
}

static struct session *session_of(const struct shim *shim, const struct exec *exec)
{
    const struct token *token = token_find(shim, exec->name);

    return token ? token->session : NULL;
}

/* --- what its exec tells us --------------------------------------------------------------------------------------- */

static void exec_began(struct shim *shim, struct exec *exec)
{
    struct session *session = session_of(shim, exec);

    if (session)
        tell(session, &exec->record);
}

static void exec_failed(struct shim *shim, struct exec *exec, struct error *failure)
{
    struct session *session = session_of(shim, exec);

    exec_forget(shim, exec);
    if (!session) {
        error_free(failure);
        return;
    }
    session_drop_fds(session);
    session_fail(session, 0, error_wrap(failure, "exec"));
}

/* Its status is kept for whoever joins; where the session is over nobody does. */
static void exec_ended(struct shim *shim, struct exec *exec)
{
    const struct token *token = token_find(shim, exec->name);

    if (!token) {
        exec_forget(shim, exec);
        return;
    }
    exec->record.state = EXEC_DONE;
    error_free(exec_save(shim, exec)); /* a successor would find it dead and finish it again, by the pidfd */
    exec_drop_fd(shim, exec, EXEC_PIDFD);
    if (token->session)
        tell(token->session, &exec->record);
}

static void exec_nothing(struct shim *shim, struct exec *exec)
{
    (void)shim;
    (void)exec;
}

const struct exec_user exec_session_user = {
    .size = sizeof(struct exec),
    .began = exec_began,
    .failed = exec_failed,
    .ended = exec_ended,
    .resumed = exec_began,
    .closing = exec_nothing,
};

/* --- START -------------------------------------------------------------------------------------------------------- */

/* A predecessor may have bound it already. */
static struct error *console_bind(const struct shim *shim, const char *secret, int socket, char **ret_path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    autofree char *path = exec_console_path(shim, secret);

    if (strlen(path) >= sizeof(address.sun_path))
        return error_new(ERROR_INTERNAL, "the console socket's path %s is too long", path);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    bool is_bound = access(path, F_OK) == 0;
    if (!is_bound && bind(socket, (struct sockaddr *)&address, sizeof(address)) < 0)
        return error_errno(errno, "bind the console socket");
    if (listen(socket, 1) < 0)
        return error_errno(errno, "listen at the console socket");
    *ret_path = TAKE(path);
    return NULL;
}

static void stdio_of(const struct session *session, int stdio[3])
{
    uint32_t flags = session->token->record.flags;
    size_t next = 0;

    stdio[0] = flags & STREAM_STDIN ? session->fds[next++] : -1;
    stdio[1] = flags & STREAM_STDOUT ? session->fds[next++] : -1;
    stdio[2] = flags & STREAM_STDERR ? session->fds[next++] : -1;
}

static struct error *exec_run(struct shim *shim, struct session *session, struct exec *exec,
                              struct container *container)
{
    const struct token *token = session->token;
    autofree char *console = NULL;
    int stdio[3] = {-1, -1, -1};

    if (token->record.flags & STREAM_TTY)
        TRY(console_bind(shim, token->secret, session->fds[0], &console));
    else
        stdio_of(session, stdio);
    return exec_begin(shim, exec, container, stdio, console);
}

static struct error *exec_begin_new(struct shim *shim, struct session *session)
{
    const char *id = session->token->record.container;
    struct container *container = container_find(shim, id);

    if (session->fd_count == 0)
        return error_new(ERROR_ABORTED, "exec lost with its shim");
    if (!container || container->is_deleting)
        return error_new(ERROR_NOT_FOUND, "no container %s", id);
    if (container->record.state != SHIM_CONTAINER_RUNNING)
        return error_new(ERROR_FAILED_PRECONDITION, "container %s does not run", id);
    struct exec *exec = exec_new(shim, session->token->secret);
    struct error *failure = exec_run(shim, session, exec, container);
    if (failure)
        exec_forget(shim, exec);
    else
        session_drop_fds(session); /* the runtime has them */
    return failure;
}

/* A successor's turn: without proof that the runtime ran it is begun again. */
static struct error *exec_begin_again(struct shim *shim, struct session *session, struct exec *exec)
{
    TRY(exec_check_lost(shim, exec));
    exec_forget(shim, exec);
    return exec_begin_new(shim, session);
}

static void start_again(struct shim *shim, void *owner)
{
    session_exec_start(shim, owner);
}

void session_exec_start(struct shim *shim, struct session *session)
{
    struct exec *exec = exec_find(shim, session->token->secret);
    struct error *failure = NULL;

    FAILPOINT("shim.stream.before_start");
    if (!exec) {
        failure = exec_begin_new(shim, session);
    } else if (exec->record.state == EXEC_BEGUN && exec->is_adopted && shim->is_adopting) { /* see execs_settle() */
        session->again = (struct timer){.fire = start_again, .owner = session};
        loop_arm(&shim->loop, &session->again, RETRY_MS);
    } else if (exec->record.state == EXEC_BEGUN && exec->is_adopted) {
        failure = exec_begin_again(shim, session, exec);
    } else {
        tell(session, &exec->record);
    }
    if (!failure)
        return;
    session_drop_fds(session);
    session_fail(session, 0, error_wrap(failure, "exec"));
}

/* --- the session's end: what runs goes on, with nobody at its other ends ------------------------------------------ */

void session_exec_closed(struct shim *shim, struct token *token)
{
    struct exec *exec = exec_find(shim, token->secret);

    if (exec && exec->record.state == EXEC_DONE)
        exec_forget(shim, exec);
}

bool session_execs_sweep(struct shim *shim)
{
    bool is_left = false;

    for (struct exec *exec = shim->execs, *next; exec; exec = next) {
        next = exec->next;
        if (exec->user != &exec_session_user || exec->record.state == EXEC_RUNS || token_find(shim, exec->name))
            continue;
        if (shim->is_adopting || !exec->is_adopted) {
            is_left = true;
            continue;
        }
        exec_remove_files(shim, exec->name);
        exec_forget(shim, exec);
    }
    return is_left;
}
