/* Which protocols we speak, in which form each is asked for and agreed to. */
#include "services/criapi/stream/upgrade.h"

#include <nettle/base64.h>
#include <nettle/sha1.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/memory.h"
#include "services/criapi/stream/answer.h"

struct protocol {
    const char *name;
    enum upgrade_transport transport;
    bool has_status_json, has_resize, is_base64, has_close;
};

/* By SPDY: in X-Stream-Protocol-Version (k8s.io/kubelet/pkg/cri/streaming/remotecommand). */
static const struct protocol remote_spdy[] = {
    {.name = "v4.channel.k8s.io", .transport = UPGRADE_SPDY, .has_status_json = true, .has_resize = true},
    {.name = "v3.channel.k8s.io", .transport = UPGRADE_SPDY, .has_resize = true},
    {.name = "v2.channel.k8s.io", .transport = UPGRADE_SPDY},
    {.name = "channel.k8s.io", .transport = UPGRADE_SPDY},
    {0},
};
static const struct protocol forward_spdy[] = {{.name = "portforward.k8s.io", .transport = UPGRADE_SPDY}, {0}};

/* By WebSocket: in Sec-WebSocket-Protocol; "" where the client names none. */
static const struct protocol remote_websocket[] = {
    {.name = "v5.channel.k8s.io", .transport = UPGRADE_WEBSOCKET, .has_status_json = true, .has_close = true},
    {.name = "v4.channel.k8s.io", .transport = UPGRADE_WEBSOCKET, .has_status_json = true},
    {.name = "v4.base64.channel.k8s.io", .transport = UPGRADE_WEBSOCKET, .has_status_json = true, .is_base64 = true},
    {.name = "channel.k8s.io", .transport = UPGRADE_WEBSOCKET},
    {.name = "base64.channel.k8s.io", .transport = UPGRADE_WEBSOCKET, .is_base64 = true},
    {.name = "", .transport = UPGRADE_WEBSOCKET},
    {0},
};
static const struct protocol forward_websocket[] = {
    {.name = "SPDY/3.1+portforward.k8s.io", .transport = UPGRADE_TUNNEL},
    {.name = "v4.channel.k8s.io", .transport = UPGRADE_WEBSOCKET},
    {.name = "v4.base64.channel.k8s.io", .transport = UPGRADE_WEBSOCKET, .is_base64 = true},
    {.name = "", .transport = UPGRADE_WEBSOCKET},
    {0},
};

static void refuse(struct upgrade *upgrade, int status, const char *fields, const char *text)
{
    upgrade->transport = UPGRADE_NONE;
    free(upgrade->answer);
    upgrade->answer = answer_error(status, fields, text);
}

/* The first of the client's wishes that is known: the client's order counts. */
static const struct protocol *negotiate(char *const *wishes, const struct protocol *known)
{
    for (; *wishes; wishes++)
        for (const struct protocol *protocol = known; protocol->name; protocol++)
            if (strcmp(*wishes, protocol->name) == 0)
                return protocol;
    return NULL;
}

static void agree(struct upgrade *upgrade, const struct protocol *protocol, const char *fields)
{
    upgrade->transport = protocol->transport;
    upgrade->has_status_json = protocol->has_status_json;
    upgrade->has_resize = protocol->has_resize;
    upgrade->is_base64 = protocol->is_base64;
    upgrade->has_close = protocol->has_close;
    upgrade->answer = answer_upgrade(fields);
}

/* ---- SPDY ---- */

static char *accepted_lines(const struct protocol *known)
{
    char *lines = xstrdup("");

    for (; known->name; known++) {
        char *longer = xasprintf("%sX-Accepted-Stream-Protocol-Versions: %s\r\n", lines, known->name);
        free(lines);
        lines = longer;
    }
    return lines;
}

static void spdy_agree(struct upgrade *upgrade, char *const *wishes, const struct protocol *known)
{
    const struct protocol *protocol = negotiate(wishes, known);

    if (!protocol) {
        autofree char *lines = accepted_lines(known);
        refuse(upgrade, 403, lines, "unable to upgrade: unable to negotiate protocol");
        return;
    }
    autofree char *fields = xasprintf("Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: %s\r\n", protocol->name);
    agree(upgrade, protocol, fields);
}

static void spdy_decide(const struct http_head *head, enum stream_kind kind, struct upgrade *upgrade)
{
    char **wishes = http_head_list(head, "X-Stream-Protocol-Version");

    if (!wishes[0])
        refuse(upgrade, 400, "", "unable to upgrade: header X-Stream-Protocol-Version does not exist in request");
    else if (!http_head_lists(head, "Connection", "Upgrade") || !http_head_lists(head, "Upgrade", "SPDY/3.1"))
        refuse(upgrade, 400, "", "unable to upgrade: missing upgrade headers in request");
    else
        spdy_agree(upgrade, wishes, kind == STREAM_PORT_FORWARD ? forward_spdy : remote_spdy);
    http_list_free(wishes);
}

/* ---- WebSocket ---- */

