/* How children are started, limited and reaped. */
#include "services/sandboxd/shim/job.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "common/clock.h"
#include "common/failpoint.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/memory.h"
#include "services/sandboxd/shim/children.h"
#include "services/sandboxd/shim/shim.h"

enum { TASK_RESULT_MAX = 64 << 10, EXIT_NOT_RUN = 127, KILL_INTERVAL_MS = 5, NS_PER_MS = 1000000 };

static char *const default_environment[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL};

char *wait_status_text(int status)
{
    if (WIFSIGNALED(status))
        return xasprintf("signal %d", WTERMSIG(status));
    return xasprintf("exit status %d", WEXITSTATUS(status));
}

struct job *job_find(const struct shim *shim, pid_t pid)
{
    struct job *job = shim->jobs;

    while (job && job->pid != pid)
        job = job->next;
    return job;
}

int job_take_fd(struct job *job, size_t index)
{
    return index < job->fd_count ? TAKE_FD(job->fds[index]) : -1;
}

bool job_has_program(const struct shim *shim)
{
    for (const struct job *job = shim->jobs; job; job = job->next)
        if (job->cgroup[0])
            return true;
    return false;
}

static void job_free(struct job *job)
{
    for (size_t i = 0; i < job->fd_count; i++)
        if (job->fds[i] >= 0)
            close(job->fds[i]);
    if (job->result_fd >= 0)
        close(job->result_fd);
    wire_writer_fini(&job->fields);
    error_free(job->error);
    free(job);
}

static void job_kill(struct shim *shim, void *owner)
{
    struct job *job = owner;

    if (job->cgroup[0])
        cgroup_kill(&shim->cgroups, job->cgroup);
    kill(job->pid, SIGKILL);
    loop_arm(&shim->loop, &job->killing, KILL_INTERVAL_MS);
}

static void job_limit(struct shim *shim, void *owner)
{
    struct job *job = owner;

    job->is_timed_out = true;
    job_kill(shim, job);
}

void job_hurry(struct shim *shim, struct job *job, int64_t in_ms)
{
    int64_t until_ns = clock_boottime_ns() + in_ms * NS_PER_MS;

    if (job->pid && (!job->limit.when_ns || job->limit.when_ns > until_ns) && !job->is_timed_out)
        loop_arm(&shim->loop, &job->limit, in_ms);
}

static struct job *job_add(struct shim *shim, pid_t pid, int64_t timeout_ms, job_done *done, void *argument)
{
    struct job *job = xcalloc(1, sizeof(*job));

    job->pid = pid;
    job->result_fd = -1;
    job->done = done;
    job->argument = argument;
    job->limit = (struct timer){.fire = job_limit, .owner = job};
    job->killing = (struct timer){.fire = job_kill, .owner = job};
    job->next = shim->jobs;
    shim->jobs = job;
    if (timeout_ms)
        loop_arm(&shim->loop, &job->limit, timeout_ms);
    return job;
}

/* --- in the child ------------------------------------------------------------------------------------------------- */

/* A child must not outlive a shim that died before it could note it. */
static void child_tie_to_parent(pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_NOT_RUN);
}

static void child_reset_signals(void)
{
    sigset_t none;

    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL); /* ignored ones are inherited over exec */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void child_restore_oom_score(void)
{
    char text[16] = "";
    int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);

    if (fd < 0)
        return;
    if (read(fd, text, sizeof(text) - 1) > 0 && atoi(text) < 0 && write(fd, "0", 1) < 0)
        _exit(EXIT_NOT_RUN);
    close(fd);
}

/* crun gives an exec none of its own. Lowering may be refused: then it stays. */
static void child_take_oom_score(pid_t pid)
{
    char path[48], text[16] = "";

    snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", pid);
    autoclose int from = open(path, O_RDONLY | O_CLOEXEC);
    autoclose int to = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    ssize_t size = from < 0 ? -1 : read(from, text, sizeof(text));
    if (size > 0 && to >= 0 && write(to, text, (size_t)size) < 0)
        return;
}

static bool child_enter_cgroup(const char *procs)
{
    int fd = open(procs, O_WRONLY | O_CLOEXEC);

    return fd >= 0 && write(fd, "0", 1) == 1;
}

static void child_set_stdio(const int stdio[3])
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int copies[3];

    for (int i = 0; i < 3; i++)
        copies[i] = fcntl(stdio[i] >= 0 ? stdio[i] : null, F_DUPFD_CLOEXEC, 3);
    for (int i = 0; i < 3; i++)
        if (dup2(copies[i], i) < 0)
            _exit(EXIT_NOT_RUN);
}

