/* In which order a session goes: the request's head, the token, the upgrade, the work, the goodbye. */
#include "services/criapi/stream/session.h"

#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/service.h"
#include "services/criapi/stream/answer.h"
#include "services/criapi/stream/connection.h"
#include "services/criapi/stream/http_head.h"
#include "services/criapi/stream/spdy_session.h"
#include "services/criapi/stream/tunnel.h"
#include "services/criapi/stream/upgrade.h"
#include "services/criapi/stream/websocket_channels.h"
#include "services/criapi/stream/work.h"

/* HEAD: as long as a client may take for its request. LINGER: for the client to close after us, so that it reads all.
 */
enum { HEAD_S = 10, LINGER_S = 5, TERM_S = 2 };
static const int64_t second_ns = 1000000000;

enum phase { PHASE_HEAD, PHASE_TOKEN, PHASE_WORK, PHASE_FLUSH, PHASE_LINGER, PHASE_OVER };

struct session {
    const struct config *config;
    enum phase phase;
    int64_t deadline_ns; /* of the phase, INT64_MAX: none */
    struct poll_set set;
    struct watch signal;
    struct connection connection;
    struct http_head *head;
    struct token token;
    bool has_link;
    struct shim_link link;
    struct transport *transport;
    struct work *work;
    bool is_ending;       /* SIGTERM has come */
    bool is_failure_told; /* the work knows that the link has failed */
    struct error *failure;
};

static void phase_enter(struct session *session, enum phase phase, int64_t limit_s)
{
    session->phase = phase;
    session->deadline_ns = limit_s ? clock_boottime_ns() + limit_s * second_ns : INT64_MAX;
}

/* All is said; what waits goes out first. */
static void session_close(struct session *session)
{
    if (session->phase < PHASE_FLUSH)
        phase_enter(session, PHASE_FLUSH, session->is_ending ? TERM_S : 0);
}

static void text_send(struct session *session, char *text)
{
    buffer_append(&session->connection.out, text, strlen(text));
    free(text);
}

static void refuse(struct session *session, int status, const char *fields, const char *text)
{
    log_info("session refused", "status=%d reason=%s", status, log_quote(text));
    text_send(session, answer_error(status, fields, text));
    session_close(session);
}

/* ---- the request ---- */

static void token_begin(struct session *session)
{
    session->has_link = true;
    session->failure = shim_link_init(&session->link, session->config->state, &session->token);
    phase_enter(session, session->failure ? PHASE_OVER : PHASE_TOKEN, 0);
}

static void request_check(struct session *session)
{
    const char *method = session->head->method;
    autoptr(error) unknown = token_parse(session->head->path, &session->token);

    if (unknown)
        refuse(session, 404, "", "404 page not found");
    else if (strcmp(method, "GET") != 0 && strcmp(method, "POST") != 0)
        refuse(session, 405, "Allow: GET, POST\r\n", "405: Method Not Allowed");
    else
        token_begin(session);
}

static void head_turn(struct session *session)
{
    struct buffer *in = &session->connection.in;
    size_t used = 0;
    autoptr(error) failure = http_head_parse(buffer_head(in), in->size, &session->head, &used);

    if (failure && failure->code == ERROR_RESOURCE_EXHAUSTED)
        refuse(session, 431, "", "431 Request Header Fields Too Large");
    else if (failure)
        refuse(session, 400, "", "400 Bad Request");
    else if (clock_boottime_ns() >= session->deadline_ns)
        refuse(session, 408, "", "408 Request Timeout");
    if (!session->head)
        return;
    buffer_consume(in, used);
    request_check(session);
}

/* ---- the token ---- */

static const char *kind_name(enum stream_kind kind)
{
    return kind == STREAM_EXEC ? "exec" : kind == STREAM_ATTACH ? "attach" : "forward";
}

/* Who looks at the process list, or at the supervisor's status, sees what this session is. */
static void announce(const struct session *session, const char *container)
{
    autofree char *name = xasprintf("stream-%s", kind_name(session->token.kind));
    const char *what = session->token.kind == STREAM_PORT_FORWARD ? "portforward" : kind_name(session->token.kind);
    const char *whose = container[0] ? container : session->token.pod;
    autofree char *text = xasprintf("READY=1\nSTATUS=%s %s", what, whose);

    prctl(PR_SET_NAME, name);
    service_notify(text);
    log_info("session begins", "kind=%s of=%s", what, whose);
}

static struct error *work_opened(void *argument, struct channel *channel, const struct channel_request *request)
{
    struct session *session = argument;

    return session->work->functions->opened(session->work, channel, request);
}

