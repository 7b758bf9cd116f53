/* How requests come in and answers go out; a client that reads slowly gets a queue, one that does not read loses its connection. */
#include "services/sandboxd/shim/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/failpoint.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/memory.h"
#include "services/sandboxd/shim/container.h"
#include "services/sandboxd/shim/exec_sync.h"
#include "services/sandboxd/shim/handlers.h"
#include "services/sandboxd/shim/shim.h"

enum { QUEUE_MAX = 4096 };

struct packet {
    struct packet *next;
    uint8_t *data;
    size_t size;
    int fds[STEP_FDS_MAX];
    size_t fd_count;
};

struct client {
    struct client *next;
    struct source source;
    struct packet *first, *last;
    size_t queued;
    bool is_broken; /* closed once its handler has returned */
};

/* --- sending ------------------------------------------------------------------------------------------------------ */

static void packet_free(struct packet *packet)
{
    fds_close(packet->fds, packet->fd_count);
    free(packet->data);
    free(packet);
}

static void client_queue(struct shim *shim, struct client *client, const void *data, size_t size, const int *fds,
                         size_t fd_count)
{
    struct packet *packet = xcalloc(1, sizeof(*packet));

    packet->data = xmemdup(data, size);
    packet->size = size;
    for (; packet->fd_count < fd_count; packet->fd_count++)
        packet->fds[packet->fd_count] = fcntl(fds[packet->fd_count], F_DUPFD_CLOEXEC, 3);
    if (client->last)
        client->last->next = packet;
    else
        client->first = packet;
    client->last = packet;
    client->queued++;
    if (client->queued > QUEUE_MAX)
        client->is_broken = true;
    error_free(loop_change(&shim->loop, &client->source, EPOLLIN | EPOLLOUT));
}

static void client_send(struct shim *shim, struct client *client, const void *data, size_t size, const int *fds,
                        size_t fd_count)
{
    if (client->is_broken)
        return;
    if (client->first) {
        client_queue(shim, client, data, size, fds, fd_count);
        return;
    }
    autoptr(error) failure = fd_send(client->source.fd, data, size, fds, fd_count);
    if (failure && failure->code == ERROR_RESOURCE_EXHAUSTED)
        client_queue(shim, client, data, size, fds, fd_count);
    else if (failure)
        client->is_broken = true;
}

static void client_flush(struct shim *shim, struct client *client)
{
    while (client->first) {
        struct packet *packet = client->first;
        autoptr(error) failure = fd_send(client->source.fd, packet->data, packet->size, packet->fds, packet->fd_count);
        if (failure && failure->code == ERROR_RESOURCE_EXHAUSTED)
            return;
        if (failure) {
            client->is_broken = true;
            return;
        }
        client->first = packet->next;
        client->queued--;
        packet_free(packet);
    }
    client->last = NULL;
    error_free(loop_change(&shim->loop, &client->source, EPOLLIN));
}

/* One packet: header, then the writer's fields. client NULL: to all. */
static void send_message(struct shim *shim, struct client *client, const struct shim_header *header,
                         const struct wire_writer *fields, const int *fds, size_t fd_count)
{
    size_t size = sizeof(*header) + fields->size;
    autofree uint8_t *data = xmalloc(size);

    memcpy(data, header, sizeof(*header));
    if (fields->size)
        memcpy(data + sizeof(*header), fields->data, fields->size);
    for (struct client *each = shim->clients; each; each = each->next)
        if (!client || each == client)
            client_send(shim, each, data, size, fds, fd_count);
}

static void send_result(struct shim *shim, struct client *client, const struct step *step)
{
    struct shim_header header = {
        .version = SHIM_VERSION, .type = SHIM_RESULT, .step = step->id, .code = step->code,
    };

    send_message(shim, client, &header, &step->result, step->fds, step->fd_count);
}

void server_tell_result(struct shim *shim, const struct step *step)
{
    send_result(shim, NULL, step);
}

static void put_exit(struct wire_writer *fields, const struct container_record *record)
{
    wire_put_u64(fields, SHIM_TAG_STATUS, (uint64_t)(uint32_t)record->status);
    wire_put_u64(fields, SHIM_TAG_TIME_NS, (uint64_t)record->exited_ns);
    wire_put_u64(fields, SHIM_TAG_OOM, record->is_oom);
    if (record->is_unknown)
        wire_put_u64(fields, SHIM_TAG_UNKNOWN, 1);
}

