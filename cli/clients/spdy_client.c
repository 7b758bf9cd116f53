/* How a client of SPDY/3.1 speaks. The codec is the server's own: that it is right, real clients show
 * (tests/conformance). */
#include "cli/clients/spdy_client.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/memory.h"
#include "services/criapi/stream/spdy_frame.h"
#include "services/criapi/stream/spdy_headers.h"
#include "cli/clients/http_client.h"

struct client_stream {
    uint32_t id;
    char *data;
    size_t size, room;
    bool has_reply, has_ended;
    uint32_t reset;
    uint64_t window_updates;
    struct client_stream *next;
};

struct spdy_client {
    int fd; /* -1: carried */
    struct spdy_carrier carrier;
    struct client_stream *streams;
    struct spdy_deflater deflater;
    struct spdy_inflater inflater;
    uint32_t next_stream, last_ping;
    int goaway;
    bool is_lenient;
    char *failure;
};

/* False, for the caller to return: the connection counts as ended. */
static bool give_up(struct spdy_client *client, const char *what)
{
    if (!client->is_lenient) {
        fprintf(stderr, "spdy_client: %s\n", what);
        abort();
    }
    if (!client->failure)
        client->failure = xstrdup(what);
    return false;
}

void spdy_client_be_lenient(struct spdy_client *client)
{
    client->is_lenient = true;
}

const char *spdy_client_failure(const struct spdy_client *client)
{
    return client->failure;
}

/* ---- bytes ---- */

static size_t socket_read(void *argument, void *data, size_t room)
{
    struct spdy_client *client = argument;
    struct pollfd fd = {.fd = client->fd, .events = POLLIN};

    if (client->failure)
        return 0;
    if (poll(&fd, 1, CLIENT_LIMIT_MS) == 0)
        return give_up(client, "nothing came");
    ssize_t count = recv(client->fd, data, room, 0);
    return count > 0 ? (size_t)count : 0;
}

static void socket_write(void *argument, const void *data, size_t size)
{
    const struct spdy_client *client = argument;

    while (size > 0) {
        ssize_t count = send(client->fd, data, size, MSG_NOSIGNAL);
        if (count < 0)
            return; /* the server has gone: reading tells */
        data = (const char *)data + count;
        size -= (size_t)count;
    }
}

static bool read_whole(struct spdy_client *client, void *data, size_t size)
{
    for (size_t done = 0, count; done < size; done += count) {
        count = client->carrier.read(client->carrier.argument, (char *)data + done, size - done);
        if (count == 0)
            return false;
    }
    return true;
}

void spdy_client_bytes(struct spdy_client *client, const void *data, size_t size)
{
    client->carrier.write(client->carrier.argument, data, size);
}

static struct spdy_client *client_new(void)
{
    struct spdy_client *client = xcalloc(1, sizeof(*client));

    client->fd = -1;
    client->next_stream = 1;
    client->goaway = -1;
    spdy_inflater_init(&client->inflater);
    spdy_deflater_init(&client->deflater);
    return client;
}

struct spdy_client *spdy_client_over(const struct spdy_carrier *carrier)
{
    struct spdy_client *client = client_new();

    client->carrier = *carrier;
    return client;
}

struct spdy_client *spdy_client_open(uint16_t port, const char *path, const char *versions, int *ret_status)
{
    return spdy_client_open_on(tcp_dial("127.0.0.1", port), path, versions, ret_status);
}

struct spdy_client *spdy_client_open_on(int fd, const char *path, const char *versions, int *ret_status)
{
    autofree char *request =
        xasprintf("POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nConnection: Upgrade\r\n"
                  "Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: %s\r\n\r\n",
                  path, versions);
    autofree char *head = http_ask(fd, request);

    *ret_status = http_status(head);
    if (*ret_status != 101) {
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    struct spdy_client *client = client_new();
    client->fd = fd;
    client->carrier = (struct spdy_carrier){.read = socket_read, .write = socket_write, .argument = client};
    return client;
}

void spdy_client_free(struct spdy_client *client)
{
    if (!client)
        return;
    while (client->streams) {
        struct client_stream *stream = client->streams;
        client->streams = stream->next;
        free(stream->data);
        free(stream);
    }
    if (client->fd >= 0)
        close(client->fd);
    spdy_inflater_fini(&client->inflater);
    spdy_deflater_fini(&client->deflater);
    free(client->failure);
    free(client);
}

/* ---- receiving ---- */

static struct client_stream *stream_find(const struct spdy_client *client, uint32_t id)
{
    for (struct client_stream *stream = client->streams; stream; stream = stream->next)
        if (stream->id == id)
            return stream;
    return NULL;
}

static struct client_stream *stream_get(const struct spdy_client *client, uint32_t id)
{
    struct client_stream *stream = stream_find(client, id);