static void child_exec(const struct shim *shim, const struct program *program, const char *procs, pid_t parent)
{
    child_tie_to_parent(parent);
    if (!child_enter_cgroup(procs)) {
        dprintf(program->stdio[2] >= 0 ? program->stdio[2] : STDERR_FILENO, "enter %s: %s\n", procs, strerror(errno));
        _exit(EXIT_NOT_RUN);
    }
    FAILPOINT("shim.child.before_exec");
    prctl(PR_SET_PDEATHSIG, 0);
    if (getppid() != parent)
        _exit(EXIT_NOT_RUN);
    child_restore_oom_score();
    if (program->oom_score_of)
        child_take_oom_score(program->oom_score_of);
    setrlimit(RLIMIT_NOFILE, &shim->nofile);
    child_set_stdio(program->stdio);
    child_reset_signals();
    close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    execve(program->path ? program->path : program->argv[0], program->argv, program->environment ? program->environment : default_environment);
    dprintf(STDERR_FILENO, "%s: %s\n", program->argv[0], strerror(errno));
    _exit(EXIT_NOT_RUN);
}

/* A task that hangs in the kernel outlives the shim: it must hold no socket, pipe or pty of the pod. */
static int child_keep_one_fd(int fd)
{
    if (fd != 3 && dup2(fd, 3) < 0)
        _exit(EXIT_NOT_RUN);
    close_range(4, ~0U, 0);
    fcntl(3, F_SETFD, FD_CLOEXEC);
    return 3;
}

static void child_run_task(const struct shim *shim, job_task *task, void *input, int result_fd, pid_t parent)
{
    struct task_output output = {0};

    child_tie_to_parent(parent);
    result_fd = child_keep_one_fd(result_fd);
    struct error *failure = task(shim, input, &output);
    uint64_t code = failure ? failure->code : ERROR_OK;
    struct wire_writer message = {0};
    wire_put_u64(&message, SHIM_TAG_STATUS, code);
    wire_put_string(&message, SHIM_TAG_TEXT, failure ? failure->text : "");
    wire_put(&message, SHIM_TAG_STDIN, output.fields.data, output.fields.size);
    struct error *unsent = fd_send(result_fd, message.data, message.size, output.fds, failure ? 0 : output.fd_count);
    _exit(unsent ? 1 : 0);
}

/* --- in the shim -------------------------------------------------------------------------------------------------- */

static struct error *job_make_cgroup(struct shim *shim, bool is_awaited, char path[JOB_CGROUP_SIZE], char **ret_procs)
{
    snprintf(path, JOB_CGROUP_SIZE, "%s/step/%d.%u%s", shim->pod.record.cgroup, getpid(), ++shim->serial,
             is_awaited ? JOB_AWAITED_SUFFIX : "");
    TRY(cgroup_make_tracking(&shim->cgroups, path));
    *ret_procs = xasprintf("%s%s/cgroup.procs", shim->cgroups.tracking, path);
    return NULL;
}

struct error *job_run(struct shim *shim, const struct program *program, int64_t timeout_ms, job_done *done, void *argument,
                      struct job **ret_job)
{
    char cgroup[JOB_CGROUP_SIZE];
    autofree char *procs = NULL;
    pid_t parent = getpid();

    TRY(job_make_cgroup(shim, program->is_awaited, cgroup, &procs));
    pid_t pid = fork();
    if (pid < 0)
        return error_errno(errno, "fork for %s", program->argv[0]);
    if (pid == 0)
        child_exec(shim, program, procs, parent);
    struct job *job = job_add(shim, pid, timeout_ms, done, argument);
    snprintf(job->cgroup, sizeof(job->cgroup), "%s", cgroup);
    if (ret_job)
        *ret_job = job;
    return NULL;
}

static struct error *task_fork(struct shim *shim, job_task *task, void *input, pid_t *ret_pid, int *ret_fd)
{
    int pair[2];
    pid_t parent = getpid();

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return error_errno(errno, "socketpair");
    pid_t pid = fork();
    int failure = errno;
    if (pid == 0) {
        close(pair[0]);
        child_run_task(shim, task, input, pair[1], parent);
    }
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        return error_errno(failure, "fork");
    }
    *ret_pid = pid;
    *ret_fd = pair[0];
    return NULL;
}

