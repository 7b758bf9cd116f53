/* The request: its token, its head, and which protocol it gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/memory.h"
#include "services/criapi/stream/token.h"
#include "services/criapi/stream/upgrade.h"

#define SECRET "0123456789abcdef0123456789abcdef"

/* ---- tokens ---- */

static void a_token_says_kind_pod_and_secret(void **state)
{
    static const struct {
        const char *path;
        enum stream_kind kind;
    } paths[] = {{"/exec/c0ffee-" SECRET, STREAM_EXEC},
                 {"/attach/c0ffee-" SECRET, STREAM_ATTACH},
                 {"/portforward/c0ffee-" SECRET, STREAM_PORT_FORWARD}};
    struct token token;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_null(token_parse(paths[i].path, &token));
        assert_int_equal(token.kind, paths[i].kind);
        assert_string_equal(token.pod, "c0ffee");
        assert_string_equal(token.secret, SECRET);
    }
}

static void what_is_not_exactly_a_token_is_not_found(void **state)
{
    static const char *const paths[] = {
        "",
        "/",
        "/exec",
        "/exec/",
        "exec/c0ffee-" SECRET,
        "/exec/c0ffee-" SECRET "0",
        "/exec/c0ffee-" SECRET "/",
        "/exec/c0ffee-0123456789abcdef0123456789abcde",
        "/exec/c0ffee" SECRET,
        "/exec/-" SECRET,
        "/exec/..-" SECRET,
        "/exec/a/b-" SECRET,
        "/exec/C0FFEE-" SECRET,
        "/exec/c0ffee-0123456789ABCDEF0123456789abcdef",
        "/EXEC/c0ffee-" SECRET,
        "/exec//c0ffee-" SECRET,
        "/execc0ffee-" SECRET,
        "/exec/00000000000000000000000000000000000000000000000000000000000000000-" SECRET /* 65 digits */};
    struct token token = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        autoptr(error) failure = token_parse(paths[i], &token);
        assert_non_null(failure);
        assert_int_equal(failure->code, ERROR_NOT_FOUND);
    }
    assert_string_equal(token.pod, ""); /* left alone */
}

/* ---- heads ---- */

static struct http_head *head_of(const char *text, size_t *ret_used)
{
    struct http_head *head = NULL;

    assert_null(http_head_parse(text, strlen(text), &head, ret_used));
    return head;
}

static void a_head_is_read_once_it_is_whole_and_no_byte_further(void **state)
{
    static const char text[] =
        "POST /exec/a?x=1&y#z HTTP/1.1\r\nHost: h\r\nUpgrade: SPDY/3.1\r\nX:  a, b ,c\r\nx: d\r\n\r\n\x80\x03";
    size_t whole = sizeof(text) - 3, used = 0;

    (void)state;
    for (size_t size = 0; size < whole; size++) {
        struct http_head *head = NULL;
        assert_null(http_head_parse(text, size, &head, &used));
        assert_null(head);
    }
    autoptr(http_head) head = head_of(text, &used);
    assert_non_null(head);
    assert_int_equal(used, whole);
    assert_string_equal(head->method, "POST");
    assert_string_equal(head->path, "/exec/a");
    assert_string_equal(head->query, "x=1&y");
    assert_false(head->has_body);
    assert_string_equal(http_head_find(head, "UPGRADE"), "SPDY/3.1");
    assert_null(http_head_find(head, "Host2"));
    char **list = http_head_list(head, "X");
    assert_string_equal(list[0], "a");
    assert_string_equal(list[2], "c");
    assert_string_equal(list[3], "d");
    assert_null(list[4]);
    http_list_free(list);
    assert_true(http_head_lists(head, "x", "B"));
    assert_false(http_head_lists(head, "x", "e"));
}

static void a_head_that_is_none_or_too_large_is_refused(void **state)
{
    static const char *const wrong[] = {"HELO x\r\n\r\n",
                                        "GET /\x01 HTTP/1.1\r\n\r\n",
                                        "GET / HTTP/1.1\r\nno colon\r\n\r\n",
                                        "GET / HTTP/1.1\r\nX: a\x01\r\n\r\n",
                                        "\x80\x03\x00\x01",
                                        "GET / HTTP/9999999\r\n\r\n"};
    autofree char *large = xmalloc(HTTP_HEAD_MAX + 1);
    struct http_head *head = NULL;
    size_t used;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        autoptr(error) failure = http_head_parse(wrong[i], strlen(wrong[i]), &head, &used);
        assert_non_null(failure);
        assert_int_equal(failure->code, ERROR_INVALID_ARGUMENT);
    }
    memset(large, 'a', HTTP_HEAD_MAX + 1);
    memcpy(large, "GET /", 5);
    autoptr(error) failure = http_head_parse(large, HTTP_HEAD_MAX + 1, &head, &used);
    assert_int_equal(failure->code, ERROR_RESOURCE_EXHAUSTED);
    autofree char *fields = xstrdup("GET / HTTP/1.1\r\n");
    for (int i = 0; i <= HTTP_FIELDS_MAX; i++) {
        char *more = xasprintf("%sf%d: v\r\n", fields, i);
        free(fields);
        fields = more;
    }
    autoptr(error) many = http_head_parse(fields, strlen(fields), &head, &used);
    assert_int_equal(many->code, ERROR_RESOURCE_EXHAUSTED);
    assert_null(head);
}

