/* Streaming sessions in the tree: a process each, one that waits, and no death but their own ends them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include <arpa/inet.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/memory.h"
#include "tests/integration/tree.h"

enum { TRIES = 1000, TRY_MS = 20 };

static int setup(void **state)
{
    struct tree *tree = tree_new("state");

    tree_install(tree, "tree-stream", "stream");
    backstop_start(tree);
    tree_wait_ready(tree);
    *state = tree;
    return 0;
}

static int teardown(void **state)
{
    struct tree *tree = *state;
    autofree char *address = xasprintf("%s/stream_address", tree->state);

    assert_int_equal(access(address, F_OK), 0);
    backstop_stop(tree);
    assert_int_equal(access(address, F_OK), -1);
    backstop_start(tree); /* for the common end */
    tree_wait_ready(tree);
    return tree_teardown(state);
}

static uint16_t port_read(const struct tree *tree)
{
    autofree char *path = xasprintf("%s/stream_address", tree->state);
    autofree char *text = NULL;
    size_t size;

    assert_null(file_read_all(path, 64, &text, &size));
    return (uint16_t)strtoul(strrchr(text, ':') + 1, NULL, 10);
}

struct client {
    int fd;
    pid_t pid; /* the process that serves it */
};

static struct client client_open(const struct tree *tree)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port_read(tree))};
    struct timeval limit = {.tv_sec = 20}; /* ends a hang */
    struct client client = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    char text[16] = "";

    setsockopt(client.fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    assert_int_equal(connect(client.fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_true(recv(client.fd, text, sizeof(text) - 1, 0) > 0);
    client.pid = (pid_t)strtol(text, NULL, 10);
    return client;
}

static void client_prove(const struct client *client)
{
    char text[16] = "";

    assert_int_equal(send(client->fd, "open", 4, MSG_NOSIGNAL), 4);
    assert_true(recv(client->fd, text, sizeof(text) - 1, 0) > 0);
    assert_string_equal(text, "proven\n");
}

/* Its name is "stream INSTANCE". */
static bool is_stream(const json_t *row)
{
    return strncmp(json_string_value(json_object_get(row, "process")), "stream ", 7) == 0;
}

static size_t streams_count(const struct tree *tree, const char *note)
{
    json_t *status = status_read(tree), *row;
    size_t count = 0, i;

    json_array_foreach(json_object_get(status, "processes"), i,
                       row) if (is_stream(row) &&
                                (!note || strcmp(json_string_value(json_object_get(row, "note")), note) == 0)) count++;
    json_decref(status);
    return count;
}

static void wait_for_streams(const struct tree *tree, const char *note, size_t expected)
{
    for (int i = 0; i < TRIES && streams_count(tree, note) != expected; i++)
        sleep_ms(TRY_MS);
    assert_int_equal(streams_count(tree, note), expected);
}

static void each_connection_has_a_process_and_one_waits(void **state)
{
    struct tree *tree = *state;
    struct client clients[20];

    wait_for_streams(tree, NULL, 1);
    for (size_t i = 0; i < 20; i++) {
        clients[i] = client_open(tree);
        client_prove(&clients[i]);
        for (size_t k = 0; k < i; k++)
            assert_int_not_equal(clients[i].pid, clients[k].pid);
    }
    wait_for_streams(tree, "exec", 20);
    wait_for_streams(tree, "", 1);
    for (size_t i = 0; i < 20; i++)
        close(clients[i].fd);
    wait_for_streams(tree, NULL, 1);
}

static void connections_that_prove_nothing_are_limited_and_the_next_waits_for_them(void **state)
{
    struct tree *tree = *state;
    struct client clients[64];

    for (size_t i = 0; i < 64; i++)
        clients[i] = client_open(tree);
    wait_for_streams(tree, "connected", 64);
    assert_int_equal(streams_count(tree, ""), 0);
    close(clients[0].fd);
    struct client next = client_open(tree);
    client_prove(&next);
    wait_for_streams(tree, "exec", 1);
    close(next.fd);
    for (size_t i = 1; i < 64; i++)
        close(clients[i].fd);
    wait_for_streams(tree, NULL, 1);
}

static void kill_and_wait(const struct tree *tree, const char *name)
{
    pid_t pid = pid_of(tree, name);

    kill(pid, SIGKILL);
    wait_for_other(tree, name, pid);
}

static void sessions_outlive_supervisor_keeper_and_backstop(void **state)
{
    struct tree *tree = *state;
    uint16_t port = port_read(tree);
    struct client open = client_open(tree), unproven = client_open(tree);

    client_prove(&open);
    for (int round = 0; round < 3; round++) {
        kill_and_wait(tree, "supervisor");
        kill_and_wait(tree, "keeper");
        pid_t backstop = tree->backstop;
        backstop_kill(tree);
        backstop_start(tree);
        wait_for_other(tree, "backstop", backstop);
        client_prove(&open);
        struct client next = client_open(tree);
        client_prove(&next);
        close(next.fd);
    }
    client_prove(&unproven);
    assert_int_equal(port_read(tree), port);
    wait_for_streams(tree, NULL, 3); /* and no other that waits */
    close(open.fd);
    close(unproven.fd);
    wait_for_streams(tree, NULL, 1);
}

static void with_backstop_and_keeper_dead_the_supervisor_hands_the_socket_back(void **state)
{
    struct tree *tree = *state;
    uint16_t port = port_read(tree);
    struct client open = client_open(tree);

    for (int round = 0; round < 3; round++) {
        pid_t keeper = pid_of(tree, "keeper");
        kill(keeper, SIGKILL);
        backstop_kill(tree);
        backstop_start(tree);
        wait_for_other(tree, "keeper", keeper);
        struct client next = client_open(tree);
        client_prove(&next);
        assert_int_equal(port_read(tree), port);
        close(next.fd);
    }
    client_prove(&open);
    close(open.fd);
    wait_for_streams(tree, NULL, 1);
}

static pid_t waiting_pid(const struct tree *tree)
{
    json_t *status = status_read(tree), *row;
    pid_t pid = 0;
    size_t i;

    json_array_foreach(json_object_get(status, "processes"), i, row) if (is_stream(row)) pid =
        (pid_t)json_integer_value(json_object_get(row, "pid"));
    json_decref(status);
    return pid;
}

static void one_that_hangs_before_it_accepts_delays_nobody(void **state)
{
    struct tree *tree = *state;

    wait_for_streams(tree, NULL, 1);
    pid_t waiting = waiting_pid(tree);
    kill(waiting, SIGSTOP);
    struct client client = client_open(tree);
    client_prove(&client);
    assert_int_not_equal(client.pid, waiting);
    close(client.fd);
    kill(waiting, SIGCONT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_connection_has_a_process_and_one_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(connections_that_prove_nothing_are_limited_and_the_next_waits_for_them, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(sessions_outlive_supervisor_keeper_and_backstop, setup, teardown),
        cmocka_unit_test_setup_teardown(with_backstop_and_keeper_dead_the_supervisor_hands_the_socket_back, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(one_that_hangs_before_it_accepts_delays_nobody, setup, teardown),
    };

    cmocka_set_test_filter(getenv("BULKHEAD_TEST_FILTER"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
