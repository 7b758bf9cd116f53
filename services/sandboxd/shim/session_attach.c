/* Attach sessions: which pipes logd copies a container's output to, who gets its input, and when that ends for good. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "common/logd_protocol.h"
#include "common/memory.h"
#include "services/sandboxd/shim/container.h"
#include "services/sandboxd/shim/session.h"
#include "services/sandboxd/shim/shim.h"

enum { PIPE_SIZE = 1 << 20, LOGD_LIMIT_MS = 2000, NUMBER_DIGITS = 16 };

static bool is_attach(const struct session *session)
{
    return session->token && session->token->record.kind == STREAM_ATTACH;
}

/* The same for a successor, so that logd knows the session again. */
static uint64_t number_of(const struct session *session)
{
    char digits[NUMBER_DIGITS + 1];

    snprintf(digits, sizeof(digits), "%.*s", NUMBER_DIGITS, session->token->secret);
    return strtoull(digits, NULL, 16);
}

static bool is_of(const struct session *session, const char *container)
{
    return is_attach(session) && strcmp(session->token->record.container, container) == 0;
}

static struct session *session_of_number(const struct shim *shim, const char *container, uint64_t number)
{
    struct session *session = shim->streams.sessions;

    while (session && !(is_of(session, container) && session->is_start_asked && number_of(session) == number))
        session = session->next;
    return session;
}

/* --- output ------------------------------------------------------------------------------------------------------- */

static void tell_attach(struct shim *shim, const struct container *container, const struct session *session)
{
    bool is_terminal = container->record.flags & SHIM_FLAG_TERMINAL;
    uint32_t flags = session->token->record.flags;
    struct logd_message message = {.type = LOGD_ATTACH, .generation = number_of(session)};
    size_t count = 0;
    int fds[SESSION_FDS_MAX];

    if (flags & STREAM_STDOUT) {
        message.flags |= LOGD_STDOUT;
        fds[count++] = session->fds[0];
    }
    if (flags & STREAM_STDERR && !is_terminal) { /* a terminal has one output */
        message.flags |= LOGD_STDERR;
        fds[count++] = session->fds[session->fd_count - 1];
    }
    if (count)
        logd_link_send(shim, container->id, &message, fds, count);
}

static void tell_detach(struct shim *shim, const struct container *container, const struct token *token)
{
    const struct session named = {.token = (struct token *)token};
    struct logd_message message = {.type = LOGD_DETACH, .generation = number_of(&named)};

    logd_link_send(shim, container->id, &message, NULL, 0);
}

static bool wants_output(const struct session *session, const struct container *container)
{
    bool has_stderr = !(container->record.flags & SHIM_FLAG_TERMINAL);

    return session->fd_count && session->token->record.flags & (STREAM_STDOUT | (has_stderr ? STREAM_STDERR : 0));
}

size_t session_attach_count(const struct shim *shim, const struct container *container)
{
    size_t count = 0;

    for (const struct session *session = shim->streams.sessions; session; session = session->next)
        count += is_of(session, container->id) && session->is_start_asked && wants_output(session, container);
    return count;
}

void session_attach_tell_logd(struct shim *shim, const struct container *container)
{
    for (const struct session *session = shim->streams.sessions; session; session = session->next)
        if (is_of(session, container->id) && session->is_start_asked && wants_output(session, container))
            tell_attach(shim, container, session);
}

bool session_attach_is_awaited(const struct shim *shim, const struct container *container)
{
    if (clock_boottime_ns() >= shim->streams.awaited_until_ns)
        return false;
    for (const struct token *token = shim->streams.tokens; token; token = token->next)
        if (token->record.kind == STREAM_ATTACH && token->record.is_started &&
            strcmp(token->record.container, container->id) == 0 && !(token->session && token->session->is_start_asked))
            return true;
    return false;
}

/* --- input -------------------------------------------------------------------------------------------------------- */

static int input_of(const struct session *session, const struct container *container)
{
    uint32_t wanted = session->token->record.flags;

    if (container->record.flags & SHIM_FLAG_TERMINAL)
        return wanted & (STREAM_TTY | STREAM_STDIN) ? container->fds[CONTAINER_TERMINAL] : -1;
    return wanted & STREAM_STDIN ? container->fds[CONTAINER_IN] : -1;
}

/* On record first: a successor must not find the pipe again in /proc. */
void session_attach_stdin_end(struct shim *shim, struct token *token)
{
    struct container *container = container_find(shim, token->record.container);
    uint32_t once = SHIM_FLAG_STDIN_ONCE | SHIM_FLAG_TERMINAL;

    if (!container || !token->record.is_started || !(token->record.flags & STREAM_STDIN) ||
        (container->record.flags & once) != SHIM_FLAG_STDIN_ONCE || container->record.flags & CONTAINER_STDIN_ENDED)
        return;
    container->record.flags |= CONTAINER_STDIN_ENDED;
    FAILPOINT("shim.stream.before_stdin_end");
    error_free(container_save(shim, container)); /* else a successor may open it once more */
    FAILPOINT("shim.stream.after_stdin_end");
    container_drop_fd(shim, container, CONTAINER_IN);
}