static void send_exit(struct shim *shim, struct client *client, const struct container *container)
{
    struct shim_header header = {.version = SHIM_VERSION, .type = SHIM_EXITED};
    struct wire_writer fields = {0};

    wire_put_string(&fields, SHIM_TAG_CONTAINER, container->id);
    put_exit(&fields, &container->record);
    send_message(shim, client, &header, &fields, NULL, 0);
    wire_writer_fini(&fields);
}

void server_tell_exit(struct shim *shim, const struct container *container)
{
    FAILPOINT("shim.exit.before_tell");
    send_exit(shim, NULL, container);
    FAILPOINT("shim.exit.after_tell");
}

bool server_is_flushed(const struct shim *shim)
{
    for (const struct client *client = shim->clients; client; client = client->next)
        if (client->first && !client->is_broken)
            return false;
    return true;
}

/* An exit is published once its output is in the log: until then the container counts as it was. */
static void send_container(struct shim *shim, struct client *client, const struct container *container)
{
    const struct container_record *record = &container->record;
    bool has_exited = record->state == SHIM_CONTAINER_EXITED && container->is_published;
    struct shim_header header = {.version = SHIM_VERSION, .type = SHIM_CONTAINER};
    struct wire_writer fields = {0};
    uint32_t state = record->state == SHIM_CONTAINER_EXITED && !has_exited ? SHIM_CONTAINER_RUNNING : record->state;

    wire_put_string(&fields, SHIM_TAG_CONTAINER, container->id);
    wire_put_u64(&fields, SHIM_TAG_STATE, state);
    wire_put_u64(&fields, SHIM_TAG_PID, (uint64_t)record->process.pid);
    wire_put_u64(&fields, SHIM_TAG_START_TICKS, record->process.start_ticks);
    if (has_exited)
        put_exit(&fields, record);
    int pidfd = container->fds[CONTAINER_PIDFD];
    bool lives = record->state != SHIM_CONTAINER_EXITED && pidfd >= 0;
    send_message(shim, client, &header, &fields, &pidfd, lives ? 1 : 0);
    wire_writer_fini(&fields);
    if (has_exited && !record->is_acknowledged)
        send_exit(shim, client, container);
}

static void send_steps(struct shim *shim, struct client *client)
{
    for (const struct step *step = shim->steps; step; step = step->next) {
        if (step->is_done) {
            send_result(shim, client, step);
            continue;
        }
        if (!step_is_work(step)) /* whoever asks waits for work to end */
            continue;
        struct shim_header header = {.version = SHIM_VERSION, .type = SHIM_STEP_RUNNING, .step = step->id};
        struct wire_writer fields = {0};
        wire_put_u64(&fields, SHIM_TAG_STEP_TYPE, step->type);
        send_message(shim, client, &header, &fields, NULL, 0);
        wire_writer_fini(&fields);
    }
}

static void send_list(struct shim *shim, struct client *client)
{
    struct shim_header end = {.version = SHIM_VERSION, .type = SHIM_END};

    for (const struct container *container = shim->containers; container; container = container->next)
        send_container(shim, client, container);
    send_steps(shim, client);
    send_message(shim, client, &end, &(struct wire_writer){0}, NULL, 0);
}

static void send_hello(struct shim *shim, struct client *client)
{
    struct shim_header header = {.version = SHIM_VERSION, .type = SHIM_HELLO};
    struct wire_writer fields = {0};

    wire_put_u64(&fields, SHIM_TAG_PID, (uint64_t)getpid());
    wire_put_u64(&fields, SHIM_TAG_POD_STATE, shim->pod.record.state);
    send_message(shim, client, &header, &fields, NULL, 0);
    wire_writer_fini(&fields);
}

/* --- receiving ---------------------------------------------------------------------------------------------------- */

static struct error *check_fields(const uint8_t *data, size_t size)
{
    struct wire_reader reader = {.data = data, .size = size};
    struct wire_field field;
    struct error *failure = NULL;

    while (wire_next(&reader, &field, &failure))
        continue;
    return failure;
}

static void refuse(struct shim *shim, struct client *client, uint64_t id, struct error *failure)
{
    struct shim_header header = {.version = SHIM_VERSION, .type = SHIM_RESULT, .step = id, .code = failure->code};
    struct wire_writer fields = {0};

    wire_put_string(&fields, SHIM_TAG_TEXT, failure->text);
    send_message(shim, client, &header, &fields, NULL, 0);
    wire_writer_fini(&fields);
    error_free(failure);
}

