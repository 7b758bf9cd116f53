/* A container as its shim knows it: the record on disk (ctr/CID, its exit record too) and the descriptors. */
#pragma once

#include "common/process_id.h"
#include "common/shim_protocol.h"
#include "services/sandboxd/shim/cgroup.h"
#include "services/sandboxd/shim/job.h"
#include "services/sandboxd/shim/loop.h"

/* Of a record's flags, beside SHIM_FLAG_*: stdin has been closed for good. */
enum { CONTAINER_STDIN_ENDED = 1 << 16 };

enum { CONTAINER_VERSION = 1, CONTAINER_PATH_SIZE = 1024, CONTAINER_RETRY_MS = 3 };

/* ctr/CID, written beside and renamed at each move. */
struct container_record {
    uint32_t state;           /* enum shim_container_state */
    uint32_t flags;           /* SHIM_FLAG_* */
    struct process_id process; /* the first process; pid 0 while CREATING */
    int32_t status;           /* of EXITED: wait status */
    uint32_t is_unknown;
    uint32_t is_oom;
    uint32_t is_acknowledged;
    int64_t started_ns;       /* REALTIME */
    int64_t exited_ns;
    uint64_t log_generation;  /* of the file that is written */
    char runtime[CONTAINER_PATH_SIZE];
    char handler[72];         /* the runtime's directory is rt/HANDLER */
    char bundle[CONTAINER_PATH_SIZE];
    char cgroup[CGROUP_PATH_SIZE];
    char log_path[CONTAINER_PATH_SIZE];
    char step_cgroup[JOB_CGROUP_SIZE]; /* of STARTING: where the runtime's start runs */
};

/* What the keeper's store has too, under CID.SUFFIX. */
enum container_fd {
    CONTAINER_OUT,         /* read ends */
    CONTAINER_ERR,
    CONTAINER_IN,          /* write end */
    CONTAINER_STAGE_READ,  /* logd's private pipe, both ends */
    CONTAINER_STAGE_WRITE,
    CONTAINER_NOTE,        /* memfd */
    CONTAINER_LOG,         /* O_PATH, so that nobody's close() waits for the file system */
    CONTAINER_LOG_NEXT,    /* the same, during a rotation */
    CONTAINER_TERMINAL,    /* pty master */
    CONTAINER_PIDFD,
    CONTAINER_PID_NAMESPACE, /* once another container has asked to join it */
    CONTAINER_FD_COUNT,
};

struct container {
    struct container *next;
    char id[72];
    struct container_record record;
    int fds[CONTAINER_FD_COUNT]; /* -1: none */
    bool is_adopted;       /* its parent is the keeper or the backstop, not we */
    bool is_undone;        /* CREATING of a predecessor or a failed create: goes, asked or not */
    bool is_draining;      /* logd was asked */
    bool is_published;     /* the exit may be told */
    bool is_log_leaving;   /* logd was asked to forget it */
    bool is_log_gone;
    unsigned telling;      /* number of the telling under way (logd_tell.c); 0: none */
    bool tells_again;      /* something has changed meanwhile */
    bool is_untold;        /* its files could not be opened for logd, or its attach sessions are awaited */
    bool is_deleting;      /* a delete has it: by a step or an undo */
    struct job *runtime;   /* its create or start that runs now, or NULL */
    struct source death;   /* pidfd of an adopted one */
    struct timer dying;    /* polls until an adopted one is reaped; then: until the cgroup is empty, then the drain's limit */
    int64_t limit_ns;      /* of that wait, BOOTTIME */
    int zombie_status;     /* read off the zombie of an adopted one, */
    bool has_zombie_status; /* if it could be */
};

struct container *container_new(struct shim *shim, const char *id);
struct container *container_find(const struct shim *shim, const char *id);

/* Closes its fds, takes them out of the store, removes the record, and frees it. */
void container_forget(struct shim *shim, struct container *container);

/* Writes the record. */
struct error *container_save(struct shim *shim, const struct container *container) __attribute__((warn_unused_result));

