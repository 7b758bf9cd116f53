/* What is published arrives in order and numbered, gaps are seen, and a subscriber follows to the next generation. The
 * publisher of another generation, and one that is killed, is this program again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/ipc_publish.h"
#include "common/memory.h"

enum { PATIENCE_S = 30, STRANGER_UID = 61399 };

struct fixture {
    char directory[64];
    struct ipc_subscriber *subscriber;
};

static int setup(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));

    strcpy(fixture->directory, "/tmp/bulkhead-publish-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    chmod(fixture->directory, 0711);
    assert_null(ipc_subscriber_open(fixture->directory, &fixture->subscriber));
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    autofree char *command = xasprintf("rm -rf %s", fixture->directory);

    ipc_subscriber_close(fixture->subscriber);
    assert_int_equal(system(command), 0);
    free(fixture);
    return 0;
}

static struct ipc_publisher *publisher_begin(struct fixture *fixture, uint64_t generation)
{
    struct ipc_publisher *publisher = NULL;

    assert_null(ipc_publisher_open(
        &(struct ipc_publisher_options){.directory = fixture->directory, .generation = generation}, &publisher));
    return publisher;
}

/* The next message, within a patience that only a hang exceeds. */
static struct ipc_publication next(struct ipc_subscriber *subscriber)
{
    int64_t end = clock_boottime_ns() + PATIENCE_S * INT64_C(1000000000);
    struct ipc_publication publication;

    while (!ipc_subscriber_next(subscriber, 1000, &publication))
        assert_true(clock_boottime_ns() < end);
    return publication;
}

/* The next beat of that number; messages on the way are counted. */
static unsigned until_beat(struct ipc_subscriber *subscriber, uint64_t sequence)
{
    for (unsigned messages = 0;; messages++) {
        struct ipc_publication publication = next(subscriber);
        free(publication.payload);
        if (publication.is_beat && publication.sequence == sequence)
            return messages;
    }
}

static void publish_number(struct ipc_publisher *publisher, unsigned number, size_t size)
{
    uint8_t *payload = xcalloc(1, size);

    memcpy(payload, &number, sizeof(number));
    ipc_publish(publisher, payload, size);
}

static void a_beat_comes_with_the_connection_and_messages_follow_in_order(void **state)
{
    struct fixture *fixture = *state;
    struct ipc_publisher *publisher = publisher_begin(fixture, 3);
    uint8_t origin[IPC_ORIGIN_SIZE];
    uint64_t sequence = 9;

    until_beat(fixture->subscriber, 0);
    for (unsigned i = 1; i <= 100; i++)
        publish_number(publisher, i, 100);
    ipc_publisher_position(publisher, origin, &sequence);
    assert_int_equal(sequence, 100);
    for (unsigned i = 1; i <= 100;) {
        struct ipc_publication publication = next(fixture->subscriber);
        assert_int_equal(publication.generation, 3);
        assert_memory_equal(publication.origin, origin, IPC_ORIGIN_SIZE);
        if (!publication.is_beat) {
            assert_int_equal(publication.sequence, i);
            assert_int_equal(publication.size, 100);
            assert_memory_equal(publication.payload, &i, sizeof(i));
            i++;
        }
        free(publication.payload);
    }
    ipc_publisher_close(publisher);
}

static void what_came_before_the_connection_shows_in_the_first_beat(void **state)
{
    struct fixture *fixture = *state;
    struct ipc_publisher *publisher = publisher_begin(fixture, 1);
    struct ipc_subscriber *late = NULL;

    until_beat(fixture->subscriber, 0);
    for (unsigned i = 1; i <= 5; i++)
        publish_number(publisher, i, 10);
    until_beat(fixture->subscriber, 5);
    assert_null(ipc_subscriber_open(fixture->directory, &late));
    struct ipc_publication first = next(late);
    assert_true(first.is_beat);
    assert_int_equal(first.sequence, 5);
    ipc_subscriber_close(late);
    ipc_publisher_close(publisher);
}

static void a_payload_that_is_too_large_is_a_gap(void **state)
{
    struct fixture *fixture = *state;
    struct ipc_publisher *publisher = publisher_begin(fixture, 1);

    until_beat(fixture->subscriber, 0);
    publish_number(publisher, 1, IPC_PUBLISH_MAX);
    struct ipc_publication whole;
    do {
        whole = next(fixture->subscriber);
    } while (whole.is_beat);
    assert_int_equal(whole.size, IPC_PUBLISH_MAX);
    free(whole.payload);
    publish_number(publisher, 2, IPC_PUBLISH_MAX + 1);
    assert_int_equal(until_beat(fixture->subscriber, 2), 0);
    ipc_publisher_close(publisher);
}

