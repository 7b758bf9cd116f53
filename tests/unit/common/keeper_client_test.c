/* The client over the deaths of keepers; the keeper is a thread of this test that speaks the protocol. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/keeper_protocol.h"
#include "common/memory.h"

enum { SECOND_NS = 1000000000 };

struct fixture {
    char state[64];
    int listener, connection;
    struct keeper_client *client;
    atomic_int connected, exits, last_status;
};

static void on_connected(void *argument, struct keeper_client *client)
{
    struct fixture *fixture = argument;

    (void)client;
    fixture->connected++;
}

static void on_exit_message(void *argument, const struct keeper_message *exit)
{
    struct fixture *fixture = argument;

    fixture->last_status = exit->wait_status;
    fixture->exits++;
}

static void keeper_start(struct fixture *fixture)
{
    autofree char *path = xasprintf("%s/keeper/sock", fixture->state);

    assert_null(socket_listen(path, 0666, (uid_t)-1, &fixture->listener));
}

/* Receives the next request that is no HELLO or SUBSCRIBE. */
static void keeper_receive(struct fixture *fixture, struct keeper_message *ret, int fds[FD_PASS_MAX], size_t *ret_count)
{
    size_t size;

    do {
        assert_null(fd_receive(fixture->connection, ret, sizeof(*ret), &size, fds, ret_count));
        assert_int_equal(size, sizeof(*ret));
        assert_int_equal(ret->version, KEEPER_VERSION);
    } while (ret->type == KEEPER_HELLO || ret->type == KEEPER_SUBSCRIBE);
}

