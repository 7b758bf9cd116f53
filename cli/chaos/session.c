/* The client's part by both protocols: channels by WebSocket's numbers. */
#include "cli/chaos/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/clients/http_client.h"
#include "cli/clients/spdy_client.h"
#include "cli/clients/websocket_client.h"
#include "common/memory.h"

enum channel { STDIN, STDOUT, STDERR, ERROR, CHANNELS };

struct session {
    struct spdy_client *spdy; /* one of the two */
    struct websocket_client *websocket;
    uint32_t streams[CHANNELS]; /* SPDY's numbers */
};

char *session_script(const struct session_plan *plan)
{
    return xasprintf("while read x; do echo \"said $x\"; done; exit %d", plan->code);
}

struct error *url_split(const char *url, char **ret_host, uint16_t *ret_port, const char **ret_path)
{
    const char *host = strncmp(url, "http://", 7) == 0 ? url + 7 : NULL;
    const char *path = host ? strchr(host, '/') : NULL;
    const char *colon = path ? memrchr(host, ':', (size_t)(path - host)) : NULL;
    char *end = NULL;
    unsigned long port = colon ? strtoul(colon + 1, &end, 10) : 0;

    if (!colon || end != path || port == 0 || port > UINT16_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "\"%.200s\" is no URL of a session", url);
    bool has_brackets = *host == '[' && colon > host + 1 && colon[-1] == ']';
    *ret_host = has_brackets ? xstrndup(host + 1, (size_t)(colon - host - 2)) : xstrndup(host, (size_t)(colon - host));
    *ret_port = (uint16_t)port;
    *ret_path = path;
    return NULL;
}

static struct error *cut(const char *when)
{
    return error_new(ERROR_UNAVAILABLE, "the session was cut %s", when);
}

static struct error *spdy_streams_open(struct session *session)
{
    static const char *const types[CHANNELS] = {"stdin", "stdout", "stderr", "error"};
    static const enum channel order[] = {ERROR, STDIN, STDOUT, STDERR};

    for (size_t i = 0; i < CHANNELS; i++) {
        session->streams[order[i]] = spdy_client_stream_of(session->spdy, types[order[i]]);
        if (!session->streams[order[i]])
            return cut("before its streams were open");
    }
    return NULL;
}

static struct error *session_open(struct session *session, const char *url, bool is_spdy)
{
    autofree char *host = NULL;
    const char *path;
    uint16_t port;
    int status = 0;

    TRY(url_split(url, &host, &port, &path));
    int fd = tcp_dial(host, port);
    if (fd < 0)
        return error_new(ERROR_UNAVAILABLE, "nobody listens at %s:%u", host, port);
    if (is_spdy)
        session->spdy = spdy_client_open_on(fd, path, "v4.channel.k8s.io", &status);
    else
        session->websocket = websocket_client_open_on(fd, path, "v5.channel.k8s.io", &status);
    if (status == 0)
        return cut("before an answer");
    if (status != 101)
        return error_new(ERROR_INTERNAL, "HTTP status %d", status);
    if (!is_spdy) {
        websocket_client_be_lenient(session->websocket);
        return NULL;
    }
    spdy_client_be_lenient(session->spdy);
    return spdy_streams_open(session);
}

static void session_close(struct session *session)
{
    spdy_client_free(session->spdy);
    websocket_client_free(session->websocket);
}

static void session_send(struct session *session, const char *text)
{
    if (session->spdy)
        spdy_client_send(session->spdy, session->streams[STDIN], text, strlen(text), false);
    else
        websocket_client_send(session->websocket, STDIN, text, strlen(text));
}

static void session_end_input(struct session *session)
{
    if (session->spdy)
        spdy_client_send(session->spdy, session->streams[STDIN], "", 0, true);
    else
        websocket_client_end(session->websocket, STDIN);
}

/* What has come on the channel once it, or the connection, has ended. */
static const char *session_all(struct session *session, enum channel channel)
{
    return session->spdy ? spdy_client_all(session->spdy, session->streams[channel], NULL)
                         : websocket_client_all(session->websocket, channel, NULL);
}

static const char *session_failure(const struct session *session)
{
    return session->spdy ? spdy_client_failure(session->spdy) : websocket_client_failure(session->websocket);
}

static struct error *end_check(const struct session_plan *plan, const char *end)
{
    autofree char *code = xasprintf("\"ExitCode\",\"message\":\"%d\"", plan->code);

    if (!*end)
        return cut("before its exit code");
    if (plan->code ? strstr(end, code) != NULL : strstr(end, "\"Success\"") != NULL)
        return NULL;
    return error_new(ERROR_INTERNAL, "the exit code was to be %d, not %.300s", plan->code, end);
}

static struct error *session_play(struct session *session, const struct session_plan *plan)
{
    autofree char *expected = xstrdup("");

    for (unsigned i = 0; i < plan->lines; i++) {
        autofree char *before = expected;
        autofree char *line = xasprintf("line %u\n", i);
        expected = xasprintf("%ssaid %s", before, line);
        session_send(session, line);
        usleep(plan->pause_ms * 1000);
    }
    session_end_input(session);
    const char *end = session_all(session, ERROR), *output = session_all(session, STDOUT);
    if (session_failure(session))
        return error_new(ERROR_INTERNAL, "%s", session_failure(session));
    TRY(end_check(plan, end));
    if (strcmp(output, expected) != 0)
        return error_new(ERROR_INTERNAL, "\"%.200s\" came, not \"%.200s\"", output, expected);
    return NULL;
}

struct error *session_run(const char *url, const struct session_plan *plan)
{
    struct session session = {0};
    struct error *error = session_open(&session, url, plan->is_spdy);

    if (!error)
        error = session_play(&session, plan);
    session_close(&session);
    return error;
}
