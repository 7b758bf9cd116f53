/* How the stand-ins answer. */
#include "tests/unit/sandboxd_core/stand_in.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/ipc_publish.h"
#include "common/keeper_protocol.h"
#include "common/memory.h"
#include "common/wire.h"
#include "proto/bulkhead.pb-c.h"

struct stand_in stand_in = {.lock = PTHREAD_MUTEX_INITIALIZER};

enum { CLIENTS_MAX = 16 };
static int clients[CLIENTS_MAX];
static size_t client_count;

void stand_in_reset(const char *state_directory)
{
    pthread_mutex_lock(&stand_in.lock);
    pthread_mutex_t lock = stand_in.lock;
    memset(&stand_in, 0, sizeof(stand_in));
    stand_in.lock = lock;
    snprintf(stand_in.state_directory, sizeof(stand_in.state_directory), "%s", state_directory);
    client_count = 0;
    pthread_mutex_unlock(&stand_in.lock);
}

unsigned stand_in_count(enum shim_type type)
{
    pthread_mutex_lock(&stand_in.lock);
    unsigned count = stand_in.count[type];
    pthread_mutex_unlock(&stand_in.lock);
    return count;
}

static void send_packet(int fd, uint32_t type, uint64_t step, int code, struct wire_writer *fields, const int *fds,
                        size_t fd_count)
{
    struct shim_header header = {.version = SHIM_VERSION, .type = type, .step = step, .code = code};
    uint8_t packet[4096];

    memcpy(packet, &header, sizeof(header));
    if (fields->size)
        memcpy(packet + sizeof(header), fields->data, fields->size);
    error_free(fd_send(fd, packet, sizeof(header) + fields->size, fds, fd_count));
    wire_writer_fini(fields);
    *fields = (struct wire_writer){0};
}

static void put_container(struct wire_writer *fields, const struct stand_in_container *container)
{
    wire_put_string(fields, SHIM_TAG_CONTAINER, container->id);
    wire_put_u64(fields, SHIM_TAG_STATE, container->state);
    wire_put_u64(fields, SHIM_TAG_STATUS, (uint32_t)container->wait_status);
    wire_put_u64(fields, SHIM_TAG_TIME_NS, 1234567890123456789);
}

static void send_list(int fd)
{
    struct wire_writer fields = {0};

    for (size_t i = 0; i < STAND_IN_CONTAINERS; i++) {
        const struct stand_in_container *container = &stand_in.containers[i];
        if (!container->state)
            continue;
        put_container(&fields, container);
        send_packet(fd, SHIM_CONTAINER, 0, 0, &fields, NULL, 0);
        if (container->state != SHIM_CONTAINER_EXITED || container->is_acknowledged)
            continue;
        put_container(&fields, container);
        send_packet(fd, SHIM_EXITED, 0, 0, &fields, NULL, 0);
    }
    send_packet(fd, SHIM_END, 0, 0, &fields, NULL, 0);
}

static struct stand_in_container *container_find(const char *id)
{
    for (size_t i = 0; i < STAND_IN_CONTAINERS; i++)
        if (stand_in.containers[i].state && !strcmp(stand_in.containers[i].id, id))
            return &stand_in.containers[i];
    return NULL;
}

static struct stand_in_container *container_add(const char *id)
{
    for (size_t i = 0; i < STAND_IN_CONTAINERS; i++)
        if (!stand_in.containers[i].state) {
            memset(&stand_in.containers[i], 0, sizeof(stand_in.containers[i]));
            snprintf(stand_in.containers[i].id, SHIM_ID_SIZE, "%s", id);
            return &stand_in.containers[i];
        }
    abort();
}

/* lock held */
static void container_exit(struct stand_in_container *container, int wait_status)
{
    struct wire_writer fields = {0};

    if (container->state == SHIM_CONTAINER_EXITED)
        return;
    container->state = SHIM_CONTAINER_EXITED;
    container->wait_status = wait_status;
    for (size_t i = 0; i < client_count; i++) {
        put_container(&fields, container);
        send_packet(clients[i], SHIM_EXITED, 0, 0, &fields, NULL, 0);
    }
}

void stand_in_exit(const char *id, int wait_status)
{
    pthread_mutex_lock(&stand_in.lock);
    struct stand_in_container *container = container_find(id);
    if (container)
        container_exit(container, wait_status);
    pthread_mutex_unlock(&stand_in.lock);
}