static void work_begin(struct session *session, const struct upgrade *upgrade, uint32_t flags)
{
    struct work_options options = {.kind = session->token.kind,
                                   .flags = flags,
                                   .has_status_json = upgrade->has_status_json,
                                   .has_resize = upgrade->has_resize,
                                   .are_channels_fixed = upgrade->transport == UPGRADE_WEBSOCKET};

    session->work = options.kind == STREAM_EXEC     ? exec_new(&options, &session->link)
                    : options.kind == STREAM_ATTACH ? attach_new(&options, &session->link)
                                                    : port_forward_new(&options, &session->link);
}

static void transport_begin(struct session *session, const struct upgrade *upgrade, uint32_t flags)
{
    struct byte_sink sink = connection_sink(&session->connection);
    struct channel_owner owner = {.opened = work_opened, .argument = session};

    if (upgrade->transport == UPGRADE_SPDY)
        session->transport = spdy_session_new(&sink, &owner);
    else if (upgrade->transport == UPGRADE_TUNNEL)
        session->transport = tunnel_new(&sink, &owner);
    else
        session->transport = websocket_channels_new(&sink, &owner, upgrade);
    session->work->transport = session->transport;
    if (upgrade->transport == UPGRADE_WEBSOCKET && session->token.kind == STREAM_PORT_FORWARD)
        websocket_channels_open_ports(session->transport, upgrade->ports, upgrade->port_count);
    else if (upgrade->transport == UPGRADE_WEBSOCKET)
        websocket_channels_open_remote(session->transport, flags);
}

/* The token was good and is ours. A terminal has one output: k8s.io/kubelet drops stderr beside it, too. */
static void upgrade(struct session *session, const struct stream_message *opened)
{
    uint32_t flags = opened->flags & STREAM_TTY ? opened->flags & ~(uint32_t)STREAM_STDERR : opened->flags;
    struct upgrade upgrade;

    announce(session, opened->text);
    upgrade_decide(session->head, session->token.kind, &upgrade);
    text_send(session, upgrade.answer);
    if (upgrade.transport == UPGRADE_NONE) {
        log_info("session refused", "reason=%s", "\"no protocol in common\"");
        session_close(session);
        return;
    }
    phase_enter(session, PHASE_WORK, 0);
    work_begin(session, &upgrade, flags);
    transport_begin(session, &upgrade, flags);
}

static void token_turn(struct session *session)
{
    struct shim_event event = {0};

    if (session->link.state == SHIM_LINK_FAILED) {
        bool is_unknown = session->link.failure->code == ERROR_NOT_FOUND;
        if (is_unknown)
            refuse(session, 404, "", "404 page not found");
        else
            refuse(session, 503, "", session->link.failure->text);
        return;
    }
    if (!shim_link_receive(&session->link, &event))
        return;
    fds_close(event.fds, event.count);
    if (event.message.type == STREAM_OPENED)
        upgrade(session, &event.message);
}

/* ---- the work ---- */

/* Bytes that came from the client go to its channels, as far as these have room. */
static void transport_feed(struct session *session)
{
    struct buffer *in = &session->connection.in;
    size_t taken = 0;

    if (in->size == 0 && session->transport->held == 0)
        return;
    struct error *failure = session->transport->functions->feed(session->transport, buffer_head(in), in->size, &taken);
    buffer_consume(in, taken);
    if (!failure)
        return;
    log_info("session ended by the client's error", "error=%s", log_quote(failure->text));
    error_free(failure);
    session_close(session);
}

static void messages_take(struct session *session)
{
    struct shim_event event;

    while (shim_link_receive(&session->link, &event)) {
        session->work->functions->message(session->work, &event);
        fds_close(event.fds, event.count);
    }
}

static void work_turn(struct session *session)
{
    int64_t idle_ns = (int64_t)session->config->stream_idle_timeout_s * second_ns;

    transport_feed(session);
    if (session->phase != PHASE_WORK)
        return;
    messages_take(session);
    if (session->link.state == SHIM_LINK_FAILED && !session->is_failure_told) {
        session->is_failure_told = true;
        session->work->functions->fail(session->work, session->link.failure);
    }
    bool is_done = session->work->functions->turn(session->work);
    if (is_done)
        session->transport->functions->goodbye(session->transport);
    if (is_done || session->transport->is_over)
        session_close(session);
    else if (session->connection.has_ended || session->connection.is_gone)
        session->phase = PHASE_OVER; /* the client has gone: nobody is left to tell */
    else if (clock_boottime_ns() - session->connection.moved_ns >= idle_ns)
        session->phase = PHASE_OVER;
}

/* ---- the end ---- */

