/* Streaming sessions of a pod: their tokens, their connections, and what each kind of them does
 * (common/stream_protocol.h). */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"
#include "common/stream_protocol.h"
#include "services/sandboxd/shim/loop.h"

struct container;
struct shim;

enum { TOKEN_VERSION = 1, SESSIONS_MAX = 1024, SESSION_FDS_MAX = 3 };

/* streams/SECRET. An exec's process object is tmp/SECRET.json. */
struct token_record {
    uint32_t kind;       /* enum stream_kind */
    uint32_t flags;      /* STREAM_STDIN, ... */
    uint32_t is_burned;  /* by key */
    uint32_t is_started; /* of an attach: it has begun */
    int64_t made_ns;     /* BOOTTIME */
    int64_t expires_ns;
    char boot_id[40];
    char key[STREAM_KEY_SIZE + 7];
    char container[72];
};

struct session;

/* Lives as long as it may be used, and once it is burned as long as its session. */
struct token {
    struct token *next;
    char secret[STREAM_SECRET_SIZE + 7];
    struct token_record record;
    struct session *session; /* whose connection is there now */
    int64_t unjoined_ns;     /* BOOTTIME until when a predecessor's session is waited for */
};

/* A connection. */
struct session {
    struct session *next;
    struct source source;
    struct token *token; /* NULL before OPEN */
    bool is_broken;      /* closed once its handler has returned */
    bool is_superseded;  /* its process has another connection now */
    bool is_start_asked, is_start_told, is_end_told;
    int fds[SESSION_FDS_MAX]; /* EXEC: what was passed, until the command has begun. ATTACH: write ends of stdout and
                                 stderr */
    size_t fd_count;
    struct timer again;
};

struct streams {
    struct source listener;
    uid_t uid;     /* stream's user; root may as well */
    int tokens_fd; /* directory streams */
    struct token *tokens;
    struct session *sessions;
    size_t session_count;
    struct timer sweep;
    int64_t awaited_until_ns; /* BOOTTIME: a successor waits so long for sessions before it tells logd of their
                                 containers */
};

/* --- session.c: connections --------------------------------------------------------------------------------------- */

/* Binds STATE/shim/POD/stream. */
struct error *sessions_open(struct shim *shim) __attribute__((warn_unused_result));

/* Sends, or marks the session as broken: one that reads no answers is not waited for. The descriptors stay the
 * caller's. */
void session_send(struct session *session, struct stream_message *message, const int *fds, size_t fd_count);

/* FAILED; takes the error. */
void session_fail(struct session *session, uint32_t serial, struct error *failure);
void session_drop_fds(struct session *session);

/* The pod is being torn down: no port-forward goes on. */
void sessions_pod_gone(struct shim *shim);

/* --- token.c ------------------------------------------------------------------------------------------------------ */

void tokens_load(struct shim *shim); /* a successor's */
struct token *token_find(const struct shim *shim, const char *secret);
struct error *token_save(struct shim *shim, const struct token *token) __attribute__((warn_unused_result));

/* The token for that OPEN, burned with its key from now on. NOT_FOUND: there is none for it (any more). */
struct error *token_open(struct shim *shim, const struct stream_message *open, struct token **ret)
    __attribute__((warn_unused_result));
void token_forget(struct shim *shim, struct token *token);

/* A container is forgotten, and with it the tokens that nobody has used. */
void tokens_container_gone(struct shim *shim, const char *container);

/* --- session_exec.c ----------------------------------------------------------------------------------------------- */

void session_exec_start(struct shim *shim, struct session *session);
void session_exec_closed(struct shim *shim, struct token *token);

/* Forgets execs that were lost with a shim and have no session any more. True: some may be found later. */
bool session_execs_sweep(struct shim *shim);

/* --- session_attach.c --------------------------------------------------------------------------------------------- */

void session_attach_start(struct shim *shim, struct session *session);
void session_attach_stdin_end(struct shim *shim, struct token *token);
void session_attach_closed(struct shim *shim, struct token *token);

/* logd's answers; number is the session's. */
void session_attach_attached(struct shim *shim, const char *container, uint64_t number);
void session_attach_detached(struct shim *shim, const char *container, uint64_t number, uint64_t missed_bytes);

/* How many of its sessions logd is to know, and telling it of them, behind the container's ADD. */
size_t session_attach_count(const struct shim *shim, const struct container *container);
void session_attach_tell_logd(struct shim *shim, const struct container *container);

/* Are there sessions of a predecessor's that have not come back yet, and are waited for? What a new logd read meanwhile
 * would be lost to them. */
bool session_attach_is_awaited(const struct shim *shim, const struct container *container);

/* The container's exit is published (or it is being forgotten): its sessions end. */
void session_attach_container_ended(struct shim *shim, const struct container *container);

/* --- session_forward.c -------------------------------------------------------------------------------------------- */

void session_forward_connect(struct shim *shim, struct session *session, const struct stream_message *message);