/* A subscriber that does not read holds nobody up; what it lost shows in the numbers. */
static void a_slow_subscriber_loses_messages_and_sees_it(void **state)
{
    enum { COUNT = 3000 };
    struct fixture *fixture = *state;
    struct ipc_publisher *publisher = publisher_begin(fixture, 1);
    struct ipc_subscriber *quick = NULL;
    uint64_t last = 0;
    bool has_gap = false;

    until_beat(fixture->subscriber, 0);
    assert_null(ipc_subscriber_open(fixture->directory, &quick));
    until_beat(quick, 0);
    for (unsigned i = 1; i <= COUNT; i++) {
        publish_number(publisher, i, 4000);
        struct ipc_publication publication;
        do {
            publication = next(quick);
            free(publication.payload);
        } while (publication.is_beat);
        assert_int_equal(publication.sequence, i);
    }
    while (last < COUNT) {
        struct ipc_publication publication = next(fixture->subscriber);
        free(publication.payload);
        assert_true(publication.sequence >= last);
        has_gap = has_gap || publication.sequence > last + 1;
        last = publication.sequence;
    }
    assert_true(has_gap);
    ipc_subscriber_close(quick);
    ipc_publisher_close(publisher);
}

static void a_wake_ends_a_wait_and_one_that_came_before(void **state)
{
    struct fixture *fixture = *state;
    struct ipc_publication publication;

    ipc_subscriber_wake(fixture->subscriber);
    assert_false(ipc_subscriber_next(fixture->subscriber, 600000, &publication));
    assert_false(ipc_subscriber_next(fixture->subscriber, 1, &publication)); /* the wake is used up: the time ends it */
}

static _Noreturn void publisher_main(char **argv)
{
    struct fixture fixture = {0};

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    snprintf(fixture.directory, sizeof(fixture.directory), "%s", argv[2]);
    struct ipc_publisher *publisher = publisher_begin(&fixture, strtoull(argv[3], NULL, 10));
    for (unsigned i = 1;; i++) {
        publish_number(publisher, i, 100);
        usleep(1000);
    }
}

static pid_t publisher_spawn(struct fixture *fixture, unsigned generation)
{
    autofree char *number = xasprintf("%u", generation);
    pid_t pid = fork();

    if (pid == 0) {
        execl("/proc/self/exe", "publisher", "--publisher", fixture->directory, number, NULL);
        _exit(127);
    }
    return pid;
}

static void await_generation(struct fixture *fixture, uint64_t generation)
{
    struct ipc_publication publication;

    do {
        publication = next(fixture->subscriber);
        free(publication.payload);
    } while (publication.generation != generation);
}

/* Killed in the midst of messages, or stopped with its connection open: the next generation is heard. */
static void a_subscriber_follows_to_the_next_generation(void **state)
{
    struct fixture *fixture = *state;
    pid_t stopped = 0;

    for (unsigned generation = 1; generation <= 12; generation++) {
        pid_t pid = publisher_spawn(fixture, generation);
        await_generation(fixture, generation);
        if (stopped > 0) {
            kill(stopped, SIGKILL);
            waitpid(stopped, NULL, 0);
        }
        stopped = generation % 3 == 0 ? pid : 0;
        kill(pid, stopped ? SIGSTOP : SIGKILL);
        waitpid(pid, NULL, WUNTRACED);
    }
    if (stopped > 0) {
        kill(stopped, SIGKILL);
        waitpid(stopped, NULL, 0);
    }
}

/* Subscribes as another user: it must hear nothing. */
static void a_stranger_is_turned_away(void **state)
{
    struct fixture *fixture = *state;
    struct ipc_publisher *publisher = publisher_begin(fixture, 1);
    int status = 0;
    pid_t pid;

    until_beat(fixture->subscriber, 0);
    pid = fork();
    if (pid == 0) {
        execl("/proc/self/exe", "stranger", "--stranger", fixture->directory, NULL);
        _exit(127);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    ipc_publisher_close(publisher);
}

/* Two beats' time: an admitted subscriber hears one with its connection. */
static int stranger_main(char **argv)
{
    struct ipc_subscriber *subscriber = NULL;
    struct ipc_publication publication;

    if (setresgid(STRANGER_UID, STRANGER_UID, STRANGER_UID) < 0 ||
        setresuid(STRANGER_UID, STRANGER_UID, STRANGER_UID) < 0)
        return 3;
    if (ipc_subscriber_open(argv[2], &subscriber))
        return 4;
    return ipc_subscriber_next(subscriber, 2000, &publication) ? 1 : 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(a_beat_comes_with_the_connection_and_messages_follow_in_order),
        TEST(what_came_before_the_connection_shows_in_the_first_beat),
        TEST(a_payload_that_is_too_large_is_a_gap),
        TEST(a_slow_subscriber_loses_messages_and_sees_it),
        TEST(a_wake_ends_a_wait_and_one_that_came_before),
        TEST(a_subscriber_follows_to_the_next_generation),
        TEST(a_stranger_is_turned_away),
    };

    if (argc > 3 && strcmp(argv[1], "--publisher") == 0)
        publisher_main(argv);
    if (argc > 2 && strcmp(argv[1], "--stranger") == 0)
        return stranger_main(argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