/* Moves to a state and writes it; moves that the table does not have are INTERNAL. */
struct error *container_move(struct shim *shim, struct container *container, uint32_t state)
    __attribute__((warn_unused_result));

const char *container_fd_suffix(enum container_fd which);

/* Gives it an fd (taken over), in the store too. */
void container_keep_fd(struct shim *shim, struct container *container, enum container_fd which, int fd);
void container_drop_fd(struct shim *shim, struct container *container, enum container_fd which);

/* Puts all its fds into the store. */
void container_store(struct shim *shim, const struct container *container);

bool container_has_log(const struct container *container);
bool container_lives(const struct container *container);
char *container_fifo_path(const struct shim *shim, const struct container *container);

/* Holds the PID namespace of a running container until it is forgotten; *ret_fd stays the container's. FAILED_PRECONDITION
 * where it does not run. */
struct error *container_pid_namespace(struct shim *shim, const char *id, int *ret_fd) __attribute__((warn_unused_result));

/* A task comes into the mount namespace of a container that lives, its root there. NOT_FOUND where it does not. */
struct error *container_enter_mounts(const struct shim *shim, const char *id) __attribute__((warn_unused_result));

/* --- its exit: container_exit.c ----------------------------------------------------------------------------------- */

/* A child of ours is a zombie (not yet reaped): notes the exit, reaps, kills the rest, drains, tells. */
void container_exited(struct shim *shim, struct container *container);

/* An adopted one: watches it, and notes the exit from whoever reaped it. */
void container_watch(struct shim *shim, struct container *container);

/* The rest of an exit that is on record: kill, drain, tell. */
void container_finish_exit(struct shim *shim, struct container *container);

/* What is known of a process that another has reaped: a keeper's or backstop's record, else its pidfd (or -1). */
bool exit_status_find(struct shim *shim, const struct process_id *process, int pidfd, int *ret_status,
                      int64_t *ret_time_ns);
void container_drained(struct shim *shim, struct container *container);
void container_acknowledge(struct shim *shim, struct container *container);

/* --- its log: container_log.c ------------------------------------------------------------------------------------- */

struct error *container_log_init(struct shim *shim, struct container *container) __attribute__((warn_unused_result));
void container_log_moved(struct shim *shim, struct container *container, uint64_t generation);
void container_log_leave(struct shim *shim, struct container *container);
void container_log_removed(struct shim *shim, struct container *container);
job_task log_file_open;

/* --- its runtime: runtime.c --------------------------------------------------------------------------------------- */

/* Runs `RUNTIME --root ... VERB`; the arguments end with NULL. Errors are in the log file number *ret_log of tmp. */
struct error *runtime_run(struct shim *shim, const struct container *container, char *const *arguments,
                          const int stdio[3], int64_t timeout_ms, job_done *done, void *argument, unsigned *ret_log,
                          struct job **ret_job) __attribute__((warn_unused_result));

/* NULL if the job ended well, else an error with the runtime's own words. Removes the log file. */
struct error *runtime_result(struct shim *shim, const struct job *job, unsigned log, const char *verb)
    __attribute__((warn_unused_result));

/* Is it our child, by /proc/PID/stat? A zombie is too. */
bool process_is_child(pid_t pid);

/* Sends a signal; -1 and one that has ended are fine. */
void pidfd_signal(int pidfd, int number);

/* --- its end: container_delete.c ---------------------------------------------------------------------------------- */

/* Ends one that no step asks for any more (a create that failed or was cut short), in the loop. */
void container_undo(struct shim *shim, struct container *container);

/* --- exec_process.c -------------------------------------------------------------------------------------------------- */

/* The process of a pid file that a runtime wrote after begun_ns (BOOTTIME): living, a zombie, or known by an exit record.
 * NOT_FOUND where it is none of these. */
struct error *exec_process_find(const struct shim *shim, pid_t pid, int64_t begun_ns, struct process_id *ret)
    __attribute__((warn_unused_result));
