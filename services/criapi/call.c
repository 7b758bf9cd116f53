/* The life of a call: awaited, routed, its bytes forwarded, answered once, or cut off by its client. */
#include "services/criapi/call_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/request_page.h"
#include "services/criapi/deadline.h"
#include "services/criapi/status_text.h"
#include "services/criapi/v1alpha2.h"
#include "services/criapi/version.h"

enum { OPERATIONS_MAX = 3 };

void calls_init(struct calls *calls)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&calls->lock, NULL);
    pthread_cond_init(&calls->ended, &attributes);
    pthread_condattr_destroy(&attributes);
}

void calls_fini(struct calls *calls)
{
    pthread_cond_destroy(&calls->ended);
    pthread_mutex_destroy(&calls->lock);
}

static void call_free(struct call *call)
{
    call_stream_fini(call);
    grpc_call_details_destroy(&call->details);
    grpc_metadata_array_destroy(&call->metadata);
    if (call->request)
        grpc_byte_buffer_destroy(call->request);
    if (call->reply)
        grpc_byte_buffer_destroy(call->reply);
    if (call->grpc)
        grpc_call_unref(call->grpc);
    free(call);
}

void call_hold(struct call *call)
{
    atomic_fetch_add(&call->references, 1);
}

void call_release(struct call *call)
{
    struct calls *calls = call->calls;
    bool is_counted = call->is_counted;

    if (atomic_fetch_sub(&call->references, 1) > 1)
        return;
    call_free(call);
    if (!is_counted)
        return;
    pthread_mutex_lock(&calls->lock);
    calls->count--;
    pthread_cond_broadcast(&calls->ended);
    pthread_mutex_unlock(&calls->lock);
}

void call_start(struct call *call, const grpc_op *operations, size_t count, struct call_tag *tag)
{
    call_hold(call);
    grpc_call_error result = grpc_call_start_batch(call->grpc, operations, count, tag, NULL);
    if (result == GRPC_CALL_OK)
        return;
    log_error("gRPC refused an operation", "result=%d", (int)result);
    grpc_call_cancel(call->grpc, NULL);
    call_release(call);
}

static void call_log(const struct call *call, int code, const char *text)
{
    log_debug("call", "method=%s code=%s duration_us=%" PRId64 " error=%s",
              call->route ? route_method(call->route) : "-", error_code_name((enum error_code)code),
              (clock_boottime_ns() - call->started_ns) / 1000, log_quote(text));
}

void call_finish(struct call *call, int code, const char *text, const uint8_t *reply, size_t size)
{
    grpc_op operations[OPERATIONS_MAX];
    grpc_slice details = grpc_slice_from_copied_buffer(text, status_text_size(text));
    size_t count = 0;

    if (!call->has_headers)
        operations[count++] = (grpc_op){.op = GRPC_OP_SEND_INITIAL_METADATA};
    if (reply) {
        grpc_slice bytes = grpc_slice_from_copied_buffer((const char *)reply, size);
        call->reply = grpc_raw_byte_buffer_create(&bytes, 1);
        grpc_slice_unref(bytes);
        operations[count++] = (grpc_op){.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = call->reply};
    }
    operations[count++] =
        (grpc_op){.op = GRPC_OP_SEND_STATUS_FROM_SERVER,
                  .data.send_status_from_server = {.status = (grpc_status_code)code, .status_details = &details}};
    call_log(call, code, text);
    call_start(call, operations, count, &call->finish);
    grpc_slice_unref(details);
}

void call_answer(struct call *call, struct error *error, const uint8_t *reply, size_t size)
{
    if (!error && size > CALL_MESSAGE_MAX)
        error = error_new(ERROR_RESOURCE_EXHAUSTED, "%s: the reply has %zu bytes, clients take no more than %d",
                          route_method(call->route), size, CALL_MESSAGE_MAX);
    if (!atomic_exchange(&call->is_answered, true)) {
        if (error)
            call_finish(call, error->code, error->text, NULL, 0);
        else
            call_finish(call, ERROR_OK, "", reply ? reply : (const uint8_t *)"", size);
    }
    error_free(error);
}

static void calls_add(struct calls *calls, struct call *call)
{
    call->next = calls->first;
    if (call->next)
        call->next->previous = call;
    calls->first = call;
}

static void calls_remove(struct calls *calls, struct call *call)
{
    if (call->next)
        call->next->previous = call->previous;
    if (call->previous)
        call->previous->next = call->next;
    else if (calls->first == call)
        calls->first = call->next;
    call->next = call->previous = NULL;
}

/* What the client's version of CRI makes of a reply. Owns error and *reply. */
static struct error *reply_translate(const struct call *call, struct error *error, uint8_t **reply, size_t *size)
{
    uint8_t *changed = NULL;

    if (error || call->version == API_V1)
        return error;
    TRY(v1alpha2_reply(route_method(call->route), *reply, *size, &changed, size));
    if (changed) {
        free(*reply);
        *reply = changed;
    }
    return NULL;
}

