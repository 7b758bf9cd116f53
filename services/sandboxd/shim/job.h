/* The children that the shim runs to their end: programs, and tasks (functions of ours that may block, run in a fork). This is
 * the one place that starts processes. */
#pragma once

#include "common/wire.h"
#include "services/sandboxd/shim/loop.h"

enum { JOB_FDS_MAX = 8, JOB_CGROUP_SIZE = 576 };

struct job;
typedef void job_done(struct shim *shim, struct job *job);

/* What a task hands back: wire fields for the step's result, and descriptors. */
struct task_output {
    struct wire_writer fields;
    int fds[JOB_FDS_MAX]; /* sent, then closed */
    size_t fd_count;
};

/* Runs in the child: may block, must not touch the loop. Input is the parent's memory as it was at the fork. */
typedef struct error *job_task(const struct shim *shim, void *input, struct task_output *output);

struct program {
    const char *path;         /* absolute; NULL: argv[0] */
    char *const *argv;
    char *const *environment; /* NULL: PATH alone */
    int stdio[3];             /* -1: /dev/null. They stay the caller's */
    pid_t oom_score_of;       /* begins with this process's oom_score_adj; 0: the shim's, but none below 0 */
    bool is_awaited;          /* a successor lets it end by itself, instead of killing it: half of it would do harm */
};

/* A program's cgroup is POD/step/SHIM.SERIAL, with this behind it where a successor waits. */
#define JOB_AWAITED_SUFFIX ".awaited"

struct job {
    struct job *next;
    pid_t pid;              /* 0 once it is reaped */
    int status;             /* wait status, at `done` */
    bool is_timed_out;
    char cgroup[JOB_CGROUP_SIZE]; /* of a program: its own below POD/step; "" for a task */
    int result_fd;          /* of a task; else -1 */
    struct error *error;    /* at `done` of a task: its error, or how it died. Owned */
    struct wire_writer fields;
    int fds[JOB_FDS_MAX];   /* a task's; `done` may take them (TAKE_FD) */
    size_t fd_count;
    struct timer limit;
    struct timer killing;
    job_done *done;         /* called once, after the reaping, and after all that a failed program has left is gone; the job is
                               freed behind it */
    void *argument;
};

/* Both: *ret_job is the shim's, valid until `done` returns. timeout_ms 0: no limit. At the limit the job is killed with
 * all that it started, and done sees is_timed_out. */
struct error *job_run(struct shim *shim, const struct program *program, int64_t timeout_ms, job_done *done, void *argument,
                      struct job **ret_job) __attribute__((warn_unused_result));
struct error *job_task_run(struct shim *shim, job_task *task, void *input, int64_t timeout_ms, job_done *done,
                           void *argument) __attribute__((warn_unused_result));

/* Runs a task and waits for it: only where the loop does not run yet. The caller frees fields and closes fds. */
struct error *job_task_wait(struct shim *shim, job_task *task, void *input, struct task_output *ret_output)
    __attribute__((warn_unused_result));

/* The job's limit is no further than in_ms from now. */
void job_hurry(struct shim *shim, struct job *job, int64_t in_ms);

/* Takes one of a finished task's descriptors over; -1 where it handed over fewer. */
int job_take_fd(struct job *job, size_t index);

/* The job with that pid, or NULL; and what to do once it is a zombie: reaps it and calls done. */
struct job *job_find(const struct shim *shim, pid_t pid);
void job_exited(struct shim *shim, struct job *job);

/* Is a program running whose children may become ours at any moment? */
bool job_has_program(const struct shim *shim);

/* The text of a wait status, "exit status 1" or "signal 9"; the caller frees it. */
char *wait_status_text(int status);
