/* Which channels belong together, and that one session carries many connections to many ports. */
#include "services/criapi/stream/forward.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"

struct port_forward {
    struct work work;
    struct forward *forwards;
    uint32_t last_serial;
    bool had_any;
    bool is_over; /* nothing new is taken */
};

static struct port_forward *port_forward_of(struct work *work)
{
    return (struct port_forward *)work;
}

/* ---- channels ---- */

static struct error *port_parse(const char *text, uint32_t *ret)
{
    if (text[0] == '\0')
        return error_new(ERROR_INVALID_ARGUMENT, "\"port\" header is required");
    size_t digits = strspn(text, "0123456789");
    unsigned long port = digits <= 5 ? strtoul(text, NULL, 10) : 0;
    if (text[digits] != '\0' || port < 1 || port > UINT16_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "unable to parse \"%.20s\" as a port", text);
    *ret = (uint32_t)port;
    return NULL;
}

/* Clients of long ago send no id: then an error stream and the data stream after it, two numbers higher, are a pair. */
static char *request_id(const struct channel_request *request, bool is_data)
{
    if (request->request_id[0] != '\0')
        return xstrdup(request->request_id);
    return xasprintf("stream %u", is_data ? request->id - 2 : request->id);
}

static struct forward *forward_get(struct port_forward *session, const char *id, uint32_t port)
{
    for (struct forward *forward = session->forwards; forward; forward = forward->next)
        if (forward->state == FORWARD_CHANNELS && strcmp(forward->request_id, id) == 0)
            return forward;
    struct forward *forward = forward_new(&session->work, id, port, ++session->last_serial);
    forward->next = session->forwards;
    session->forwards = forward;
    session->had_any = true;
    return forward;
}

static struct error *port_forward_opened(struct work *work, struct channel *channel,
                                         const struct channel_request *request)
{
    struct port_forward *session = port_forward_of(work);
    bool is_data = strcmp(request->type, "data") == 0;
    uint32_t port = 0;

    TRY(port_parse(request->port, &port));
    if (!is_data && strcmp(request->type, "error") != 0)
        return error_new(ERROR_INVALID_ARGUMENT, "invalid stream type \"%.20s\"", request->type);
    if (session->is_over)
        return error_new(ERROR_UNAVAILABLE, "the session is over");
    autofree char *id = request_id(request, is_data);
    struct forward *forward = forward_get(session, id, port);
    struct channel **place = is_data ? &forward->data : &forward->error;
    if (*place)
        return error_new(ERROR_ALREADY_EXISTS, "the request has that stream already");
    if (is_data)
        forward->port = port;
    channel->is_ignored = !is_data;
    *place = channel;
    return NULL;
}

/* ---- the shim's messages ---- */

/* A shim that has died may have taken questions with it: they are asked again. */
static void ask_again(struct port_forward *session)
{
    for (struct forward *forward = session->forwards; forward; forward = forward->next)
        if (forward->state == FORWARD_ASKED)
            forward->state = FORWARD_ASKING;
}

static void port_forward_fail(struct work *work, const struct error *why)
{
    struct port_forward *session = port_forward_of(work);

    session->is_over = true;
    for (struct forward *forward = session->forwards; forward; forward = forward->next)
        forward_fail(forward, why->text);
}

static void port_forward_message(struct work *work, struct shim_event *event)
{
    struct port_forward *session = port_forward_of(work);
    const struct stream_message *message = &event->message;

    if (message->type == STREAM_OPENED)
        ask_again(session);
    if (message->type == STREAM_FAILED && message->serial == 0) { /* of the whole session */
        autoptr(error) failure = error_new((enum error_code)message->code, "%s", message->text);
        port_forward_fail(work, failure);
    }
    for (struct forward *forward = session->forwards; forward; forward = forward->next)
        if (forward->serial == message->serial)
            forward_message(forward, event);
}

/* ---- turns ---- */

static void port_forward_watch(struct work *work, struct poll_set *set)
{
    for (struct forward *forward = port_forward_of(work)->forwards; forward; forward = forward->next)
        forward_watch(forward, set);
}

static int64_t port_forward_deadline(const struct work *work)
{
    const struct port_forward *session = (const struct port_forward *)work;
    int64_t deadline = INT64_MAX;

    for (struct forward *forward = session->forwards; forward; forward = forward->next)
        if (forward->state == FORWARD_CHANNELS && forward->channels_ns < deadline)
            deadline = forward->channels_ns;
    return deadline;
}

static bool port_forward_turn(struct work *work)
{
    struct port_forward *session = port_forward_of(work);

    for (struct forward **place = &session->forwards; *place;) {
        struct forward *forward = *place;
        forward_turn(forward);
        if (forward->state == FORWARD_OVER) {
            *place = forward->next;
            forward_free(forward);
        } else {
            place = &forward->next;
        }
    }
    bool has_all = session->is_over || (work->options.are_channels_fixed && session->had_any);
    return has_all && !session->forwards;
}

static void port_forward_free(struct work *work)
{
    struct port_forward *session = port_forward_of(work);

    while (session->forwards) {
        struct forward *forward = session->forwards;
        session->forwards = forward->next;
        forward_free(forward);
    }
    free(session);
}

struct work *port_forward_new(const struct work_options *options, struct shim_link *link)
{
    static const struct work_functions functions = {.opened = port_forward_opened,
                                                    .message = port_forward_message,
                                                    .watch = port_forward_watch,
                                                    .deadline = port_forward_deadline,
                                                    .turn = port_forward_turn,
                                                    .fail = port_forward_fail,
                                                    .free = port_forward_free};
    struct port_forward *session = xcalloc(1, sizeof(*session));

    session->work = (struct work){.functions = &functions, .options = *options, .link = link};
    return &session->work;
}
