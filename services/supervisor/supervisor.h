/* The supervisor's state: the daemons as it knows them. The main thread writes, under the lock; handlers read. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "common/keeper_protocol.h"
#include "common/service.h"
#include "services/supervisor/heartbeat.h"
#include "services/supervisor/notify.h"
#include "services/supervisor/restart.h"
#include "services/supervisor/sessions.h"

enum { SUPERVISOR_DAEMONS = 4, REASON_SIZE = 48 };

struct daemon {
    const char *name;
    enum keeper_program program;
    int page_fd;               /* its request page; -1 until the store was asked */
    struct process_id process; /* pid 0: none lives */
    uint64_t generation;
    int64_t started_ns; /* BOOTTIME */
    uint32_t restarts;
    enum death_reason last_death;
    char last_reason[REASON_SIZE];
    char note[NOTIFY_STATUS_SIZE]; /* STATUS= of the daemon */
    bool has_run;                  /* a generation has been started or adopted before */
    bool is_ready;
    bool has_served;    /* after READY it answered itself at least once */
    int64_t killed_ns;  /* when we killed it for a hang; 0: not */
    int64_t next_start_ns;
    struct heartbeat heartbeat;
    struct restart restart;
};

/* An EXIT as the keeper told it, until the main thread takes it. */
struct ended {
    struct ended *next;
    struct keeper_message exit;
};

struct supervisor {
    const struct config *config;
    uint64_t generation;
    enum death_reason last_death;
    uint32_t restarts;
    int64_t started_ns;
    int state_fd;
    int exits_dir; /* STATE/keeper/exits */
    int notify_fd;
    int wake_fd; /* eventfd: an exit or a new keeper */
    struct keeper_client *keeper;
    pthread_mutex_t lock; /* of what follows */
    struct daemon daemons[SUPERVISOR_DAEMONS];
    struct sessions sessions;
    struct ended *ended;
    atomic_bool needs_sync; /* ask the keeper who lives: at the start, after a new keeper, after a spawn without an answer */
    atomic_llong passed_ns; /* when the loop last came round, or began to wait for the keeper (then waits is set) */
    atomic_bool waits;
};

extern const struct ipc_method supervisor_methods[];
extern const struct service_privileges supervisor_privileges;

struct error *supervisor_open(void *state, const struct service_context *context);
struct error *supervisor_recover(void *state, const struct service_context *context);
struct error *supervisor_run(void *state);
struct error *supervisor_ping(void *state);
void supervisor_close(void *state);

/* The table of daemons as a record in STATE/supervisor, so that the next supervisor knows who lived and how often. */
void supervisor_save(struct supervisor *supervisor, bool is_ended);
