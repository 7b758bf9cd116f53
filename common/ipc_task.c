/* What happens to one request: checks, the page's note, the handler, the answer. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/failpoint.h"
#include "common/ipc_listen.h"
#include "common/ipc_server_internal.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/request_page.h"

/* Longer than a hang is borne (4 s of silence): whoever waits for a suspect that hangs is not in hand when the daemon is killed
 * for it, and so is not poison at the second death. */
enum { SUSPECT_WAIT_S = 10, REPLY_LIMIT_MS = 30000 };

/* Sends an answer on the context; a client that has gone is no error. One that does not read loses its connection, so
 * that it asks again if it ever goes on. */
static void send_reply(nng_ctx context, nng_pipe pipe, nng_msg *message)
{
    nng_aio *aio;

    if (nng_aio_alloc(&aio, NULL, NULL) != 0)
        abort();
    nng_aio_set_msg(aio, message);
    nng_aio_set_timeout(aio, REPLY_LIMIT_MS);
    nng_ctx_send(context, aio);
    nng_aio_wait(aio);
    int result = nng_aio_result(aio);
    if (result != 0)
        nng_msg_free(nng_aio_get_msg(aio));
    nng_aio_free(aio);
    if (result == NNG_ETIMEDOUT)
        nng_pipe_close(pipe);
}

static void task_free(struct ipc_server *server, struct ipc_task *task)
{
    ipc_calls_remove(&server->calls, &task->entry);
    bulkhead__request__free_unpacked(task->request, NULL);
    nng_ctx_close(task->context);
    free(task);
}

static void task_answer(struct ipc_server *server, struct ipc_task *task, struct error *error, struct ipc_reply *reply)
{
    FAILPOINT("ipc.before_reply");
    send_reply(task->context, task->pipe, ipc_reply_pack(error, reply->data, reply->size));
    if (error)
        log_debug("call failed", "method=%s code=%s error=%s", log_quote(task->request->method),
                  error_code_name(error->code), log_quote(error->text));
    error_free(error);
    free(reply->data);
    task_free(server, task);
}

void ipc_task_refuse(struct ipc_server *server, struct ipc_task *task, struct error *error)
{
    task_answer(server, task, error, &(struct ipc_reply){0});
}

static bool is_own_method(const char *name)
{
    return strcmp(name, "Ping") == 0 || strcmp(name, "Cancel") == 0;
}

static struct error *find_method(const struct ipc_server *server, const char *name, const struct ipc_method **ret)
{
    *ret = NULL;
    if (is_own_method(name))
        return NULL;
    for (const struct ipc_method *method = server->options.methods; method && method->name; method++) {
        if (strcmp(method->name, name) == 0) {
            *ret = method;
            return NULL;
        }
    }
    return error_new(ERROR_UNIMPLEMENTED, "%s has no method %.64s", server->options.service, name);
}

static struct error *task_check(const struct ipc_server *server, uint32_t uid, nng_msg *message,
                                Bulkhead__Request **ret_request, const struct ipc_method **ret_method)
{
    if (!ipc_is_allowed(uid, server->own_uid, server->options.allowed_uids))
        return error_new(ERROR_PERMISSION_DENIED, "user %u may not call %s", uid, server->options.service);
    TRY(ipc_request_unpack(message, ret_request));
    return find_method(server, (*ret_request)->method, ret_method);
}

struct ipc_task *ipc_task_new(struct ipc_server *server, nng_ctx context, nng_msg *message)
{
    Bulkhead__Request *request = NULL;
    const struct ipc_method *method = NULL;
    nng_pipe pipe = nng_msg_get_pipe(message);
    uint32_t uid = ipc_peer_uid(pipe);

    struct error *failure = task_check(server, uid, message, &request, &method);
    nng_msg_free(message);
    if (failure) {
        log_warn("request refused", "uid=%u code=%s error=%s", uid, error_code_name(failure->code),
                 log_quote(failure->text));
        send_reply(context, pipe, ipc_reply_pack(failure, NULL, 0));
        error_free(failure);
        if (request)
            bulkhead__request__free_unpacked(request, NULL);
        nng_ctx_close(context);
        return NULL;
    }
    struct ipc_task *task = xcalloc(1, sizeof(*task));
    *task = (struct ipc_task){
        .context = context, .pipe = pipe, .request = request, .peer_uid = uid, .method = method};
    ipc_request_id_format(request->request_id.data, task->hex);
    ipc_calls_add(&server->calls, &task->entry, request->request_id.data);
    return task;
}

