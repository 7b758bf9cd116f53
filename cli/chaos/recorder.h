/* All that happened in a run, by whichever thread: calls, kills, broken promises, and what is under way now. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>

#include "cli/chaos/rpc.h"
#include "cli/chaos/target.h"
#include "common/error.h"

enum { POD_ID_SIZE = 65, DETAIL_SIZE = 48, RPC_SET_SIZE = 256 };

/* Times are CLOCK_BOOTTIME's. */
struct call_record {
    int64_t start_ns, end_ns;
    enum rpc rpc;
    enum error_code code;
    bool is_excused; /* it failed as design says that it may: its server, or the program run for it, was killed */
};

struct kill_record {
    int64_t at_ns, dead_ns, settled_ns; /* 0: not yet */
    pid_t pid;
    int signal;
    enum target target;
    char pod[POD_ID_SIZE];    /* of a shim and its children, else empty */
    char detail[DETAIL_SIZE]; /* "crun create", else empty */
    bool was_ready, had_work;
    char work[RPC_SET_SIZE];  /* the calls under way that concerned it, "RunPodSandbox PullImage", or other work */
};

enum violation_kind {
    VIOLATION_CALL,     /* failed without an excuse */
    VIOLATION_REFUSAL,  /* of a retry: the name is reserved, ALREADY_EXISTS */
    VIOLATION_EXIT,     /* a wrong exit code or reason */
    VIOLATION_OUTPUT,   /* of an exec */
    VIOLATION_LOG,      /* lines lost, doubled, torn */
    VIOLATION_STUCK,    /* an object that does not go on */
    VIOLATION_ADDRESS,  /* none, or another pod's */
    VIOLATION_LIST,     /* what is there is not listed, or what is gone is */
    VIOLATION_SESSION,  /* a streaming session that was cut or answered wrongly */
    VIOLATION_REPLACED, /* a victim without a successor, a hang that was not healed */
    VIOLATION_REMAINS,  /* something is left at the end */
    VIOLATION_COUNT
};

struct violation {
    int64_t at_ns;
    enum violation_kind kind;
    char *text;
};

const char *violation_name(enum violation_kind kind);

struct recorder;

/* slots: threads that make calls, by number. */
struct recorder *recorder_new(size_t slots);
void recorder_free(struct recorder *recorder);

/* Around each attempt of a call. pod: whose it is, or NULL. */
void recorder_begin(struct recorder *recorder, size_t slot, enum rpc rpc, const char *pod);

/* Says whether a failure is excused. failure NULL: it succeeded. What is neither becomes a violation, unless it is
 * expected, as NOT_FOUND after a removal; ERROR_OK: nothing is. */
bool recorder_end(struct recorder *recorder, size_t slot, const struct error *failure, enum error_code expected);

/* The same for a session, whose end its caller judges. */
void recorder_end_session(struct recorder *recorder, size_t slot, enum error_code code, bool is_excused);

/* Was what went wrong between start and now, for that pod, due to a kill of the process that only it depends on? */
bool recorder_is_excused(struct recorder *recorder, enum target target, const char *pod, int64_t start_ns);

void recorder_violation(struct recorder *recorder, enum violation_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A kill, before its signal is sent; returns its number. The others are called later. */
size_t recorder_kill(struct recorder *recorder, const struct kill_record *kill);
void recorder_kill_dead(struct recorder *recorder, size_t number);
void recorder_kill_settled(struct recorder *recorder, size_t number);

/* The calls under way that are in the set (a bit for each enum rpc) and, if pod is not NULL, of that pod: their names, each
 * once. "": none. */
void recorder_under_way(struct recorder *recorder, uint32_t set, const char *pod, char ret[RPC_SET_SIZE]);

/* When a call last succeeded; 0: never. */
int64_t recorder_last_success_ns(struct recorder *recorder);

/* What a worker decided for a pod's life; takes the reference. */
void recorder_life(struct recorder *recorder, json_t *life);

/* So that containers' exit codes differ. */
unsigned recorder_number(struct recorder *recorder);

/* What was checked and found well. */
struct tally {
    size_t pods, containers, log_lines, execs, sessions, cut_sessions, lists, pulls;
};
void recorder_tally(struct recorder *recorder, const struct tally *more);

/* All of it, the recorder's; only the counts while other threads still run. */
struct record {
    const struct call_record *calls;
    size_t call_count;
    const struct kill_record *kills;
    size_t kill_count;
    const struct violation *violations; /* the first thousand */
    size_t violation_count;
    size_t by_kind[VIOLATION_COUNT], violation_total;
    struct tally tally;
    json_t *lives;
};
void recorder_read(struct recorder *recorder, struct record *ret);