/* What a request says. */
struct asked {
    const char *container;
    uint64_t signal;
};

static struct asked asked_parse(const uint8_t *data, size_t size)
{
    struct wire_reader reader = {.data = data, .size = size};
    struct wire_field field;
    struct error *error = NULL;
    struct asked asked = {.container = ""};

    while (wire_next(&reader, &field, &error)) {
        if (field.tag == SHIM_TAG_CONTAINER)
            error_free(wire_string(&field, &asked.container));
        if (field.tag == SHIM_TAG_SIGNAL)
            error_free(wire_u64(&field, &asked.signal));
    }
    error_free(error);
    return asked;
}

static int memfd_of(const char *text)
{
    int fd = memfd_create("stand-in", MFD_CLOEXEC);

    if (write(fd, text, strlen(text)) < 0)
        abort();
    return fd;
}

/* lock held. Does what the step does to the stand-in's world. */
static void step_run(const struct shim_header *header, const struct asked *asked)
{
    struct stand_in_container *container = container_find(asked->container);

    stand_in.count[header->type]++;
    if (stand_in.code[header->type])
        return;
    if (header->type == SHIM_CREATE)
        container_add(asked->container)->state = SHIM_CONTAINER_CREATED;
    if (header->type == SHIM_START && container)
        container->state = SHIM_CONTAINER_RUNNING;
    if (header->type == SHIM_DELETE && container)
        container->state = 0;
    if (header->type == SHIM_SIGNAL)
        stand_in.last_signal = (int)asked->signal;
    if (header->type == SHIM_SIGNAL && container && (asked->signal == SIGKILL || !stand_in.ignores_term))
        container_exit(container, (int)asked->signal);
}

static void step_answer(int fd, const struct shim_header *header)
{
    struct wire_writer fields = {0};
    int fds[2], code = stand_in.code[header->type];
    size_t fd_count = 0;

    wire_put_u64(&fields, SHIM_TAG_STEP_TYPE, header->type);
    wire_put_string(&fields, SHIM_TAG_PATH, "/rootfs");
    wire_put_u64(&fields, SHIM_TAG_PID, (uint64_t)getpid());
    wire_put_string(&fields, SHIM_TAG_NETNS, "/netns");
    wire_put_string(&fields, SHIM_TAG_SHM, "/shm");
    for (uint16_t tag = SHIM_TAG_IPC_FD; tag <= SHIM_TAG_PID_NS_FD; tag++)
        wire_put_u64(&fields, tag, tag);
    wire_put_u64(&fields, SHIM_TAG_STATUS, header->type == SHIM_EXEC ? 3 << 8 : 0);
    wire_put_u64(&fields, SHIM_TAG_TIME_NS, 1234567890000000000);
    if (code)
        wire_put_string(&fields, SHIM_TAG_TEXT, "refused by the test");
    if (header->type == SHIM_EXEC && !code) {
        fds[fd_count++] = memfd_of("out");
        fds[fd_count++] = memfd_of("err");
    }
    send_packet(fd, SHIM_RESULT, header->step, code, &fields, fds, fd_count);
    fds_close(fds, fd_count);
}

/* The step with this id, added if it is new. lock held */
static struct stand_in_step *step_find(uint64_t id, bool *ret_is_new)
{
    *ret_is_new = false;
    for (size_t i = 0; i < stand_in.step_count; i++)
        if (stand_in.steps[i].id == id)
            return &stand_in.steps[i];
    if (stand_in.step_count == STAND_IN_STEPS)
        abort();
    *ret_is_new = true;
    stand_in.steps[stand_in.step_count] = (struct stand_in_step){.id = id};
    return &stand_in.steps[stand_in.step_count++];
}

struct late {
    struct shim_header header;
    unsigned delay_ms;
};

static void *late_run(void *argument)
{
    struct late *late = argument;

    nanosleep(&(struct timespec){.tv_sec = late->delay_ms / 1000, .tv_nsec = late->delay_ms % 1000 * 1000000L}, NULL);
    bool is_new;
    pthread_mutex_lock(&stand_in.lock);
    step_find(late->header.step, &is_new)->is_under_way = false;
    for (size_t i = 0; i < client_count; i++)
        step_answer(clients[i], &late->header);
    pthread_mutex_unlock(&stand_in.lock);
    free(late);
    return NULL;
}