static struct error *handle_ping(struct ipc_server *server, struct ipc_reply *reply)
{
    Bulkhead__PingReply answer = BULKHEAD__PING_REPLY__INIT;

    if (server->options.ping)
        TRY(server->options.ping(server->options.state));
    answer.service = (char *)server->options.service;
    answer.generation = server->options.generation;
    reply->size = bulkhead__ping_reply__get_packed_size(&answer);
    reply->data = xmalloc(reply->size);
    bulkhead__ping_reply__pack(&answer, reply->data);
    return NULL;
}

static struct error *handle_cancel(struct ipc_server *server, const Bulkhead__Request *request)
{
    Bulkhead__CancelRequest *cancel =
        bulkhead__cancel_request__unpack(NULL, request->payload.len, request->payload.data);

    if (cancel && cancel->request_id.len == IPC_REQUEST_ID_SIZE)
        ipc_calls_cancel(&server->calls, cancel->request_id.data);
    if (cancel)
        bulkhead__cancel_request__free_unpacked(cancel, NULL);
    return NULL;
}

/* FNV-1a: only equality counts, and who chooses payloads may stop the daemon anyway. */
static uint64_t hash(const uint8_t *data, size_t size)
{
    uint64_t sum = 0xcbf29ce484222325;

    for (size_t i = 0; i < size; i++)
        sum = (sum ^ data[i]) * 0x100000001b3;
    return sum;
}

static struct error *run_noted(struct ipc_server *server, const struct ipc_task *task, const char *key,
                               const struct ipc_call *call, struct ipc_reply *reply)
{
    struct request_page *page = server->options.page;
    struct timespec limit;
    bool alone = false;

    if (request_page_is_suspect(page, key)) {
        clock_gettime(CLOCK_MONOTONIC, &limit);
        limit.tv_sec += SUSPECT_WAIT_S;
        alone = pthread_mutex_clocklock(&server->suspects, CLOCK_MONOTONIC, &limit) == 0;
    }
    int slot = request_page_enter(page, key);
    FAILPOINT("ipc.before_handler");
    struct error *failure = task->method->handle(server->options.state, call, reply);
    request_page_leave(page, slot);
    if (alone)
        pthread_mutex_unlock(&server->suspects);
    return failure;
}

static struct error *handle(struct ipc_server *server, struct ipc_task *task, struct ipc_reply *reply)
{
    const Bulkhead__Request *request = task->request;
    struct ipc_call call = {
        .method = request->method,
        .request_id = task->hex,
        .deadline_ns = request->deadline_ns,
        .payload = request->payload.data,
        .payload_size = request->payload.len,
        .cancelled = &task->entry.cancelled,
        .peer_uid = task->peer_uid,
    };
    char key[REQUEST_PAGE_KEY_SIZE];

    if (call.deadline_ns && clock_boottime_ns() >= call.deadline_ns)
        return error_new(ERROR_DEADLINE_EXCEEDED, "%s: the deadline had passed before it was begun", call.method);
    if (!server->options.page)
        return task->method->handle(server->options.state, &call, reply);
    snprintf(key, sizeof(key), "%.30s:%016jx", call.method, (uintmax_t)hash(call.payload, call.payload_size));
    if (request_page_is_poison(server->options.page, key))
        return error_new(ERROR_INTERNAL, "%s: this request ended %s twice, and is not run again", call.method,
                         server->options.service);
    return run_noted(server, task, key, &call, reply);
}

void ipc_task_run(struct ipc_server *server, struct ipc_task *task)
{
    struct ipc_reply reply = {0};
    struct error *failure;

    log_set_request(task->hex);
    if (task->method)
        failure = handle(server, task, &reply);
    else if (strcmp(task->request->method, "Ping") == 0)
        failure = handle_ping(server, &reply);
    else
        failure = handle_cancel(server, task->request);
    task_answer(server, task, failure, &reply);
    log_set_request(NULL);
}