static void take_step(struct shim *shim, struct client *client, const struct shim_header *header, const uint8_t *data,
                      size_t size)
{
    struct step *step = step_find(shim, header->step);

    if (step) { /* joins */
        if (step->is_done)
            send_result(shim, client, step);
        return;
    }
    struct error *failure = check_fields(data, size);
    if (!failure)
        failure = step_add(shim, header->step, header->type, data, size, &step);
    if (failure)
        refuse(shim, client, header->step, failure);
    else
        step_begin(shim, step);
}

static void take_ack(struct shim *shim, uint64_t id)
{
    struct step *step = step_find(shim, id);

    if (!step || !step->is_done)
        return;
    if (step->type == SHIM_EXEC)
        exec_acknowledge(shim, id);
    step_forget(shim, step);
}

static void take_exit_ack(struct shim *shim, const uint8_t *data, size_t size)
{
    struct step request = {.message = (uint8_t *)data, .message_size = size};
    const char *name = step_string(&request, SHIM_TAG_CONTAINER);
    struct container *container = name ? container_find(shim, name) : NULL;

    if (container)
        container_acknowledge(shim, container);
}

static void take_request(struct shim *shim, struct client *client, const struct shim_header *header,
                         const uint8_t *data, size_t size)
{
    if (header->version != SHIM_VERSION) {
        refuse(shim, client, header->step,
               error_new(ERROR_FAILED_PRECONDITION, "the shim speaks version %d, not %u", SHIM_VERSION, header->version));
        return;
    }
    switch (header->type) {
    case SHIM_HELLO:
        send_hello(shim, client);
        send_list(shim, client);
        return;
    case SHIM_LIST:
        send_list(shim, client);
        return;
    case SHIM_ACK:
        take_ack(shim, header->step);
        return;
    case SHIM_ACK_EXIT:
        take_exit_ack(shim, data, size);
        return;
    default:
        take_step(shim, client, header, data, size);
    }
}

static void client_close(struct shim *shim, struct client *client)
{
    struct client **at = &shim->clients;
    int fd = client->source.fd;

    while (*at != client)
        at = &(*at)->next;
    *at = client->next;
    loop_forget(&shim->loop, &client->source);
    close(fd);
    while (client->first) {
        struct packet *packet = client->first;
        client->first = packet->next;
        packet_free(packet);
    }
    free(client);
}

static void client_receive(struct shim *shim, struct client *client)
{
    autofree uint8_t *data = xmalloc(WIRE_SIZE_MAX);
    struct shim_header header;
    size_t size, fd_count = 0;
    int fds[FD_PASS_MAX];

    autoptr(error) failure = fd_receive(client->source.fd, data, WIRE_SIZE_MAX, &size, fds, &fd_count);
    if (failure && failure->code == ERROR_ABORTED)
        return;
    fds_close(fds, failure ? 0 : fd_count); /* no request brings any */
    if (failure || size < sizeof(header)) {
        client->is_broken = true;
        return;
    }
    memcpy(&header, data, sizeof(header));
    take_request(shim, client, &header, data + sizeof(header), size - sizeof(header));
}

static void client_ready(struct shim *shim, void *owner, uint32_t events)
{
    struct client *client = owner;

    if (events & EPOLLOUT)
        client_flush(shim, client);
    if (events & EPOLLIN)
        client_receive(shim, client);
    else if (events & (EPOLLHUP | EPOLLERR))
        client->is_broken = true;
    if (client->is_broken)
        client_close(shim, client);
}

static void listener_ready(struct shim *shim, void *owner, uint32_t events)
{
    pid_t pid;
    uid_t uid;
    int size = 2 * WIRE_SIZE_MAX;

    (void)owner;
    (void)events;
    autoclose int fd = accept4(shim->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    struct error *failure = socket_peer(fd, &pid, &uid);
    if (!failure && uid != 0 && uid != shim->sandboxd_uid)
        failure = error_new(ERROR_PERMISSION_DENIED, "uid %u is neither root nor sandboxd's", uid);
    if (failure) {
        log_warn("connection refused", "error=%s", log_quote(failure->text));
        error_free(failure);
        return;
    }
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    struct client *client = xcalloc(1, sizeof(*client));
    client->source = (struct source){.fd = TAKE_FD(fd), .ready = client_ready, .owner = client};
    client->next = shim->clients;
    shim->clients = client;
    error_free(loop_watch(&shim->loop, &client->source, EPOLLIN));
}

struct error *server_open(struct shim *shim)
{
    autofree char *path = shim_path(shim, "sock");

    shim->listener = (struct source){.fd = -1, .ready = listener_ready, .owner = shim};
    TRY(socket_listen(path, 0600, shim->sandboxd_uid, &shim->listener.fd));
    return loop_watch(&shim->loop, &shim->listener, EPOLLIN);
}
