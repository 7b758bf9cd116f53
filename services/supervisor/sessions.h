/* The streaming sessions' processes: one always waits for the next connection, and each serves one. They accept themselves, so that no
 * connection is in the hands of a supervisor that dies. */
#pragma once

#include <stdbool.h>

#include "common/keeper_protocol.h"
#include "services/supervisor/notify.h"
#include "services/supervisor/restart.h"

/* At once; beyond SESSIONS_MAX connections wait in the socket's queue. Unproven: accepted, and no valid token shown yet. */
enum { SESSIONS_MAX = 1024, SESSIONS_UNPROVEN_MAX = 64 };

enum session_state {
    SESSION_WAITS, /* for a connection */
    SESSION_NEW,   /* has one, that has not shown a token */
    SESSION_OPEN,
};

struct session {
    struct process_id process;
    enum session_state state;
    bool is_missed; /* not in the keeper's list so far */
    char note[NOTIFY_STATUS_SIZE]; /* STATUS= of the process: whose session it is */
};

struct sessions {
    int listener; /* -1: the keeper had none when this supervisor was started */
    struct session *all;
    size_t count;
    int64_t last_start_ns, next_start_ns;
    struct restart restart;
};

struct supervisor;

/* listener stays the caller's. */
void sessions_init(struct sessions *sessions, int listener);

/* Puts a process that the keeper lists into the table; its state is read off its name in /proc. Known ones stay as they are. */
void sessions_adopt(struct supervisor *supervisor, const struct keeper_message *child);

/* Around the keeper's list: those that it does not have are gone. */
void sessions_miss_all(struct sessions *sessions);
void sessions_drop_missed(struct supervisor *supervisor);

/* False: the pid is no session's. */
bool sessions_heard(struct supervisor *supervisor, const struct notify_message *message);
bool sessions_ended(struct supervisor *supervisor, const struct keeper_message *exit);

/* Starts the next process if one is wanted: none waits, or the one that does lets a connection wait for half a second. */
void sessions_check(struct supervisor *supervisor);

/* Whether one is wanted. Pure. is_pending: a connection waits in the socket's queue. */
bool session_is_wanted(const struct sessions *sessions, bool is_pending, int64_t now_ns);

/* The state that a process's name (prctl(2), PR_SET_NAME) tells. Pure. */
enum session_state session_state_of(const char *name);