static void a_body_is_seen(void **state)
{
    size_t used;

    (void)state;
    autoptr(http_head) some = head_of("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n", &used);
    autoptr(http_head) none = head_of("POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", &used);
    autoptr(http_head) chunked = head_of("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", &used);
    assert_true(some->has_body);
    assert_false(none->has_body);
    assert_true(chunked->has_body);
}

/* ---- upgrades ---- */

static void expect_upgrade(const char *request, enum stream_kind kind, enum upgrade_transport transport,
                           const char *words, struct upgrade *ret)
{
    size_t used;
    autoptr(http_head) head = head_of(request, &used);

    assert_non_null(head);
    upgrade_decide(head, kind, ret);
    if (ret->transport != transport || !strstr(ret->answer, words))
        fail_msg("'%s' was to be in: %s", words, ret->answer);
    free(ret->answer);
}

#define SPDY(versions)                                                                                                 \
    "POST / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: " versions "\r\n\r\n"
#define WEBSOCKET(protocols)                                                                                           \
    "GET /?port=80,443&x=9&port=8080%2C1 HTTP/1.1\r\nConnection: keep-alive, upgrade\r\nUpgrade: WebSocket\r\n"        \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" protocols "\r\n"

static void the_clients_first_wish_that_we_know_is_agreed_to(void **state)
{
    struct upgrade upgrade;

    (void)state;
    expect_upgrade(SPDY("v9, v3.channel.k8s.io, v4.channel.k8s.io"), STREAM_EXEC, UPGRADE_SPDY,
                   "Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v3.channel.k8s.io\r\n", &upgrade);
    assert_true(upgrade.has_resize && !upgrade.has_status_json);
    expect_upgrade(SPDY("v4.channel.k8s.io"), STREAM_ATTACH, UPGRADE_SPDY, "101", &upgrade);
    assert_true(upgrade.has_resize && upgrade.has_status_json);
    expect_upgrade(SPDY("channel.k8s.io"), STREAM_EXEC, UPGRADE_SPDY, "101", &upgrade);
    assert_true(!upgrade.has_resize && !upgrade.has_status_json);
    expect_upgrade(SPDY("portforward.k8s.io"), STREAM_PORT_FORWARD, UPGRADE_SPDY, "101", &upgrade);
    expect_upgrade(SPDY("portforward.k8s.io"), STREAM_EXEC, UPGRADE_NONE, "403 Forbidden", &upgrade);
    expect_upgrade(
        WEBSOCKET("Sec-WebSocket-Protocol: v5.channel.k8s.io, v4.channel.k8s.io\r\n"), STREAM_EXEC, UPGRADE_WEBSOCKET,
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n",
        &upgrade);
    assert_true(upgrade.has_close && upgrade.has_status_json && !upgrade.is_base64);
    expect_upgrade(WEBSOCKET("Sec-WebSocket-Protocol: base64.channel.k8s.io\r\n"), STREAM_EXEC, UPGRADE_WEBSOCKET,
                   "101", &upgrade);
    assert_true(!upgrade.has_close && !upgrade.has_status_json && upgrade.is_base64);
    expect_upgrade(WEBSOCKET(""), STREAM_EXEC, UPGRADE_WEBSOCKET, "101", &upgrade);
    expect_upgrade(WEBSOCKET("Sec-WebSocket-Protocol: SPDY/3.1+portforward.k8s.io\r\n"), STREAM_PORT_FORWARD,
                   UPGRADE_TUNNEL, "101", &upgrade);
}

static void a_port_forward_by_channels_has_the_ports_of_its_query(void **state)
{
    static const uint16_t expected[] = {80, 443, 8080, 1};
    struct upgrade upgrade;

    (void)state;
    expect_upgrade(WEBSOCKET("Sec-WebSocket-Protocol: v4.channel.k8s.io\r\n"), STREAM_PORT_FORWARD, UPGRADE_WEBSOCKET,
                   "101", &upgrade);
    assert_int_equal(upgrade.port_count, 4);
    assert_memory_equal(upgrade.ports, expected, sizeof(expected));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_says_kind_pod_and_secret),
        cmocka_unit_test(what_is_not_exactly_a_token_is_not_found),
        cmocka_unit_test(a_head_is_read_once_it_is_whole_and_no_byte_further),
        cmocka_unit_test(a_head_that_is_none_or_too_large_is_refused),
        cmocka_unit_test(a_body_is_seen),
        cmocka_unit_test(the_clients_first_wish_that_we_know_is_agreed_to),
        cmocka_unit_test(a_port_forward_by_channels_has_the_ports_of_its_query),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