/* The daemon's answer, on a thread of nng's. */
static void call_done(void *argument, struct error *error, uint8_t *reply, size_t size)
{
    struct call *call = argument;

    pthread_mutex_lock(&call->calls->lock);
    call->is_done = true;
    calls_remove(call->calls, call);
    pthread_mutex_unlock(&call->calls->lock);
    error = reply_translate(call, error, &reply, &size);
    if (!error && call->route->list) {
        call_stream_list(call, reply, size);
    } else {
        call_answer(call, error, reply, size);
        free(reply);
    }
    call_release(call);
}

static int64_t call_deadline(const struct call *call)
{
    gpr_timespec moment = gpr_convert_clock_type(call->details.deadline, GPR_CLOCK_MONOTONIC);
    gpr_timespec left = gpr_time_sub(moment, gpr_now(GPR_CLOCK_MONOTONIC));

    return deadline_from_remaining(left.tv_sec, left.tv_nsec, clock_boottime_ns());
}

/* Is its client gone before its bytes went to the daemon? If not, it is in the list from here on. */
static bool call_is_wanted(struct call *call)
{
    struct calls *calls = call->calls;

    pthread_mutex_lock(&calls->lock);
    bool is_wanted = !call->is_closed;
    if (is_wanted)
        calls_add(calls, call);
    pthread_mutex_unlock(&calls->lock);
    return is_wanted;
}

/* The request is at the daemon: from now on a client that goes is a cancel. True: it has gone meanwhile. */
static bool call_mark_sent(struct call *call)
{
    pthread_mutex_lock(&call->calls->lock);
    call->is_sent = true;
    bool is_late = call->is_closed && call->was_cancelled && !call->is_done && !call->calls->is_draining;
    pthread_mutex_unlock(&call->calls->lock);
    return is_late;
}

static void call_forward(struct call *call, const uint8_t *payload, size_t size)
{
    if (!call_is_wanted(call))
        return;
    call_hold(call); /* call_done's */
    ipc_client_call_async(call->client, route_forwarded(call->route), call->id, call_deadline(call), payload, size,
                          call_done, call);
    if (call_mark_sent(call))
        ipc_client_cancel(call->client, call->id);
}

/* The method and a hash (FNV-1a) of the request, as it stands in the shared page. */
static void call_key(const struct call *call, const uint8_t *payload, size_t size, char key[REQUEST_PAGE_KEY_SIZE])
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < size; i++)
        hash = (hash ^ payload[i]) * UINT64_C(0x100000001b3);
    snprintf(key, REQUEST_PAGE_KEY_SIZE, "%.26s:%016" PRIx64, route_method(call->route), hash);
}

/* Forwards, noting the request in the page while it is in criapi's own hands. */
static void call_forward_noted(struct call *call, const uint8_t *payload, size_t size)
{
    struct request_page *page = call->calls->page;
    char key[REQUEST_PAGE_KEY_SIZE];

    if (!page) {
        call_forward(call, payload, size);
        return;
    }
    call_key(call, payload, size, key);
    if (request_page_is_poison(page, key)) {
        call_answer(call,
                    error_new(ERROR_INTERNAL, "%s: this request ended criapi twice and is not run again",
                              route_method(call->route)),
                    NULL, 0);
        return;
    }
    int slot = request_page_enter(page, key);
    call_forward(call, payload, size);
    if (slot >= 0)
        request_page_leave(page, slot);
}

/* What the client means by a request of its version of CRI goes on. */
static void call_forward_translated(struct call *call, const uint8_t *payload, size_t size)
{
    autofree uint8_t *changed = NULL;
    size_t changed_size = 0;
    struct error *error = NULL;

    if (call->version != API_V1)
        error = v1alpha2_request(route_method(call->route), payload, size, &changed, &changed_size);
    if (error)
        call_answer(call, error, NULL, 0);
    else
        call_forward_noted(call, changed ? changed : payload, changed ? changed_size : size);
}

static void call_answer_version(struct call *call, const uint8_t *payload, size_t size)
{
    autofree uint8_t *reply = NULL;
    size_t reply_size = 0;
    struct error *error = version_answer(call->version, payload, size, &reply, &reply_size);

    call_answer(call, error, reply, reply_size);
}

/* A compressed request is refused: no CRI client compresses, and a few bytes could become many. */
static struct error *request_read(grpc_byte_buffer *request, grpc_slice *ret)
{
    grpc_byte_buffer_reader reader;

    if (!request)
        return error_new(ERROR_INVALID_ARGUMENT, "the call has no request message");
    if (request->data.raw.compression != GRPC_COMPRESS_NONE)
        return error_new(ERROR_UNIMPLEMENTED, "compressed requests are not supported");
    if (!grpc_byte_buffer_reader_init(&reader, request))
        return error_new(ERROR_INVALID_ARGUMENT, "the request message cannot be read");
    *ret = grpc_byte_buffer_reader_readall(&reader);
    grpc_byte_buffer_reader_destroy(&reader);
    return NULL;
}