    if (!stream) {
        fprintf(stderr, "spdy_client: there is no stream %u\n", id);
        abort();
    }
    return stream;
}

static void stream_append(struct client_stream *stream, const void *data, size_t size)
{
    if (stream->size + size + 1 > stream->room) {
        stream->room = 2 * (stream->size + size + 1);
        stream->data = xrealloc(stream->data, stream->room);
    }
    memcpy(stream->data + stream->size, data, size);
    stream->size += size;
    stream->data[stream->size] = '\0';
}

static bool on_reply(struct spdy_client *client, struct client_stream *stream, const uint8_t *payload, size_t size)
{
    autoptr(spdy_headers) headers = NULL;
    autofree uint8_t *block = NULL;
    size_t block_size;
    autoptr(error) failure = size < 4 ? error_new(ERROR_INVALID_ARGUMENT, "a reply that is cut")
                                      : spdy_inflate(&client->inflater, payload + 4, size - 4, &block, &block_size);

    if (!failure)
        failure = spdy_headers_parse(block, block_size, &headers);
    if (failure)
        return give_up(client, failure->text);
    stream->has_reply = true;
    return true;
}

static bool on_stream_control(struct spdy_client *client, const struct spdy_frame *frame, const uint8_t *payload)
{
    uint32_t first = frame->length >= 4 ? spdy_number(payload) : 0,
             second = frame->length >= 8 ? spdy_number(payload + 4) : 0;
    struct client_stream *stream = stream_find(client, first);

    if (!stream) /* a window of the whole session has number 0 */
        return first == 0 || give_up(client, "a control frame for a stream that does not exist");
    if (frame->type == SPDY_SYN_REPLY)
        return on_reply(client, stream, payload, frame->length);
    if (frame->type == SPDY_WINDOW_UPDATE)
        stream->window_updates += second;
    if (frame->type == SPDY_RST_STREAM) {
        stream->reset = second;
        stream->has_ended = true;
    }
    return true;
}

static bool on_control(struct spdy_client *client, const struct spdy_frame *frame, const uint8_t *payload)
{
    switch (frame->type) {
    case SPDY_SYN_REPLY:
    case SPDY_RST_STREAM:
    case SPDY_WINDOW_UPDATE: return on_stream_control(client, frame, payload);
    case SPDY_PING: client->last_ping = frame->length >= 4 ? spdy_number(payload) : 0; return true;
    case SPDY_GOAWAY: client->goaway = frame->length >= 8 ? (int)spdy_number(payload + 4) : 0; return true;
    default: return true;
    }
}

bool spdy_client_read(struct spdy_client *client)
{
    uint8_t head[SPDY_HEAD_SIZE];
    struct spdy_frame frame;

    if (!read_whole(client, head, sizeof(head)))
        return false;
    spdy_frame_parse(head, &frame);
    autofree uint8_t *payload = xmalloc(frame.length + 1);
    if (!read_whole(client, payload, frame.length))
        return false;
    if (frame.is_control)
        return on_control(client, &frame, payload);
    struct client_stream *stream = stream_find(client, frame.stream_id);
    if (!stream)
        return give_up(client, "data for a stream that does not exist");
    if (stream->has_ended)
        return give_up(client, "data after a stream's end");
    if (!stream->has_reply)
        return give_up(client, "data before the reply"); /* moby/spdystream would drop them */
    stream_append(stream, payload, frame.length);
    stream->has_ended = frame.flags & SPDY_FLAG_FIN;
    return true;
}

const char *spdy_client_all(struct spdy_client *client, uint32_t id, size_t *ret_size)
{
    struct client_stream *stream = stream_get(client, id);

    while (!stream->has_ended && spdy_client_read(client))
        ;
    stream->has_ended = true;
    if (ret_size)
        *ret_size = stream->size;
    return stream->data ? stream->data : "";
}

const char *spdy_client_wait(struct spdy_client *client, uint32_t id, size_t size)
{
    struct client_stream *stream = stream_get(client, id);

    while (stream->size < size)
        if (!spdy_client_read(client) && !give_up(client, "the connection ended before the data"))
            break;
    return stream->data ? stream->data : "";
}

size_t spdy_client_received(const struct spdy_client *client, uint32_t id)
{
    return stream_get(client, id)->size;
}

bool spdy_client_is_ended(const struct spdy_client *client, uint32_t id)
{
    return stream_get(client, id)->has_ended;
}

uint32_t spdy_client_reset_status(const struct spdy_client *client, uint32_t id)
{
    return stream_get(client, id)->reset;
}

int spdy_client_goaway(const struct spdy_client *client)
{
    return client->goaway;
}

uint64_t spdy_client_window_updates(const struct spdy_client *client, uint32_t id)
{
    return stream_get(client, id)->window_updates;
}

int spdy_client_fd(const struct spdy_client *client)
{
    return client->fd;
}

/* ---- sending ---- */

void spdy_client_control(struct spdy_client *client, uint16_t type, uint8_t flags, const void *payload, size_t size)
{
    struct spdy_frame frame = {
        .is_control = true, .version = SPDY_VERSION, .type = type, .flags = flags, .length = (uint32_t)size};
    autofree uint8_t *bytes = xmalloc(SPDY_HEAD_SIZE + size);

    spdy_frame_format(&frame, bytes);
    memcpy(bytes + SPDY_HEAD_SIZE, payload, size);
    spdy_client_bytes(client, bytes, SPDY_HEAD_SIZE + size);
}

static size_t text_put(uint8_t *to, const char *text)
{
    size_t length = strlen(text);

    spdy_number_format((uint32_t)length, to);
    memcpy(to + 4, text, length);
    return 4 + length;
}

static void syn_stream(struct spdy_client *client, uint32_t id, const char *const *headers)
{
    uint8_t block[4096];
    size_t size = 4, packed_size;
    uint32_t count = 0;

    for (; headers[2 * count]; count++) {
        size += text_put(block + size, headers[2 * count]);
        size += text_put(block + size, headers[2 * count + 1]);
    }
    spdy_number_format(count, block);
    autofree uint8_t *packed = spdy_deflate(&client->deflater, block, size, &packed_size);
    autofree uint8_t *payload = xcalloc(1, 10 + packed_size);
    spdy_number_format(id, payload);
    memcpy(payload + 10, packed, packed_size);
    spdy_client_control(client, SPDY_SYN_STREAM, 0, payload, 10 + packed_size);
}

uint32_t spdy_client_stream(struct spdy_client *client, const char *const *headers)
{
    struct client_stream *stream = xcalloc(1, sizeof(*stream));

    stream->id = client->next_stream;
    client->next_stream += 2;
    stream->next = client->streams;
    client->streams = stream;
    syn_stream(client, stream->id, headers);
    while (!stream->has_reply && !stream->reset)
        if (!spdy_client_read(client))
            return 0;
    return stream->has_reply ? stream->id : 0;
}

uint32_t spdy_client_stream_of(struct spdy_client *client, const char *type)
{
    return spdy_client_stream(client, (const char *const[]){"streamtype", type, NULL});
}

uint32_t spdy_client_stream_to(struct spdy_client *client, const char *type, uint16_t port, const char *request_id)
{
    autofree char *number = xasprintf("%u", port);

    return spdy_client_stream(client,
                              (const char *const[]){"streamtype", type, "port", number, "requestid", request_id, NULL});
}

void spdy_client_send(struct spdy_client *client, uint32_t stream, const void *data, size_t size, bool is_last)
{
    struct spdy_frame frame = {.flags = is_last ? SPDY_FLAG_FIN : 0, .length = (uint32_t)size, .stream_id = stream};
    autofree uint8_t *bytes = xmalloc(SPDY_HEAD_SIZE + size);

    spdy_frame_format(&frame, bytes);
    memcpy(bytes + SPDY_HEAD_SIZE, data, size);
    spdy_client_bytes(client, bytes, SPDY_HEAD_SIZE + size);
}

void spdy_client_reset(struct spdy_client *client, uint32_t stream)
{
    uint8_t payload[8];

    spdy_number_format(stream, payload);
    spdy_number_format(SPDY_CANCEL, payload + 4);
    spdy_client_control(client, SPDY_RST_STREAM, 0, payload, sizeof(payload));
}

void spdy_client_ping(struct spdy_client *client, uint32_t id)
{
    uint8_t payload[4];

    spdy_number_format(id, payload);
    spdy_client_control(client, SPDY_PING, 0, payload, sizeof(payload));
    while (client->last_ping != id)
        if (!spdy_client_read(client) && !give_up(client, "no answer to a ping"))
            break;
}
