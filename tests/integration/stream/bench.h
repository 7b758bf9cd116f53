/* What the tests of `stream` run on: a listening socket, spares at it, a stand-in for a pod's shim, and a place for
 * what is notified. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/stream_protocol.h"
#include "tests/support/check.h"
#include "cli/clients/http_client.h"
#include "cli/clients/spdy_client.h"
#include "tests/support/stream_shim.h"
#include "cli/clients/websocket_client.h"

enum { BENCH_SESSIONS_MAX = 300 };

struct bench {
    char *state; /* a directory of its own */
    struct stream_shim *shim;
    int listener;
    uint16_t port;
    int notify;
    pid_t sessions[BENCH_SESSIONS_MAX];
    size_t session_count;
};

/* cmocka's set-up and tear-down: the state is a struct bench. The tear-down sees that every spare and session has ended
 * by itself. */
int bench_setup(void **state);
int bench_teardown(void **state);

/* The configuration of the spares that are started from now on. */
void bench_configure(struct bench *bench, const char *json);

/* Starts a spare. */
pid_t bench_spare(struct bench *bench);

/* A spare for it, and a new token: the path of its URL. The caller frees it. */
char *bench_path(struct bench *bench, uint32_t kind, uint32_t flags, const char *command);

/* Waits for the end of a spare or session: waitpid(2)'s status. -1: it did not end, and has been killed. */
int bench_wait(struct bench *bench, pid_t pid);

/* Waits for a notification with these words. */
void bench_wait_notified(struct bench *bench, const char *words);

/* A SPDY session whose channels are open, as the flags say. */
struct bench_exec {
    struct spdy_client *client;
    uint32_t error, in, out, err, resize;
};
struct bench_exec bench_spdy(struct bench *bench, uint32_t kind, uint32_t flags, const char *command);

/* The same by WebSocket, with that protocol; and a port-forward by SPDY. */
struct websocket_client *bench_websocket(struct bench *bench, uint32_t kind, uint32_t flags, const char *command,
                                         const char *protocol);
struct spdy_client *bench_forward(struct bench *bench);

/* Resident memory of the last session, in KiB; a value of /proc/PID/status. */
long bench_memory_kib(const struct bench *bench);

/* A TCP server of the test on 127.0.0.1 (or ::1), which serves any number of connections by that shell-like behaviour.
 */
enum server_kind { SERVER_ECHO, SERVER_EOF_COUNT, SERVER_GREETING };
struct server;
struct server *server_new(enum server_kind kind, bool is_ipv6, uint16_t *ret_port);
void server_free(struct server *server);