static void message_complete(struct call *call, bool ok)
{
    grpc_slice bytes = grpc_empty_slice();
    struct error *error = request_read(call->request, &bytes);

    if (!ok)
        error_free(error); /* the client has gone */
    else if (error)
        call_answer(call, error, NULL, 0);
    else if (call->route->target == ROUTE_LOCAL)
        call_answer_version(call, GRPC_SLICE_START_PTR(bytes), GRPC_SLICE_LENGTH(bytes));
    else if (call->route->target == ROUTE_EVENTS)
        call_stream_events(call, GRPC_SLICE_START_PTR(bytes), GRPC_SLICE_LENGTH(bytes));
    else
        call_forward_translated(call, GRPC_SLICE_START_PTR(bytes), GRPC_SLICE_LENGTH(bytes));
    grpc_slice_unref(bytes);
}

/* gRPC is done with the call: it was answered, or its client went, or its deadline passed. */
static void close_complete(struct call *call, bool ok)
{
    pthread_mutex_lock(&call->calls->lock);
    call->is_closed = true;
    bool is_cancel = ok && call->was_cancelled && call->is_sent && !call->is_done && !call->calls->is_draining;
    pthread_mutex_unlock(&call->calls->lock);
    if (is_cancel)
        ipc_client_cancel(call->client, call->id);
    call_stream_closed(call);
}

static void finish_complete(struct call *call, bool ok)
{
    (void)call;
    (void)ok; /* not sent: the client has gone */
}

/* Takes one of the places for calls that are forwarded. */
static struct error *call_admit(struct call *call)
{
    struct calls *calls = call->calls;

    pthread_mutex_lock(&calls->lock);
    call->is_counted = calls->count < CALLS_MAX;
    calls->count += call->is_counted;
    pthread_mutex_unlock(&calls->lock);
    if (!call->is_counted)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "%s: %d calls are in progress already", route_method(call->route),
                         CALLS_MAX);
    return NULL;
}

static struct error *call_route(struct call *call)
{
    grpc_slice *path = &call->details.method;

    TRY(route_find((const char *)GRPC_SLICE_START_PTR(*path), GRPC_SLICE_LENGTH(*path), &call->route,
                   &call->version));
    if (call->route->target == ROUTE_LOCAL)
        return NULL;
    call->client = call->route->target == ROUTE_IMAGED ? call->calls->imaged : call->calls->sandboxd;
    ipc_request_id_new(call->id);
    return call_admit(call);
}

/* A call has arrived (or, not ok, the server ends). */
static void arrival_complete(struct call *call, bool ok)
{
    if (!ok)
        return;
    call_await(call->calls);
    call->started_ns = clock_boottime_ns();
    call_start(
        call,
        &(grpc_op){.op = GRPC_OP_RECV_CLOSE_ON_SERVER, .data.recv_close_on_server.cancelled = &call->was_cancelled}, 1,
        &call->close);
    struct error *error = call_route(call);
    if (error)
        call_answer(call, error, NULL, 0);
    else
        call_start(call, &(grpc_op){.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &call->request}, 1,
                   &call->message);
}

void call_await(struct calls *calls)
{
    struct call *call = xcalloc(1, sizeof(*call));

    call->calls = calls;
    atomic_store(&call->references, 1);
    grpc_call_details_init(&call->details);
    grpc_metadata_array_init(&call->metadata);
    call->arrival = (struct call_tag){call, arrival_complete};
    call->close = (struct call_tag){call, close_complete};
    call->message = (struct call_tag){call, message_complete};
    call->piece = (struct call_tag){call, call_piece_complete};
    call->finish = (struct call_tag){call, finish_complete};
    grpc_call_error result = grpc_server_request_call(calls->grpc, &call->grpc, &call->details, &call->metadata,
                                                      calls->queue, calls->queue, &call->arrival);
    if (result != GRPC_CALL_OK)
        call_release(call);
}

void call_tag_complete(struct call_tag *tag, bool ok)
{
    struct call *call = tag->call;

    tag->complete(call, ok);
    call_release(call);
}

static struct call *calls_take_first(struct calls *calls)
{
    pthread_mutex_lock(&calls->lock);
    struct call *call = calls->first;
    if (call) {
        calls_remove(calls, call);
        call_hold(call);
    }
    pthread_mutex_unlock(&calls->lock);
    return call;
}

void calls_abandon(struct calls *calls)
{
    struct call *call;

    while ((call = calls_take_first(calls))) {
        call_answer(call,
                    error_new(ERROR_UNAVAILABLE, "%s: criapi is ending; the work goes on, call again",
                              route_method(call->route)),
                    NULL, 0);
        call_release(call);
    }
}