struct error *job_task_run(struct shim *shim, job_task *task, void *input, int64_t timeout_ms, job_done *done,
                           void *argument)
{
    pid_t pid;
    int fd;

    TRY(task_fork(shim, task, input, &pid, &fd));
    job_add(shim, pid, timeout_ms, done, argument)->result_fd = fd;
    return NULL;
}

/* Takes a task's message apart; fields and fds are the caller's. */
static struct error *task_receive(int socket, struct wire_writer *fields, int fds[FD_PASS_MAX], size_t *ret_count)
{
    autofree uint8_t *message = xmalloc(TASK_RESULT_MAX);
    size_t size;
    uint64_t code = ERROR_INTERNAL;
    const char *text = "";
    struct wire_field field;
    struct error *failure = NULL;

    TRY(fd_receive(socket, message, TASK_RESULT_MAX, &size, fds, ret_count));
    if (size == 0)
        return error_new(ERROR_INTERNAL, "its helper process ended without a result");
    struct wire_reader reader = {.data = message, .size = size};
    while (!failure && wire_next(&reader, &field, &failure)) {
        if (field.tag == SHIM_TAG_STATUS)
            failure = wire_u64(&field, &code);
        else if (field.tag == SHIM_TAG_TEXT)
            failure = wire_string(&field, &text);
        else if (field.size && field.tag == SHIM_TAG_STDIN) {
            fields->data = xmemdup(field.data, field.size);
            fields->size = fields->room = field.size;
        }
    }
    if (!failure && code != ERROR_OK)
        failure = error_new((enum error_code)code, "%s", text);
    return failure;
}

struct error *job_task_wait(struct shim *shim, job_task *task, void *input, struct task_output *ret_output)
{
    pid_t pid;
    int fd;
    int fds[FD_PASS_MAX];
    size_t count = 0;

    TRY(task_fork(shim, task, input, &pid, &fd));
    struct error *failure = task_receive(fd, &ret_output->fields, fds, &count);
    close(fd);
    waitpid(pid, NULL, 0);
    for (size_t i = 0; i < count; i++) {
        if (i < JOB_FDS_MAX)
            ret_output->fds[ret_output->fd_count++] = fds[i];
        else
            close(fds[i]);
    }
    return failure;
}

static void job_take_result(struct job *job)
{
    int fds[FD_PASS_MAX];
    size_t count = 0;

    job->error = task_receive(job->result_fd, &job->fields, fds, &count);
    for (size_t i = 0; i < count; i++) {
        if (i < JOB_FDS_MAX)
            job->fds[job->fd_count++] = fds[i];
        else
            close(fds[i]);
    }
    if (job->error && job->is_timed_out) {
        error_free(job->error);
        job->error = error_new(ERROR_DEADLINE_EXCEEDED, "its helper process was killed at its limit");
    }
}

static void job_remove_cgroup(struct shim *shim, const struct job *job)
{
    cgroup_remove(&shim->cgroups, job->cgroup); /* what it left running holds it; the pod's teardown ends that */
}

static void job_finish(struct shim *shim, struct job *job)
{
    struct job **at = &shim->jobs;

    while (*at != job)
        at = &(*at)->next;
    *at = job->next;
    if (job->result_fd >= 0)
        job_take_result(job);
    else
        job_remove_cgroup(shim, job);
    FAILPOINT("shim.job.reaped");
    job->done(shim, job);
    job_free(job);
}

/* What a program that failed has left running may still do half of its work: it ends before anybody undoes the other half. */
static void job_end_rest(struct shim *shim, struct job *job)
{
    if (job->cgroup[0] && (job->status != 0 || job->is_timed_out) && !cgroup_kill(&shim->cgroups, job->cgroup))
        loop_arm(&shim->loop, &job->killing, KILL_INTERVAL_MS);
    else
        job_finish(shim, job);
}

/* Those that ended meanwhile were not looked at, as the job may name one of them. */
static void job_end_rest_again(struct shim *shim, void *owner)
{
    job_end_rest(shim, owner);
    children_look(shim);
}

void job_exited(struct shim *shim, struct job *job)
{
    while (waitpid(job->pid, &job->status, 0) < 0 && errno == EINTR)
        continue;
    job->pid = 0; /* the kernel may give it to another from here on */
    loop_disarm(&shim->loop, &job->limit);
    loop_disarm(&shim->loop, &job->killing);
    job->killing = (struct timer){.fire = job_end_rest_again, .owner = job};
    job_end_rest(shim, job);
}