/* RFC 6455, section 4.2.2: base64 of SHA-1 of the key and a fixed text. */
static char *accept_key(const char *key)
{
    static const char fixed[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char *accept = xcalloc(1, BASE64_ENCODE_RAW_LENGTH(SHA1_DIGEST_SIZE) + 1);
    uint8_t digest[SHA1_DIGEST_SIZE];
    struct sha1_ctx hash;

    sha1_init(&hash);
    sha1_update(&hash, strlen(key), (const uint8_t *)key);
    sha1_update(&hash, sizeof(fixed) - 1, (const uint8_t *)fixed);
    sha1_digest(&hash, sizeof(digest), digest);
    base64_encode_raw(accept, sizeof(digest), digest);
    return accept;
}

/* 16 bytes in base64 (section 4.1). */
static bool is_key(const char *key)
{
    struct base64_decode_ctx context;
    uint8_t bytes[BASE64_DECODE_LENGTH(24) + 1];
    size_t size = sizeof(bytes);

    base64_decode_init(&context);
    return strlen(key) == 24 && base64_decode_update(&context, &size, bytes, 24, key) &&
           base64_decode_final(&context) && size == 16;
}

static bool port_add(struct upgrade *upgrade, const char *text, size_t length)
{
    char digits[6] = "";

    if (length == 0 || length > 5 || upgrade->port_count == UPGRADE_PORTS_MAX)
        return false;
    memcpy(digits, text, length);
    unsigned long port = strtoul(digits, NULL, 10);
    if (strspn(digits, "0123456789") != length || port < 1 || port > UINT16_MAX)
        return false;
    upgrade->ports[upgrade->port_count++] = (uint16_t)port;
    return true;
}

/* "80,443", as far as end. A comma may come as %2C. */
static bool ports_add(struct upgrade *upgrade, const char *text, const char *end)
{
    for (;;) {
        size_t length = strspn(text, "0123456789");
        if (!port_add(upgrade, text, length))
            return false;
        text += length;
        if (text == end)
            return true;
        size_t comma = *text == ',' ? 1 : strncasecmp(text, "%2c", 3) == 0 ? 3 : 0;
        if (comma == 0)
            return false;
        text += comma;
    }
}

static const char *const port_missing = "query parameter \"port\" is required";

/* port=80&port=443,8080 */
static const char *ports_parse(struct upgrade *upgrade, const char *query)
{
    while (*query) {
        const char *end = query + strcspn(query, "&");
        if (strncmp(query, "port=", 5) == 0 && !ports_add(upgrade, query + 5, end))
            return "unable to parse query parameter \"port\"";
        query = *end ? end + 1 : end;
    }
    return upgrade->port_count > 0 ? NULL : port_missing;
}

static void websocket_agree(const struct http_head *head, const struct protocol *protocol, struct upgrade *upgrade)
{
    autofree char *accept = accept_key(http_head_find(head, "Sec-WebSocket-Key"));
    autofree char *chosen =
        protocol->name[0] ? xasprintf("Sec-WebSocket-Protocol: %s\r\n", protocol->name) : xstrdup("");
    autofree char *fields = xasprintf("Upgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n%s", accept, chosen);

    agree(upgrade, protocol, fields);
}

static void websocket_negotiate(const struct http_head *head, enum stream_kind kind, struct upgrade *upgrade)
{
    static char *const none[] = {"", NULL};
    char **wishes = http_head_list(head, "Sec-WebSocket-Protocol");
    const struct protocol *protocol =
        negotiate(wishes[0] ? wishes : none, kind == STREAM_PORT_FORWARD ? forward_websocket : remote_websocket);
    const char *problem = NULL;

    if (protocol && kind == STREAM_PORT_FORWARD && protocol->transport == UPGRADE_WEBSOCKET)
        problem = ports_parse(upgrade, head->query);
    if (!protocol)
        refuse(upgrade, 403, "", "requested protocol(s) are not supported");
    else if (problem)
        refuse(upgrade, 400, "", problem);
    else
        websocket_agree(head, protocol, upgrade);
    http_list_free(wishes);
}

static void websocket_decide(const struct http_head *head, enum stream_kind kind, struct upgrade *upgrade)
{
    const char *version = http_head_find(head, "Sec-WebSocket-Version"),
               *key = http_head_find(head, "Sec-WebSocket-Key");

    if (strcmp(head->method, "GET") != 0)
        refuse(upgrade, 405, "Allow: GET\r\n", "a WebSocket begins with GET");
    else if (!version || strcmp(version, "13") != 0)
        refuse(upgrade, 400, "Sec-WebSocket-Version: 13\r\n", "missing or bad WebSocket Version");
    else if (!key || !is_key(key))
        refuse(upgrade, 400, "", "mismatch challenge/response");
    else
        websocket_negotiate(head, kind, upgrade);
}

void upgrade_decide(const struct http_head *head, enum stream_kind kind, struct upgrade *ret)
{
    *ret = (struct upgrade){0};
    if (head->has_body)
        refuse(ret, 400, "", "unable to upgrade: the request has a body");
    else if (http_head_lists(head, "Upgrade", "websocket") && http_head_lists(head, "Connection", "Upgrade"))
        websocket_decide(head, kind, ret);
    else
        spdy_decide(head, kind, ret);
}