/* As a shim does: once, to all who are connected, however often the step was asked for meanwhile. */
static void answer_later(const struct shim_header *header)
{
    struct late *late = xmalloc(sizeof(*late));
    pthread_t thread;

    *late = (struct late){.header = *header, .delay_ms = stand_in.delay_ms[header->type]};
    pthread_create(&thread, NULL, late_run, late);
    pthread_detach(thread);
}

static void step_take(int fd, const struct shim_header *header, const struct asked *asked)
{
    bool is_new;
    struct stand_in_step *step = step_find(header->step, &is_new);

    if (is_new) {
        step_run(header, asked);
        step->is_under_way = stand_in.delay_ms[header->type] > 0;
        if (step->is_under_way)
            answer_later(header);
    }
    if (!step->is_under_way)
        step_answer(fd, header);
}

static void request_take(int fd, const struct shim_header *header, const uint8_t *data, size_t size)
{
    struct asked asked = asked_parse(data, size);
    struct stand_in_container *container = container_find(asked.container);

    if (header->type == SHIM_HELLO || header->type == SHIM_LIST) {
        send_list(fd);
    } else if (header->type == SHIM_ACK_EXIT) {
        stand_in.count[SHIM_ACK_EXIT]++;
        if (container)
            container->is_acknowledged = true;
    } else if (header->type == SHIM_ACK) {
        stand_in.count[SHIM_ACK]++;
    } else {
        step_take(fd, header, &asked);
    }
}

static void *client_run(void *argument)
{
    int fd = *(int *)argument, fds[FD_PASS_MAX];
    uint8_t *packet = xmalloc(WIRE_SIZE_MAX);
    size_t size = WIRE_SIZE_MAX, count;

    free(argument);
    while (!fd_receive(fd, packet, WIRE_SIZE_MAX, &size, fds, &count) && size >= sizeof(struct shim_header)) {
        pthread_mutex_lock(&stand_in.lock);
        request_take(fd, (const struct shim_header *)packet, packet + sizeof(struct shim_header),
                     size - sizeof(struct shim_header));
        pthread_mutex_unlock(&stand_in.lock);
        size = WIRE_SIZE_MAX;
    }
    pthread_mutex_lock(&stand_in.lock);
    for (size_t i = 0; i < client_count; i++)
        if (clients[i] == fd)
            clients[i] = clients[--client_count];
    pthread_mutex_unlock(&stand_in.lock);
    free(packet);
    return NULL;
}

static void *listener_run(void *argument)
{
    int listener = *(int *)argument, fd;

    free(argument);
    fcntl(listener, F_SETFL, 0); /* it came non-blocking */
    while ((fd = accept(listener, NULL, NULL)) >= 0) {
        pthread_t thread;
        pthread_mutex_lock(&stand_in.lock);
        if (client_count < CLIENTS_MAX)
            clients[client_count++] = fd;
        pthread_mutex_unlock(&stand_in.lock);
        pthread_create(&thread, NULL, client_run, xmemdup(&fd, sizeof(fd)));
        pthread_detach(thread);
    }
    return NULL;
}

struct error *stand_in_start_shim(const char *pod)
{
    char path[512];
    pthread_t thread;
    int fd;

    snprintf(path, sizeof(path), "%s/shim", stand_in.state_directory);
    mkdir(path, 0755);
    snprintf(path, sizeof(path), "%s/shim/%s", stand_in.state_directory, pod);
    mkdir(path, 0755);
    snprintf(path, sizeof(path), "%s/shim/%s/sock", stand_in.state_directory, pod);
    TRY(socket_listen(path, 0666, (uid_t)-1, &fd));
    pthread_create(&thread, NULL, listener_run, xmemdup(&fd, sizeof(fd)));
    pthread_detach(thread);
    return NULL;
}

/* --- in place of the clients' -------------------------------------------------------------------------------------- */

struct error *keeper_client_open(const struct keeper_client_options *options, struct keeper_client **ret)
{
    (void)options;
    *ret = NULL;
    return NULL;
}

void keeper_client_close(struct keeper_client *client)
{
    (void)client;
}

struct error *keeper_client_call(struct keeper_client *client, struct keeper_message *request, const int *fds,
                                 size_t fd_count, int64_t deadline_ns, struct keeper_message *ret_reply, int *ret_fds,
                                 size_t *ret_fd_count)
{
    (void)client;
    (void)fds;
    (void)fd_count;
    (void)deadline_ns;
    (void)ret_fds;
    *ret_fd_count = 0;
    memset(ret_reply, 0, sizeof(*ret_reply));
    if (request->type != KEEPER_SPAWN)
        return error_new(ERROR_NOT_FOUND, "nothing there");
    stand_in.spawns++;
    if (stand_in.spawn_pipe > 0)
        return fd_write_all(stand_in.spawn_pipe, request->name, sizeof(request->name));
    return stand_in_start_shim(request->name);
}