/* --- the end ------------------------------------------------------------------------------------------------------ */

static void tell_ended(struct session *session, enum error_code code, const char *text)
{
    struct stream_message ended = {.type = STREAM_ENDED, .code = (int32_t)code};

    if (!session->is_start_told || session->is_end_told)
        return;
    session->is_end_told = true;
    session_drop_fds(session);
    snprintf(ended.text, sizeof(ended.text), "%s", text);
    session_send(session, &ended, NULL, 0);
}

static void tell_started(struct shim *shim, struct session *session)
{
    const struct container *container = container_find(shim, session->token->record.container);
    struct stream_message started = {.type = STREAM_STARTED, .flags = session->token->record.flags};
    int input = container ? input_of(session, container) : -1;

    if (session->is_start_told)
        return;
    loop_disarm(&shim->loop, &session->again);
    session->is_start_told = true;
    if (!container || !(container->record.flags & SHIM_FLAG_STDIN) || container->record.flags & CONTAINER_STDIN_ENDED)
        started.flags &= ~(uint32_t)STREAM_STDIN;
    if (container && !(container->record.flags & SHIM_FLAG_TERMINAL))
        started.flags &= ~(uint32_t)STREAM_TTY;
    session_send(session, &started, &input, input >= 0 ? 1 : 0);
    if (!container || (container->record.state == SHIM_CONTAINER_EXITED && container->is_published))
        tell_ended(session, ERROR_OK, "");
}

void session_attach_attached(struct shim *shim, const char *container, uint64_t number)
{
    struct session *session = session_of_number(shim, container, number);

    if (session)
        tell_started(shim, session);
}

void session_attach_detached(struct shim *shim, const char *container, uint64_t number, uint64_t missed_bytes)
{
    struct session *session = session_of_number(shim, container, number);

    if (!session || !missed_bytes)
        return; /* asked for, or nobody reads */
    tell_started(shim, session);
    tell_ended(session, ERROR_RESOURCE_EXHAUSTED, "the session is too slow for its container's output");
}

void session_attach_container_ended(struct shim *shim, const struct container *container)
{
    for (struct session *session = shim->streams.sessions; session; session = session->next) {
        if (!is_of(session, container->id) || !session->is_start_asked || session->is_end_told)
            continue;
        if (session->fd_count)
            tell_detach(shim, container, session->token);
        tell_started(shim, session);
        tell_ended(session, ERROR_OK, "");
    }
}

void session_attach_closed(struct shim *shim, struct token *token)
{
    const struct container *container = container_find(shim, token->record.container);

    if (container && container_has_log(container))
        tell_detach(shim, container, token);
    session_attach_stdin_end(shim, token);
}

/* --- START -------------------------------------------------------------------------------------------------------- */

/* Where logd serves this container's log, its answer comes first: what the container says from then on is the
 * session's. */
static void logd_limit(struct shim *shim, void *owner)
{
    tell_started(shim, owner);
}

static struct error *attach_begin(struct shim *shim, struct session *session)
{
    struct token *token = session->token;
    const struct container *container = container_find(shim, token->record.container);

    if (!container || container->record.state == SHIM_CONTAINER_CREATING)
        return error_new(ERROR_NOT_FOUND, "no container %s", token->record.container);
    for (size_t i = 0; i < session->fd_count; i++) {
        fcntl(session->fds[i], F_SETPIPE_SZ, PIPE_SIZE); /* as large as it may be */
        fcntl(session->fds[i], F_SETFL, O_WRONLY | O_NONBLOCK);
    }
    if (!token->record.is_started) {
        token->record.is_started = 1;
        TRY(token_save(shim, token));
    }
    FAILPOINT("shim.stream.before_attach");
    if (!wants_output(session, container) || !container_has_log(container) || container->is_published) {
        tell_started(shim, session);
        return NULL;
    }
    session->again = (struct timer){.fire = logd_limit, .owner = session};
    loop_arm(&shim->loop, &session->again, LOGD_LIMIT_MS);
    if (!container->telling && !container->is_untold)
        tell_attach(shim, container, session);
    return NULL;
}

void session_attach_start(struct shim *shim, struct session *session)
{
    struct error *failure = attach_begin(shim, session);

    if (!failure)
        return;
    session_drop_fds(session);
    session_fail(session, 0, error_wrap(failure, "attach"));
}
