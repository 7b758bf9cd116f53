/* What a streaming session's URL is made of, and which sessions are refused before they have one. */
#include "services/sandboxd/stream_url.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "common/memory.h"
#include "common/stream_protocol.h"
#include "services/sandboxd/container_exec.h"
#include "services/sandboxd/container_start.h"
#include "services/sandboxd/pod_shim.h"

enum { ADDRESS_MAX = 300, SECRET_BYTES = (STREAM_SECRET_SIZE - 1) / 2 };

struct session {
    enum stream_kind kind;
    uint32_t flags;
    const char *container; /* NULL: of the pod */
    const char *process;   /* NULL: none */
};

static const char *const kind_names[] = {
    [STREAM_EXEC] = "exec",
    [STREAM_ATTACH] = "attach",
    [STREAM_PORT_FORWARD] = "portforward",
};

/* STATE/stream_address, "HOST:PORT": the supervisor writes it once it listens there. */
static struct error *address_read(const struct sandboxd *d, char **ret)
{
    autofree char *path = config_state_path(d->config, "stream_address");
    autofree char *text = NULL;
    size_t size;

    autoptr(error) absent = file_read_all(path, ADDRESS_MAX, &text, &size);
    if (!absent)
        text[strcspn(text, "\r\n")] = '\0';
    if (absent || !text[0])
        return error_new(ERROR_UNAVAILABLE, "there is no streaming server: stream_server_port is not bound (%s)",
                         absent ? absent->text : "its address is empty");
    *ret = TAKE(text);
    return NULL;
}

static struct error *secret_make(char secret[STREAM_SECRET_SIZE])
{
    uint8_t bytes[SECRET_BYTES];

    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
        return error_errno(errno, "make a session's secret");
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(secret + 2 * i, 3, "%02x", bytes[i]);
    return NULL;
}

/* A call that is made again gets another URL; one that nobody has used ends in a minute. */
static struct error *token_register(struct pod *pod, const struct ipc_call *call, const struct session *session,
                                    const char *secret)
{
    struct shim_client *client = pod_shim(pod);
    struct shim_patience patience = call_patience(call);
    uint64_t step = shim_step_new();
    struct wire_writer fields = {0};
    auto_shim_reply result = {0};

    wire_put_string(&fields, SHIM_TAG_PATH, secret);
    wire_put_u64(&fields, SHIM_TAG_STREAM_KIND, session->kind);
    wire_put_u64(&fields, SHIM_TAG_STREAM_FLAGS, session->flags);
    if (session->container)
        wire_put_string(&fields, SHIM_TAG_CONTAINER, session->container);
    if (session->process)
        wire_put_string(&fields, SHIM_TAG_PROCESS, session->process);
    struct error *failure = shim_client_call(client, step, SHIM_STREAM_TOKEN, &fields, &patience, &result);
    wire_writer_fini(&fields);
    shim_client_ack(client, step);
    return failure;
}

static struct error *url_make(struct pod *pod, const struct ipc_call *call, const struct session *session,
                              char **ret_url)
{
    char secret[STREAM_SECRET_SIZE];
    autofree char *address = NULL;

    TRY(address_read(pod->d, &address));
    TRY(secret_make(secret));
    TRY(token_register(pod, call, session, secret));
    *ret_url = xasprintf("http://%s/%s/%s-%s", address, kind_names[session->kind], pod->record->id, secret);
    return NULL;
}

static struct error *flags_check(uint32_t flags)
{
    if ((flags & STREAM_TTY) && (flags & STREAM_STDERR))
        return error_new(ERROR_INVALID_ARGUMENT, "tty and stderr cannot both be true");
    if (!(flags & (STREAM_STDIN | STREAM_STDOUT | STREAM_STDERR)))
        return error_new(ERROR_INVALID_ARGUMENT, "one of stdin, stdout, or stderr must be set");
    return NULL;
}

static struct error *running_check(struct container *container)
{
    uint32_t state = container_state_get(container);

    if (state != CONTAINER_RUNNING)
        return error_new(ERROR_FAILED_PRECONDITION, "container is in %s state",
                         state == CONTAINER_EXITED ? "CONTAINER_EXITED" : container_state_name(state));
    return NULL;
}

static uint32_t flags_of(bool has_stdin, bool has_stdout, bool has_stderr, bool is_tty)
{
    return (has_stdin ? STREAM_STDIN : 0) | (has_stdout ? STREAM_STDOUT : 0) | (has_stderr ? STREAM_STDERR : 0) |
           (is_tty ? STREAM_TTY : 0);
}

struct error *stream_url_exec(struct container *container, const struct ipc_call *call,
                              const Runtime__V1__ExecRequest *request, char **ret_url)
{
    struct session session = {.kind = STREAM_EXEC, .container = container->record->id};
    autofree char *process = NULL;

    session.flags = flags_of(request->stdin, request->stdout, request->stderr, request->tty);
    TRY(flags_check(session.flags));
    TRY(running_check(container));
    TRY(container_exec_process(container, request->cmd, request->n_cmd, request->tty, &process));
    session.process = process;
    return url_make(container->pod, call, &session, ret_url);
}

struct error *stream_url_attach(struct container *container, const struct ipc_call *call,
                                const Runtime__V1__AttachRequest *request, char **ret_url)
{
    struct session session = {.kind = STREAM_ATTACH, .container = container->record->id};

    session.flags = flags_of(request->stdin, request->stdout, request->stderr, request->tty);
    TRY(flags_check(session.flags));
    TRY(running_check(container));
    if (container->config->stdin_once)
        session.flags |= STREAM_STDIN_ONCE;
    return url_make(container->pod, call, &session, ret_url);
}

struct error *stream_url_port_forward(struct pod *pod, const struct ipc_call *call, char **ret_url)
{
    struct session session = {.kind = STREAM_PORT_FORWARD};

    if (pod_state_get(pod) != POD_READY)
        return error_new(ERROR_FAILED_PRECONDITION, "sandbox container \"%s\" is not running", pod->record->id);
    return url_make(pod, call, &session, ret_url);
}
