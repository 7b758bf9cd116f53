/* How a client of WebSockets speaks (RFC 6455), and Kubernetes' channels in it. */
#include "cli/clients/websocket_client.h"

#include <nettle/base64.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/memory.h"
#include "cli/clients/http_client.h"

enum { CHANNELS = 256, MESSAGE_MAX = 1 << 20 };

struct websocket_client {
    int fd;
    char *protocol;
    bool is_base64, is_raw, has_ended;
    char *data[CHANNELS];
    size_t size[CHANNELS];
    int close_code;
    unsigned pongs;
    uint8_t *raw; /* a message that is being read raw */
    size_t raw_size, raw_used;
    bool is_lenient;
    const char *failure;
};

/* False, for the caller to return: the connection counts as ended. */
static bool give_up(struct websocket_client *client, const char *what)
{
    if (!client->is_lenient) {
        fprintf(stderr, "websocket_client: %s\n", what);
        abort();
    }
    client->failure = client->failure ? client->failure : what;
    client->has_ended = true;
    return false;
}

void websocket_client_be_lenient(struct websocket_client *client)
{
    client->is_lenient = true;
}

const char *websocket_client_failure(const struct websocket_client *client)
{
    return client->failure;
}

static char *field_find(const char *head, const char *name)
{
    autofree char *line = xasprintf("\r\n%s: ", name);
    const char *found = strstr(head, line);

    if (!found)
        return xstrdup("");
    found += strlen(line);
    return xstrndup(found, strcspn(found, "\r"));
}

struct websocket_client *websocket_client_open(uint16_t port, const char *path, const char *protocol, int *ret_status)
{
    return websocket_client_open_on(tcp_dial("127.0.0.1", port), path, protocol, ret_status);
}

struct websocket_client *websocket_client_open_on(int fd, const char *path, const char *protocol, int *ret_status)
{
    autofree char *wish = protocol ? xasprintf("Sec-WebSocket-Protocol: %s\r\n", protocol) : xstrdup("");
    autofree char *request =
        xasprintf("GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n",
                  path, wish);
    autofree char *head = http_ask(fd, request);