static void keeper_accept(struct fixture *fixture)
{
    struct pollfd wait = {.fd = fixture->listener, .events = POLLIN};

    assert_int_equal(poll(&wait, 1, 10000), 1);
    fixture->connection = accept4(fixture->listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(fixture->connection >= 0);
}

static void keeper_reply(struct fixture *fixture, const struct keeper_message *request, struct keeper_message reply,
                         const int *fds, size_t count)
{
    reply.version = KEEPER_VERSION;
    reply.type = reply.type ? reply.type : KEEPER_REPLY;
    reply.serial = request ? request->serial : 0;
    assert_null(fd_send(fixture->connection, &reply, sizeof(reply), fds, count));
}

static void keeper_die(struct fixture *fixture)
{
    fds_close((int[]){fixture->listener, fixture->connection}, 2);
}

static void settle(atomic_int *value, int wanted)
{
    for (int i = 0; i < 5000 && *value != wanted; i++)
        usleep(1000);
    assert_int_equal(*value, wanted);
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    strcpy(fixture->state, "/tmp/bulkhead-kc-XXXXXX");
    assert_non_null(mkdtemp(fixture->state));
    autofree char *directory = xasprintf("%s/keeper", fixture->state);
    mkdir(directory, 0711);
    assert_null(keeper_client_open(&(struct keeper_client_options){.state_directory = fixture->state,
                                                                   .connected = on_connected,
                                                                   .on_exit = on_exit_message,
                                                                   .subscribe = -1,
                                                                   .argument = fixture},
                                   &fixture->client));
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    autofree char *command = xasprintf("rm -r %s", fixture->state);

    keeper_client_close(fixture->client);
    keeper_die(fixture);
    free(fixture);
    return system(command);
}

/* A call made on a thread of its own. */
struct caller {
    struct fixture *fixture;
    pthread_t thread;
    int fd; /* sent along, -1: none */
    int64_t limit_ns;
    bool each;
    struct keeper_message reply;
    int fds[KEEPER_SPAWN_FDS];
    size_t fd_count;
    int seen;
    struct error *error;
};

static void see(void *argument, const struct keeper_message *reply, const int *fds, size_t fd_count)
{
    struct caller *caller = argument;

    caller->seen = caller->seen * 10 + (int)reply->found;
    fds_close(fds, fd_count);
}

static void *caller_main(void *argument)
{
    struct caller *caller = argument;
    struct keeper_message request = {.type = caller->each ? KEEPER_LIST : KEEPER_SPAWN, .program = KEEPER_SHIM};
    int64_t deadline = clock_boottime_ns() + (caller->limit_ns ? caller->limit_ns : 20ll * SECOND_NS);

    if (caller->each)
        caller->error = keeper_client_call_each(caller->fixture->client, &request, deadline, see, caller);
    else
        caller->error = keeper_client_call(caller->fixture->client, &request, &caller->fd, caller->fd >= 0, deadline,
                                           &caller->reply, caller->fds, &caller->fd_count);
    return NULL;
}

static void call_start(struct caller *caller)
{
    pthread_create(&caller->thread, NULL, caller_main, caller);
}

static void call_end(struct caller *caller)
{
    pthread_join(caller->thread, NULL);
}

static void a_call_waits_for_a_keeper_and_gets_its_reply_and_fds(void **state)
{
    struct fixture *fixture = *state;
    struct caller caller = {.fixture = fixture, .fd = 0};
    struct keeper_message request;
    int fds[FD_PASS_MAX];
    size_t count;

    call_start(&caller);
    usleep(50000);
    keeper_start(fixture);
    keeper_accept(fixture);
    keeper_receive(fixture, &request, fds, &count);
    assert_int_equal(request.type, KEEPER_SPAWN);
    assert_int_equal(count, 1);
    keeper_reply(fixture, &request, (struct keeper_message){.process.pid = 77}, fds, 1);
    fds_close(fds, 1);
    call_end(&caller);
    assert_null(caller.error);
    assert_int_equal(caller.reply.process.pid, 77);
    assert_int_equal(caller.fd_count, 1);
    fds_close(caller.fds, 1);
    settle(&fixture->connected, 1);
}

static void a_call_in_flight_at_a_keepers_death_is_sent_to_the_next_with_its_fds(void **state)
{
    struct fixture *fixture = *state;
    struct caller caller = {.fixture = fixture, .fd = 0};
    struct keeper_message request, again;
    int fds[FD_PASS_MAX];
    size_t count;

    keeper_start(fixture);
    keeper_accept(fixture);
    call_start(&caller);
    keeper_receive(fixture, &request, fds, &count);
    fds_close(fds, count);
    keeper_die(fixture);
    usleep(30000);
    keeper_start(fixture);
    keeper_accept(fixture);
    keeper_receive(fixture, &again, fds, &count);
    assert_int_equal(again.serial, request.serial);
    assert_int_equal(count, 1);
    fds_close(fds, count);
    keeper_reply(fixture, &again, (struct keeper_message){.process.pid = 8}, NULL, 0);
    call_end(&caller);
    assert_null(caller.error);
    assert_int_equal(caller.reply.process.pid, 8);
    settle(&fixture->connected, 2);
}

static void replies_out_of_order_find_their_callers(void **state)
{
    struct fixture *fixture = *state;
    struct caller callers[8];
    struct keeper_message requests[8];
    int fds[FD_PASS_MAX], sum = 0;
    size_t count;

    keeper_start(fixture);
    keeper_accept(fixture);
    for (int i = 0; i < 8; i++) {
        callers[i] = (struct caller){.fixture = fixture, .fd = -1};
        call_start(&callers[i]);
        keeper_receive(fixture, &requests[i], fds, &count);
    }
    for (int i = 7; i >= 0; i--)
        keeper_reply(fixture, &requests[i], (struct keeper_message){.process.pid = 100 + i}, NULL, 0);
    for (int i = 0; i < 8; i++) {
        call_end(&callers[i]);
        assert_null(callers[i].error);
        assert_int_equal(callers[i].reply.process.pid, 100 + i);
        sum += callers[i].reply.process.pid;
    }
    assert_int_equal(sum, 828);
}

static void a_list_is_given_whole_even_over_a_death_in_its_middle(void **state)
{
    struct fixture *fixture = *state;
    struct caller caller = {.fixture = fixture, .fd = -1, .each = true};
    struct keeper_message request;
    int fds[FD_PASS_MAX];
    size_t count;

    keeper_start(fixture);
    keeper_accept(fixture);
    call_start(&caller);
    keeper_receive(fixture, &request, fds, &count);
    keeper_reply(fixture, &request, (struct keeper_message){.found = 9, .flags = KEEPER_MORE}, NULL, 0);
    usleep(30000);
    keeper_die(fixture);
    keeper_start(fixture);
    keeper_accept(fixture);
    keeper_receive(fixture, &request, fds, &count);
    keeper_reply(fixture, &request, (struct keeper_message){.found = 1, .flags = KEEPER_MORE}, NULL, 0);
    keeper_reply(fixture, &request, (struct keeper_message){.found = 2}, NULL, 0);
    call_end(&caller);
    assert_null(caller.error);
    assert_int_equal(caller.seen, 12);
    caller.seen = 0;
    call_start(&caller);
    keeper_receive(fixture, &request, fds, &count);
    keeper_reply(fixture, &request, (struct keeper_message){.found = 0}, NULL, 0);
    call_end(&caller);
    assert_null(caller.error);
    assert_int_equal(caller.seen, 0);
}

static void an_error_reply_is_an_error_and_silence_a_deadline(void **state)
{
    struct fixture *fixture = *state;
    struct caller caller = {.fixture = fixture, .fd = -1};
    struct caller silent = {.fixture = fixture, .fd = -1, .limit_ns = SECOND_NS / 5};
    struct caller broken = {.fixture = fixture, .fd = 999999};
    struct keeper_message request;
    int fds[FD_PASS_MAX];
    size_t count;

    keeper_start(fixture);
    keeper_accept(fixture);
    call_start(&caller);
    keeper_receive(fixture, &request, fds, &count);
    keeper_reply(fixture, &request, (struct keeper_message){.code = ERROR_PERMISSION_DENIED, .text = "not yours"}, NULL,
                 0);
    call_end(&caller);
    assert_non_null(caller.error);
    assert_int_equal(caller.error->code, ERROR_PERMISSION_DENIED);
    assert_string_equal(caller.error->text, "not yours");
    call_start(&silent);
    call_end(&silent);
    assert_int_equal(silent.error->code, ERROR_DEADLINE_EXCEEDED);
    call_start(&broken);
    call_end(&broken);
    assert_non_null(strstr(broken.error->text, "Bad file descriptor"));
    error_free(caller.error);
    error_free(silent.error);
    error_free(broken.error);
}

static void exits_come_to_the_subscriber_of_every_keeper(void **state)
{
    struct fixture *fixture = *state;
    struct keeper_message message;
    int fds[FD_PASS_MAX];
    size_t size, count;

    for (int keeper = 1; keeper <= 3; keeper++) {
        keeper_start(fixture);
        keeper_accept(fixture);
        do
            assert_null(fd_receive(fixture->connection, &message, sizeof(message), &size, fds, &count));
        while (message.type != KEEPER_SUBSCRIBE);
        keeper_reply(fixture, NULL, (struct keeper_message){.type = KEEPER_EXIT, .wait_status = keeper << 8}, NULL, 0);
        settle(&fixture->exits, keeper);
        assert_int_equal(fixture->last_status, keeper << 8);
        settle(&fixture->connected, keeper);
        if (keeper < 3)
            keeper_die(fixture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_call_waits_for_a_keeper_and_gets_its_reply_and_fds),
        TEST(a_call_in_flight_at_a_keepers_death_is_sent_to_the_next_with_its_fds),
        TEST(replies_out_of_order_find_their_callers),
        TEST(a_list_is_given_whole_even_over_a_death_in_its_middle),
        TEST(an_error_reply_is_an_error_and_silence_a_deadline),
        TEST(exits_come_to_the_subscriber_of_every_keeper),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
