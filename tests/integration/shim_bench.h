/* A workbench for shims: a keeper, this process as its backstop, bundles for crun and runc, and sandboxd's side of the wire. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/shim_protocol.h"
#include "common/wire.h"

struct bench {
    char directory[64];
    char state[80];
    char root[80];
    char failpoints[80];
    char cgroup[64];   /* "/bhshim-PID": the parent of all pods' */
    pid_t keeper;
    bool has_keeper_restart; /* the backstop starts another at its death */
};

/* An exit as it was reported. */
struct bench_exit {
    char container[72];
    int status;
    bool is_unknown, is_oom;
    unsigned reports; /* distinct connections may repeat it; counted until the acknowledgement */
};

struct bench_pod {
    struct bench *bench;
    char id[72];
    char cgroup[160];
    int socket;        /* -1: not connected */
    pid_t shim;        /* of the last HELLO */
    uint64_t next_step;
    bool acks;         /* exits are acknowledged as they come */
    struct bench_exit exits[64];
    size_t exit_count;
};

struct bench_reply {
    int32_t code;
    uint8_t *data;
    size_t size;
    int fds[8];
    size_t fd_count;
};

/* Enters a mount namespace of its own, becomes a subreaper, starts the keeper. Fails the test on any error. */
void bench_open(struct bench *bench);

/* Ends the keeper, and checks that no process, mount, cgroup or file of the pods is left. */
void bench_close(struct bench *bench);

/* Both as the group fixture of cmocka; the bench lives as long as the program. */
int bench_fixture_open(void **state);
int bench_fixture_close(void **state);

/* The backstop's duty: records and reaps orphans, restarts the keeper. Called by all that waits here. */
void bench_turn(struct bench *bench);
void bench_sleep(struct bench *bench, unsigned ms);
void bench_failpoint(struct bench *bench, const char *name, const char *order);
void bench_failpoint_clear(struct bench *bench, const char *name);
bool bench_failpoint_was_hit(struct bench *bench, const char *name);

void bench_pod_open(struct bench *bench, struct bench_pod *pod, const char *id);

/* Tears down, quits, disconnects. */
void bench_pod_close(struct bench_pod *pod);

/* Kills the pod's shim, whichever it is. */
void bench_pod_kill_shim(struct bench_pod *pod);

/* Sends a step and waits for its result, over dead shims (a new one is spawned to adopt), for at most 60 s. The caller
 * ends the reply. The same step may be sent again by its id (0: a new one). */
int32_t bench_call(struct bench_pod *pod, uint64_t step, enum shim_type type, struct wire_writer *fields,
                   struct bench_reply *ret);
void bench_reply_fini(struct bench_reply *reply);
const char *bench_reply_text(const struct bench_reply *reply, uint16_t tag);
uint64_t bench_reply_u64(const struct bench_reply *reply, uint16_t tag);

/* Connects (spawning where needed) and takes what comes for ms milliseconds. */
void bench_pod_listen(struct bench_pod *pod, unsigned ms);

/* Steps that tests make over and over; each returns the code. */
int32_t bench_setup(struct bench_pod *pod, bool own_pid_namespace);
int32_t bench_create(struct bench_pod *pod, const char *id, const char *runtime, const char *script, const char *log_path,
                     bool terminal);
int32_t bench_start(struct bench_pod *pod, const char *id);
int32_t bench_simple(struct bench_pod *pod, enum shim_type type, const char *id);
int32_t bench_exec(struct bench_pod *pod, uint64_t step, const char *id, const char *script, unsigned timeout_ms,
                   int *ret_status, char *output, size_t size);

/* Waits for the exit to be reported, at most 30 s; NULL if it is not. */
const struct bench_exit *bench_wait_exit(struct bench_pod *pod, const char *id);