static void flush_turn(struct session *session)
{
    int64_t idle_ns = (int64_t)session->config->stream_idle_timeout_s * second_ns, now = clock_boottime_ns();

    if (session->connection.in.size > 0)
        buffer_consume(&session->connection.in, session->connection.in.size);
    if (session->connection.out.size == 0) {
        shutdown(session->connection.watch.fd, SHUT_WR);
        phase_enter(session, PHASE_LINGER, LINGER_S);
    } else if (now >= session->deadline_ns || now - session->connection.moved_ns >= idle_ns) {
        session->phase = PHASE_OVER;
    }
}

static void linger_turn(struct session *session)
{
    if (session->connection.in.size > 0)
        buffer_consume(&session->connection.in, session->connection.in.size);
    if (session->connection.has_ended || clock_boottime_ns() >= session->deadline_ns)
        session->phase = PHASE_OVER;
}

static void signal_turn(struct session *session)
{
    static const struct error ending = {.code = ERROR_CANCELLED, .text = "the session is ended by the node"};

    if (!session->signal.ready || session->is_ending)
        return;
    session->is_ending = true;
    if (session->phase == PHASE_WORK) {
        session->work->functions->fail(session->work, &ending);
        phase_enter(session, PHASE_WORK, TERM_S);
    } else if (session->phase < PHASE_FLUSH) {
        refuse(session, 503, "", ending.text);
    } else if (session->deadline_ns > clock_boottime_ns() + TERM_S * second_ns) {
        phase_enter(session, session->phase, TERM_S);
    }
}

/* ---- turns ---- */

static void session_turn(struct session *session)
{
    connection_receive(&session->connection);
    signal_turn(session);
    if (session->phase == PHASE_HEAD)
        head_turn(session);
    if (session->phase == PHASE_TOKEN)
        token_turn(session);
    if (session->phase == PHASE_WORK)
        work_turn(session);
    connection_flush(&session->connection);
    if (session->phase == PHASE_FLUSH)
        flush_turn(session);
    if (session->phase == PHASE_LINGER)
        linger_turn(session);
    bool is_cut = session->phase < PHASE_WORK && session->connection.has_ended;
    bool is_late = session->phase == PHASE_WORK && clock_boottime_ns() >= session->deadline_ns;
    if (session->connection.is_gone || is_cut || is_late)
        session->phase = PHASE_OVER;
}

static int64_t nearest(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t session_deadline(const struct session *session)
{
    int64_t idle_ns = (int64_t)session->config->stream_idle_timeout_s * second_ns;
    int64_t deadline = nearest(session->deadline_ns, session->connection.moved_ns + idle_ns);

    if (session->has_link && session->phase <= PHASE_WORK)
        deadline = nearest(deadline, shim_link_deadline(&session->link));
    if (session->phase == PHASE_WORK)
        deadline = nearest(deadline, session->work->functions->deadline(session->work));
    return deadline;
}

/* Bytes wait that this very turn has made room for, or the link has failed before poll: nothing else would wake us for
 * it. */
static bool is_turn_due(const struct session *session)
{
    if (session->has_link && session->phase <= PHASE_WORK && session->link.state == SHIM_LINK_FAILED &&
        !session->is_failure_told)
        return true;
    return session->phase == PHASE_WORK && (session->connection.in.size > 0 || session->transport->held > 0) &&
           !session->transport->functions->is_full(session->transport);
}

static void session_watch(struct session *session)
{
    poll_set_add(&session->set, &session->signal, session->is_ending ? 0 : POLLIN);
    connection_watch(&session->connection, &session->set);
    if (session->has_link && session->phase <= PHASE_WORK)
        shim_link_watch(&session->link, &session->set);
    if (session->phase == PHASE_WORK)
        session->work->functions->watch(session->work, &session->set);
}

static void session_fini(struct session *session)
{
    if (session->work)
        session->work->functions->free(session->work);
    if (session->transport)
        session->transport->functions->free(session->transport);
    if (session->has_link)
        shim_link_fini(&session->link);
    http_head_free(session->head);
    connection_fini(&session->connection);
    poll_set_fini(&session->set);
}

struct error *session_serve(const struct config *config, int connection, int signal_fd)
{
    struct session session = {.config = config, .signal.fd = signal_fd};

    connection_init(&session.connection, connection);
    phase_enter(&session, PHASE_HEAD, HEAD_S);
    while (!session.failure && session.phase != PHASE_OVER) {
        if (session.has_link && session.phase <= PHASE_WORK)
            shim_link_step(&session.link);
        session_watch(&session);
        session.failure = poll_set_wait(&session.set, is_turn_due(&session) ? 0 : session_deadline(&session));
        if (!session.failure)
            session_turn(&session);
    }
    if (session.work)
        log_info("session ends", "kind=%s pod=%s", kind_name(session.token.kind), session.token.pod);
    struct error *failure = session.failure;
    session_fini(&session);
    return failure;
}