struct error *keeper_client_call_each(struct keeper_client *client, struct keeper_message *request, int64_t deadline_ns,
                                      void (*each)(void *argument, const struct keeper_message *reply, const int *fds,
                                                   size_t fd_count),
                                      void *argument)
{
    (void)client;
    (void)request;
    (void)deadline_ns;
    (void)each;
    (void)argument;
    return NULL;
}

struct error *ipc_client_open(const char *directory, struct ipc_client **ret)
{
    (void)directory;
    *ret = NULL;
    return NULL;
}

void ipc_client_close(struct ipc_client *client)
{
    (void)client;
}

struct error *ipc_client_call(struct ipc_client *client, const char *method, const uint8_t *id, int64_t deadline_ns,
                              const void *payload, size_t size, uint8_t **ret_reply, size_t *ret_size)
{
    Bulkhead__LeaseImageReply reply = BULKHEAD__LEASE_IMAGE_REPLY__INIT;
    Bulkhead__ImageSettings settings = BULKHEAD__IMAGE_SETTINGS__INIT;
    char *layer = (char *)"/layer", *command = (char *)"/bin/true";

    (void)client;
    (void)id;
    (void)deadline_ns;
    (void)payload;
    (void)size;
    pthread_mutex_lock(&stand_in.lock);
    stand_in.leases += !strcmp(method, "LeaseImage");
    stand_in.leases -= !strcmp(method, "ReleaseImage");
    pthread_mutex_unlock(&stand_in.lock);
    *ret_size = 0;
    *ret_reply = xmalloc(4096);
    if (strcmp(method, "LeaseImage"))
        return NULL;
    reply.image_id = reply.image_ref = (char *)"sha256:1";
    reply.layer_paths = &layer;
    reply.n_layer_paths = 1;
    settings.cmd = &command;
    settings.n_cmd = 1;
    reply.settings = &settings;
    *ret_size = bulkhead__lease_image_reply__pack(&reply, *ret_reply);
    return NULL;
}

void ipc_client_call_async(struct ipc_client *client, const char *method, const uint8_t *id, int64_t deadline_ns,
                           const void *payload, size_t size, ipc_done *done, void *argument)
{
    uint8_t *reply = NULL;
    size_t reply_size = 0;

    done(argument, ipc_client_call(client, method, id, deadline_ns, payload, size, &reply, &reply_size), reply, reply_size);
}

void ipc_client_cancel(struct ipc_client *client, const uint8_t *id)
{
    (void)client;
    (void)id;
}

/* The publisher: what is said is kept as "Pc Ps Cc ..." (P the pod itself, C a container of it; created, started, stopped: x,
 * deleted). */
struct error *ipc_publisher_open(const struct ipc_publisher_options *options, struct ipc_publisher **ret)
{
    (void)options;
    *ret = (struct ipc_publisher *)&stand_in;
    return NULL;
}

void ipc_publisher_close(struct ipc_publisher *publisher)
{
    (void)publisher;
}

void ipc_publish(struct ipc_publisher *publisher, uint8_t *payload, size_t size)
{
    Bulkhead__Event *event = bulkhead__event__unpack(NULL, size, payload);

    (void)publisher;
    pthread_mutex_lock(&stand_in.lock);
    size_t length = strlen(stand_in.events);
    snprintf(stand_in.events + length, sizeof(stand_in.events) - length, "%s%c%c", length ? " " : "",
             strcmp(event->id, event->pod_id) == 0 ? 'P' : 'C', event->type < 4 ? "csxd"[event->type] : '?');
    stand_in.event_count++;
    pthread_mutex_unlock(&stand_in.lock);
    bulkhead__event__free_unpacked(event, NULL);
    free(payload);
}

void ipc_publisher_position(struct ipc_publisher *publisher, uint8_t origin[IPC_ORIGIN_SIZE], uint64_t *ret_sequence)
{
    (void)publisher;
    memset(origin, 'o', IPC_ORIGIN_SIZE);
    pthread_mutex_lock(&stand_in.lock);
    *ret_sequence = stand_in.event_count;
    pthread_mutex_unlock(&stand_in.lock);
}
