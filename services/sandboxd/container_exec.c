/* What a command in a container is run as, and what its end is told as. */
#include "services/sandboxd/container_exec.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "common/clock.h"
#include "common/memory.h"
#include "services/sandboxd/container_start.h"
#include "services/sandboxd/directory.h"
#include "services/sandboxd/message.h"
#include "services/sandboxd/pod_shim.h"

enum { CONFIG_JSON_MAX = 16 << 20, ACK_DELAY_S = 5 };

/* The bundle's config.json says what the container's own process got; an exec gets the same. */
struct error *container_exec_process(struct container *container, char *const *command, size_t count, bool terminal, char **ret)
{
    autofree char *path = container_path(container, "config.json");
    autofree char *json = NULL;
    size_t size = 0;

    if (count == 0)
        return error_new(ERROR_INVALID_ARGUMENT, "the command is empty");
    TRY(file_read_all(path, CONFIG_JSON_MAX, &json, &size));
    return spec_exec_process(json, size, command, count, terminal, ret);
}

static struct error *exec_check(struct container *container, const Runtime__V1__ExecSyncRequest *request)
{
    if (request->n_cmd == 0)
        return error_new(ERROR_INVALID_ARGUMENT, "the command is empty");
    if (request->timeout < 0)
        return error_new(ERROR_INVALID_ARGUMENT, "the timeout is negative");
    if (container_state_get(container) != CONTAINER_RUNNING)
        return error_new(ERROR_FAILED_PRECONDITION, "container \"%s\" is not running", container->record->id);
    return NULL;
}

/* nng sends an unanswered request again under the same id: the step's id comes from it, so that the shim joins. */
static uint64_t exec_step(const struct container *container, const struct ipc_call *call)
{
    autofree char *name = xasprintf("exec/%s", call->request_id);

    return shim_step_derive(container->record->id, name, 0);
}

/* The result is kept in the shim a little longer: this process may die before its answer is out. The container need not wait for it. */
struct late_ack {
    struct late_ack *next;
    struct pod *pod;
    uint64_t step;
    int64_t due_ns; /* BOOTTIME */
};

/* The oldest, or NULL, and then this thread is nobody's any more. It stays in the list. */
static struct late_ack *late_ack_first(struct sandboxd *d)
{
    pthread_mutex_lock(&d->lock);
    struct late_ack *ack = d->late_acks;
    d->has_acker = ack != NULL;
    pthread_mutex_unlock(&d->lock);
    return ack;
}

static void late_ack_do(struct sandboxd *d, struct late_ack *ack)
{
    pthread_mutex_lock(&d->lock);
    d->late_acks = ack->next;
    pthread_mutex_unlock(&d->lock);
    shim_client_ack(pod_shim(ack->pod), ack->step);
    pod_release(ack->pod);
    free(ack);
}

/* One thread for all, while there are any: they come due in the order in which they came. */
static void *late_acks_run(void *argument)
{
    struct sandboxd *d = argument;
    struct late_ack *ack;

    while ((ack = late_ack_first(d))) {
        struct timespec until = {.tv_sec = ack->due_ns / 1000000000, .tv_nsec = ack->due_ns % 1000000000};
        while (clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &until, NULL) == EINTR)
            continue;
        late_ack_do(d, ack);
    }
    return NULL;
}

static void ack_later(struct container *container, uint64_t step)
{
    struct sandboxd *d = container->d;
    struct late_ack *ack = xmalloc(sizeof(*ack)), **end = &d->late_acks;
    int64_t due_ns = clock_boottime_ns() + ACK_DELAY_S * INT64_C(1000000000);

    pthread_mutex_lock(&d->lock);
    *ack = (struct late_ack){.pod = pod_hold(container->pod), .step = step, .due_ns = due_ns};
    while (*end)
        end = &(*end)->next;
    *end = ack;
    bool must_start = !d->has_acker;
    d->has_acker = true;
    pthread_mutex_unlock(&d->lock);
    if (must_start)
        sandboxd_thread(late_acks_run, d);
}

/* By pread(2): a call that was sent again reads from the same open file. */
static struct error *output_read(struct shim_reply *reply, size_t index, ProtobufCBinaryData *ret)
{
    struct stat info;
    size_t done = 0;

    if (index >= reply->fd_count)
        return NULL;
    if (fstat(reply->fds[index], &info) < 0 || info.st_size > SHIM_EXEC_OUTPUT_MAX)
        return error_new(ERROR_INTERNAL, "an exec's output cannot be read");
    size_t size = (size_t)info.st_size;
    autofree uint8_t *data = xmalloc(size + 1);
    while (done < size) {
        ssize_t count = pread(reply->fds[index], data + done, size - done, (off_t)done);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return error_errno(count < 0 ? errno : EIO, "read an exec's output");
        done += (size_t)count;
    }
    *ret = (ProtobufCBinaryData){.len = size, .data = TAKE(data)};
    return NULL;
}

static struct error *exec_answer(struct shim_reply *result, struct ipc_reply *reply)
{
    Runtime__V1__ExecSyncResponse response = RUNTIME__V1__EXEC_SYNC_RESPONSE__INIT;
    int status = (int)shim_reply_u64(result, SHIM_TAG_STATUS);

    response.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    struct error *error = output_read(result, 0, &response.stdout);
    if (!error)
        error = output_read(result, 1, &response.stderr);
    if (!error)
        message_reply(&response.base, reply);
    free(response.stdout.data);
    free(response.stderr.data);
    return error;
}

struct error *container_exec_sync(struct container *container, const struct ipc_call *call,
                                  const Runtime__V1__ExecSyncRequest *request, struct ipc_reply *reply)
{
    struct shim_client *client = pod_shim(container->pod);
    struct shim_patience patience = call_patience(call);
    uint64_t step = exec_step(container, call);
    struct wire_writer fields = {0};
    auto_shim_reply result = {0};
    autofree char *process = NULL;

    TRY(exec_check(container, request));
    TRY(container_exec_process(container, request->cmd, request->n_cmd, false, &process));
    wire_put_string(&fields, SHIM_TAG_CONTAINER, container->record->id);
    wire_put_string(&fields, SHIM_TAG_PROCESS, process);
    wire_put_u64(&fields, SHIM_TAG_TIMEOUT_MS, (uint64_t)request->timeout * 1000);
    struct error *error = shim_client_call(client, step, SHIM_EXEC, &fields, &patience, &result);
    wire_writer_fini(&fields);
    ack_later(container, step);
    if (error && error->code == ERROR_DEADLINE_EXCEEDED && !ipc_call_is_over(call))
        return error_wrap(error, "failed to exec in container: timeout %llds exceeded: command timed out",
                          (long long)request->timeout);
    TRY_TO(error, "failed to exec in container");
    return exec_answer(&result, reply);
}
