/* How many threads wait at a daemon's socket. */
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>

#include "common/ipc_listen.h"
#include "common/ipc_nng_fix.h"
#include "common/ipc_server_internal.h"
#include "common/log.h"
#include "common/memory.h"

enum { WORKERS_KEPT = 2, IDLE_LIMIT_MS = 5000, WORKER_STACK_SIZE = 1 << 20 };

static void *worker_main(void *argument);

/* With the lock held: starts a thread, counted as receiving. */
static bool worker_start(struct ipc_server *server)
{
    pthread_attr_t attributes;
    pthread_t thread;

    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, WORKER_STACK_SIZE);
    server->threads++;
    server->receiving++;
    int failure = pthread_create(&thread, &attributes, worker_main, server);
    pthread_attr_destroy(&attributes);
    if (failure == 0)
        return true;
    server->threads--;
    server->receiving--;
    return false;
}

/* Receives one request; 0, or nng's error. The context is the caller's in both cases. */
static int receive(nng_ctx context, nng_msg **ret)
{
    nng_aio *aio;

    int result = nng_aio_alloc(&aio, NULL, NULL);
    if (result != 0)
        return result;
    nng_aio_set_timeout(aio, IDLE_LIMIT_MS);
    nng_ctx_recv(context, aio);
    nng_aio_wait(aio);
    result = nng_aio_result(aio);
    if (result == 0)
        *ret = nng_aio_get_msg(aio);
    nng_aio_free(aio);
    return result;
}

/* Somebody always waits for the next request, so that a Ping gets through whatever the handlers do. */
static void stop_receiving(struct ipc_server *server)
{
    pthread_mutex_lock(&server->lock);
    server->receiving--;
    if (server->receiving == 0 && !worker_start(server))
        log_warn("no thread for the next request", "threads=%u", server->threads);
    pthread_mutex_unlock(&server->lock);
}

/* May this task run now? If not it is queued, or refused where the queue is full (*ret_refused). */
static bool claim_run(struct ipc_server *server, struct ipc_task *task, bool *ret_refused)
{
    size_t size = task->request->payload.len;

    pthread_mutex_lock(&server->lock);
    bool may_run = server->running < IPC_RUNNING_MAX;
    *ret_refused = !may_run && (server->queued >= IPC_QUEUED_MAX || server->queued_bytes + size > IPC_QUEUED_BYTES_MAX);
    if (may_run) {
        server->running++;
    } else if (!*ret_refused) {
        *server->last = task;
        server->last = &task->next;
        server->queued++;
        server->queued_bytes += size;
    }
    pthread_mutex_unlock(&server->lock);
    return may_run;
}

/* After a run: the longest waiting task, or NULL and one running less. */
static struct ipc_task *next_queued(struct ipc_server *server)
{
    pthread_mutex_lock(&server->lock);
    struct ipc_task *task = server->first;
    if (!task) {
        server->running--;
    } else {
        server->first = task->next;
        if (!server->first)
            server->last = &server->first;
        server->queued--;
        server->queued_bytes -= task->request->payload.len;
    }
    pthread_mutex_unlock(&server->lock);
    return task;
}

static void serve(struct ipc_server *server, struct ipc_task *task)
{
    bool refused = false;

    if (!task->method) {
        ipc_task_run(server, task);
        return;
    }
    if (!claim_run(server, task, &refused)) {
        if (refused)
            ipc_task_refuse(server, task, error_new(ERROR_RESOURCE_EXHAUSTED, "%s has too many calls in hand",
                                                    server->options.service));
        return;
    }
    for (; task; task = next_queued(server))
        ipc_task_run(server, task);
}

/* An idle thread ends when enough others wait. */
static bool may_end(struct ipc_server *server)
{
    pthread_mutex_lock(&server->lock);
    bool spare = server->receiving > WORKERS_KEPT;
    if (spare)
        server->receiving--;
    pthread_mutex_unlock(&server->lock);
    return spare;
}

/* One turn of a worker; false ends it. Called and left as one of those that receive, unless it ends. */
static bool worker_turn(struct ipc_server *server)
{
    nng_msg *message = NULL;
    nng_ctx context;

    int result = nng_ctx_open(&context, server->socket);
    if (result == NNG_ENOMEM)
        abort();
    if (result != 0)
        return false; /* the socket is closed */
    result = receive(context, &message);
    if (result == NNG_ENOMEM)
        abort();
    if (result != 0) {
        nng_ctx_close(context);
        return result == NNG_ETIMEDOUT && !may_end(server);
    }
    stop_receiving(server);
    struct ipc_task *task = ipc_task_new(server, context, message);
    if (task)
        serve(server, task);
    pthread_mutex_lock(&server->lock);
    server->receiving++;
    pthread_mutex_unlock(&server->lock);
    return true;
}

static void *worker_main(void *argument)
{
    struct ipc_server *server = argument;

    pthread_setname_np(pthread_self(), "ipc-worker");
    while (worker_turn(server))
        ;
    pthread_mutex_lock(&server->lock);
    server->threads--;
    pthread_cond_signal(&server->ended);
    pthread_mutex_unlock(&server->lock);
    return NULL;
}

static struct error *server_start(struct ipc_server *server)
{
    int result = nng_rep0_open(&server->socket);

    ipc_nng_fix();
    if (result == 0)
        result = nng_socket_set_size(server->socket, NNG_OPT_RECVMAXSZ, IPC_MESSAGE_MAX + IPC_ENVELOPE_SIZE);
    if (result != 0)
        return ipc_error(result, "make a socket");
    pthread_mutex_lock(&server->lock);
    bool started = worker_start(server) && worker_start(server);
    pthread_mutex_unlock(&server->lock);
    if (!started)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "no thread for requests");
    return ipc_listen(server->socket, server->options.directory, "sock", server->options.generation);
}

struct error *ipc_server_open(const struct ipc_server_options *options, struct ipc_server **ret)
{
    struct ipc_server *server = xcalloc(1, sizeof(*server));

    server->options = *options;
    server->own_uid = geteuid();
    server->last = &server->first;
    pthread_mutex_init(&server->lock, NULL);
    pthread_mutex_init(&server->suspects, NULL);
    pthread_cond_init(&server->ended, NULL);
    ipc_calls_init(&server->calls);
    struct error *failure = server_start(server);
    if (failure) {
        ipc_server_close(server);
        return error_wrap(failure, "serve %s", options->service);
    }
    *ret = server;
    return NULL;
}

/* The handlers in hand end first: they use the state that the caller frees next. */
void ipc_server_close(struct ipc_server *server)
{
    if (!server)
        return;
    nng_close(server->socket);
    pthread_mutex_lock(&server->lock);
    while (server->threads > 0)
        pthread_cond_wait(&server->ended, &server->lock);
    pthread_mutex_unlock(&server->lock);
    ipc_calls_fini(&server->calls);
    pthread_cond_destroy(&server->ended);
    pthread_mutex_destroy(&server->suspects);
    pthread_mutex_destroy(&server->lock);
    free(server);
}