    *ret_status = http_status(head);
    if (*ret_status != 101) {
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    autofree char *accept = field_find(head, "Sec-WebSocket-Accept");
    struct websocket_client *client = xcalloc(1, sizeof(*client));
    client->fd = fd;
    if (strcmp(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") != 0) /* RFC 6455, section 1.3 */
        give_up(client, "the accept key is wrong");
    client->protocol = field_find(head, "Sec-WebSocket-Protocol");
    client->is_base64 = strstr(client->protocol, "base64") != NULL;
    return client;
}

void websocket_client_free(struct websocket_client *client)
{
    if (!client)
        return;
    close(client->fd);
    for (int i = 0; i < CHANNELS; i++)
        free(client->data[i]);
    free(client->protocol);
    free(client->raw);
    free(client);
}

const char *websocket_client_protocol(const struct websocket_client *client)
{
    return client->protocol;
}

int websocket_client_fd(const struct websocket_client *client)
{
    return client->fd;
}

/* ---- sending ---- */

static void bytes_send(const struct websocket_client *client, const uint8_t *data, size_t size)
{
    while (size > 0) {
        ssize_t count = send(client->fd, data, size, MSG_NOSIGNAL);
        if (count < 0)
            return; /* reading tells */
        data += count;
        size -= (size_t)count;
    }
}

static size_t head_put(uint8_t *to, uint8_t first, bool is_masked, size_t size)
{
    uint8_t mask = is_masked ? 0x80 : 0;

    to[0] = first;
    if (size < 126) {
        to[1] = (uint8_t)(mask | size);
        return 2;
    }
    int bytes = size < 65536 ? 2 : 8;
    to[1] = (uint8_t)(mask | (bytes == 2 ? 126 : 127));
    for (int i = 0; i < bytes; i++)
        to[2 + i] = (uint8_t)((uint64_t)size >> (8 * (bytes - 1 - i)));
    return 2 + (size_t)bytes;
}

void websocket_client_frame(struct websocket_client *client, enum websocket_opcode opcode, bool is_last, bool is_masked,
                            const void *data, size_t size)
{
    static const uint8_t mask[4] = {0x12, 0x34, 0x56, 0x78};
    autofree uint8_t *bytes = xmalloc(14 + size);
    size_t head = head_put(bytes, (uint8_t)((is_last ? 0x80 : 0) | opcode), is_masked, size);

    if (is_masked) {
        memcpy(bytes + head, mask, sizeof(mask));
        head += sizeof(mask);
    }
    for (size_t i = 0; i < size; i++)
        bytes[head + i] = ((const uint8_t *)data)[i] ^ (is_masked ? mask[i % 4] : 0);
    bytes_send(client, bytes, head + size);
}

void websocket_client_send(struct websocket_client *client, uint8_t channel, const void *data, size_t size)
{
    autofree uint8_t *message = xmalloc(2 + BASE64_ENCODE_RAW_LENGTH(size));
    size_t length = size;

    message[0] = client->is_base64 ? (uint8_t)('0' + channel) : channel;
    if (client->is_base64) {
        base64_encode_raw((char *)message + 1, size, data);
        length = BASE64_ENCODE_RAW_LENGTH(size);
    } else {
        memcpy(message + 1, data, size);
    }
    websocket_client_frame(client, client->is_base64 ? WEBSOCKET_TEXT : WEBSOCKET_BINARY, true, true, message,
                           1 + length);
}

void websocket_client_end(struct websocket_client *client, uint8_t channel)
{
    uint8_t message[2] = {255, channel};

    websocket_client_frame(client, WEBSOCKET_BINARY, true, true, message, sizeof(message));
}

/* ---- receiving ---- */

static bool read_whole(struct websocket_client *client, void *data, size_t size)
{
    struct pollfd fd = {.fd = client->fd, .events = POLLIN};

    for (size_t done = 0; done < size;) {
        if (poll(&fd, 1, CLIENT_LIMIT_MS) == 0)
            return give_up(client, "nothing came");
        ssize_t count = recv(client->fd, (char *)data + done, size - done, 0);
        if (count <= 0) {
            client->has_ended = true;
            return false;
        }
        done += (size_t)count;
    }
    return true;
}

/* One frame; the server neither masks nor fragments. *ret_data is the caller's. */
static bool frame_read(struct websocket_client *client, uint8_t *ret_opcode, uint8_t **ret_data, size_t *ret_size)
{
    uint8_t head[2], longer[8];

    if (!read_whole(client, head, 2))
        return false;
    if (head[1] & 0x80 || !(head[0] & 0x80))
        return give_up(client, "a masked or unfinished frame of the server");
    uint64_t size = head[1];
    int bytes = size == 126 ? 2 : size == 127 ? 8 : 0;
    if (bytes && !read_whole(client, longer, (size_t)bytes))
        return false;
    for (int i = 0; i < bytes; i++)
        size = (i == 0 ? 0 : size << 8) | longer[i];
    if (size > MESSAGE_MAX)
        return give_up(client, "a message of more than a megabyte");
    *ret_data = xmalloc(size + 1);
    *ret_size = size;
    *ret_opcode = head[0] & 15;
    if (read_whole(client, *ret_data, size))
        return true;
    free(*ret_data);
    return false;
}

/* The next message of data. */
static bool message_read(struct websocket_client *client, uint8_t **ret_data, size_t *ret_size)
{
    uint8_t opcode;

    while (!client->has_ended && frame_read(client, &opcode, ret_data, ret_size)) {
        if (opcode == WEBSOCKET_TEXT || opcode == WEBSOCKET_BINARY) {
            if ((opcode == WEBSOCKET_TEXT) != client->is_base64)
                give_up(client, "a message of the wrong kind");
            return true;
        }
        client->pongs += opcode == WEBSOCKET_PONG;
        if (opcode == WEBSOCKET_CLOSE)
            client->close_code = *ret_size >= 2 ? (*ret_data)[0] << 8 | (*ret_data)[1] : 1005;
        free(*ret_data);
    }
    *ret_data = NULL;
    *ret_size = 0;
    return false;
}

static void channel_append(struct websocket_client *client, uint8_t channel, const uint8_t *data, size_t size)
{
    size_t plain_size = client->is_base64 ? BASE64_DECODE_LENGTH(size) : size, old = client->size[channel];
    char *text = client->data[channel] = xrealloc(client->data[channel], old + plain_size + 1);
    struct base64_decode_ctx decoder;

    base64_decode_init(&decoder);
    if (!client->is_base64)
        memcpy(text + old, data, size);
    else if (!base64_decode_update(&decoder, &plain_size, (uint8_t *)text + old, size, (const char *)data) ||
             !base64_decode_final(&decoder))
        plain_size = give_up(client, "bad base64");
    client->size[channel] = old + plain_size;
    text[client->size[channel]] = '\0';
}

bool websocket_client_read(struct websocket_client *client)
{
    uint8_t *data;
    size_t size;

    if (!message_read(client, &data, &size))
        return false;
    if (size == 0) {
        free(data);
        return give_up(client, "a message without a channel");
    }
    channel_append(client, client->is_base64 ? (uint8_t)(data[0] - '0') : data[0], data + 1, size - 1);
    free(data);
    return true;
}

const char *websocket_client_all(struct websocket_client *client, uint8_t channel, size_t *ret_size)
{
    while (websocket_client_read(client))
        ;
    if (ret_size)
        *ret_size = client->size[channel];
    return client->data[channel] ? client->data[channel] : "";
}

const char *websocket_client_wait(struct websocket_client *client, uint8_t channel, size_t size)
{
    while (client->size[channel] < size)
        if (!websocket_client_read(client) && !give_up(client, "the connection ended before the data"))
            break;
    return client->data[channel] ? client->data[channel] : "";
}

size_t websocket_client_received(const struct websocket_client *client, uint8_t channel)
{
    return client->size[channel];
}

int websocket_client_close_code(const struct websocket_client *client)
{
    return client->close_code;
}

unsigned websocket_client_pongs(const struct websocket_client *client)
{
    return client->pongs;
}

size_t websocket_client_raw_read(void *argument, void *data, size_t room)
{
    struct websocket_client *client = argument;

    while (client->raw_used == client->raw_size) {
        free(client->raw);
        client->raw = NULL;
        client->raw_size = client->raw_used = 0;
        if (!message_read(client, &client->raw, &client->raw_size))
            return 0;
    }
    size_t left = client->raw_size - client->raw_used, size = left < room ? left : room;
    memcpy(data, client->raw + client->raw_used, size);
    client->raw_used += size;
    return size;
}

void websocket_client_raw_write(void *argument, const void *data, size_t size)
{
    websocket_client_frame(argument, WEBSOCKET_BINARY, true, true, data, size);
}
