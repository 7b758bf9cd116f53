/* A command that an OCI runtime begins in a container, for ExecSync or for a streaming session: begun at most once,
 * with its true status, over a shim's death too. What runs is on record (exec/NAME), its descriptors are in the store.
 */
#pragma once

#include "common/process_id.h"
#include "services/sandboxd/shim/job.h"
#include "services/sandboxd/shim/loop.h"

struct container;

enum { EXEC_VERSION = 1, EXEC_NAME_SIZE = 40, EXEC_SYNC_NAME_LENGTH = 16, EXEC_SESSION_NAME_LENGTH = 32 };
enum exec_state { EXEC_BEGUN = 1, EXEC_RUNS, EXEC_DONE };

struct exec_record {
    uint64_t step;  /* of SHIM_EXEC; 0: of a session */
    uint32_t state; /* enum exec_state */
    int32_t status;
    uint32_t is_timed_out;
    uint32_t is_ended;   /* the process is reaped, or about to be: status is its own */
    int64_t deadline_ns; /* BOOTTIME; 0: none */
    int64_t begun_ns;    /* BOOTTIME */
    struct process_id process;
    char container[72];
    int32_t shim_pid; /* the runtime's log is tmp/SHIM_PID.LOG.log: it makes it before all else */
    uint32_t log;
    char step_cgroup[JOB_CGROUP_SIZE]; /* where the runtime's exec runs */
    uint32_t is_unknown; /* the status could not be had. Absent in records of older shims, as all that follows */
    uint32_t reserved;
};

/* In the store as NAME.SUFFIX. All but the pidfd are an ExecSync's: the pipes' read ends, the memfds. */
enum exec_fd { EXEC_OUT, EXEC_ERR, EXEC_OUT_FILE, EXEC_ERR_FILE, EXEC_PIDFD, EXEC_FD_COUNT };

struct exec;

/* Whose exec it is. Each struct of a user's begins with its struct exec. */
struct exec_user {
    size_t size;
    void (*began)(struct shim *shim, struct exec *exec); /* its process runs, and is on record */
    void (*failed)(struct shim *shim, struct exec *exec,
                   struct error *failure);               /* it never began: forgets it. Takes the error */
    void (*ended)(struct shim *shim, struct exec *exec); /* its status is on record */
    void (*resumed)(struct shim *shim,
                    struct exec *exec); /* a successor has record and descriptors, or has found out that it RUNS */
    void (*closing)(struct shim *shim, struct exec *exec); /* it is being forgotten */
};
extern const struct exec_user exec_sync_user;    /* exec_sync.c */
extern const struct exec_user exec_session_user; /* session_exec.c */

struct exec {
    struct exec *next;
    const struct exec_user *user;
    char name[EXEC_NAME_SIZE]; /* the step's id in EXEC_SYNC_NAME_LENGTH hexadecimal digits, or a session's secret */
    struct exec_record record;
    int fds[EXEC_FD_COUNT];
    bool is_adopted;
    unsigned log;         /* of the runtime */
    struct timer reaping; /* of an adopted one: until somebody has reaped it */
};

/* --- exec.c: what is kept ----------------------------------------------------------------------------------------- */

struct exec *exec_new(struct shim *shim, const char *name);
struct exec *exec_find(const struct shim *shim, const char *name);
void exec_forget(struct shim *shim, struct exec *exec);
struct error *exec_save(struct shim *shim, const struct exec *exec) __attribute__((warn_unused_result));
void exec_keep_fd(struct shim *shim, struct exec *exec, enum exec_fd which, int fd); /* takes it */
void exec_drop_fd(struct shim *shim, struct exec *exec, enum exec_fd which);

/* A successor's: records first, then each descriptor of the store, then each exec's user hears of it. */
void exec_adopt_all(struct shim *shim);
void exec_take_fd(struct shim *shim, const char *name, int fd);
void exec_store_all(struct shim *shim);

/* --- exec_begin.c ------------------------------------------------------------------------------------------------- */

/* tmp/NAME.json: the process object that exec_begin() hands to the runtime. */
struct error *exec_write_process(struct shim *shim, const char *name, const char *process)
    __attribute__((warn_unused_result));
void exec_remove_files(struct shim *shim, const char *name);

/* Where its runtime finds the socket for a terminal; the caller frees it. */
char *exec_console_path(const struct shim *shim, const char *name);

/* Notes that it is BEGUN and starts the runtime; user->began or ->failed follows. stdio stays the caller's, -1:
 * /dev/null. console: the socket that gets the terminal, or NULL. On an error nothing was begun, and the exec is the
 * caller's to forget. */
struct error *exec_begin(struct shim *shim, struct exec *exec, struct container *container, const int stdio[3],
                         const char *console) __attribute__((warn_unused_result));

/* Of one that is BEGUN and adopted, when the adoption is over: did its runtime run? Without that proof it may be begun
 * again; the other is ABORTED in that case, with what the runtime said. */
bool exec_may_have_run(const struct shim *shim, const struct exec *exec);
struct error *exec_check_lost(const struct shim *shim, const struct exec *exec) __attribute__((warn_unused_result));

/* --- exec_end.c --------------------------------------------------------------------------------------------------- */

/* Is it the process of an exec that was begun here? Then its end is noted and it is reaped. */
bool exec_is_own_child(struct shim *shim, pid_t pid);

void exec_resume_all(struct shim *shim); /* a successor takes them up; */
void execs_settle(struct shim *shim);    /* and those that a runtime was still starting, once that has ended */
