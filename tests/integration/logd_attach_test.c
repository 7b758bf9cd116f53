/* logd's part of attach sessions: what is announced is awaited, what is copied is whole, what is asked wrongly is
 * refused, and a session's end leaves its log alone. */
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/fd.h"
#include "common/memory.h"
#include "tests/integration/logd/harness.h"

static void say(struct harness *harness, const struct box *box, struct logd_message message, const int *fds,
                size_t count)
{
    message.version = LOGD_VERSION;
    snprintf(message.id, sizeof(message.id), "%s", box->id);
    assert_null(fd_send(harness->connection, &message, sizeof(message), fds, count));
}

/* The next message of that type; others are passed over. */
static struct logd_message hear(struct harness *harness, uint32_t type)
{
    struct logd_message message;
    int fds[FD_PASS_MAX];
    size_t size, count;

    fcntl(harness->connection, F_SETFL, 0);
    do {
        assert_null(fd_receive(harness->connection, &message, sizeof(message), &size, fds, &count));
        assert_int_equal(size, sizeof(message));
    } while (message.type != type);
    return message;
}

static void say_add(struct harness *harness, struct box *box, uint32_t sessions)
{
    int fds[] = {box->memfd, box->private_[0], box->private_[1], box->file, box->from[0], box->from[1]};

    say(harness, box, (struct logd_message){.type = LOGD_ADD, .generation = box->generation, .sessions = sessions}, fds,
        6);
}

/* Two turns of logd's loop: whoever had something to do has done it. */
static void turns(struct harness *harness, const struct box *box)
{
    for (int i = 0; i < 2; i++) {
        say(harness, box, (struct logd_message){.type = LOGD_HELLO}, NULL, 0);
        hear(harness, LOGD_HELLO);
    }
}

static int attach(struct harness *harness, const struct box *box, uint64_t number)
{
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    say(harness, box, (struct logd_message){.type = LOGD_ATTACH, .generation = number, .flags = LOGD_STDOUT}, &ends[1],
        1);
    close(ends[1]);
    return ends[0];
}

static void drain(struct harness *harness, const struct box *box)
{
    say(harness, box, (struct logd_message){.type = LOGD_DRAIN}, NULL, 0);
    hear(harness, LOGD_DRAINED);
}

static void expect(int fd, const char *text)
{
    char got[256] = "";

    assert_int_equal(read(fd, got, sizeof(got) - 1), (ssize_t)strlen(text));
    assert_string_equal(got, text);
}

static void expect_in_log(const struct box *box, const char *text)
{
    autofree char *log = NULL;
    char path[256];
    size_t size;

    box_path(box, box->generation, path);
    assert_null(file_read_all(path, 1 << 20, &log, &size));
    assert_non_null(strstr(log, text));
}

struct fixture {
    struct harness harness;
    struct box *box;
};

static void fixture_open(struct fixture *fixture)
{
    harness_open(&fixture->harness, "bulkhead-logd", 1);
    harness_start(&fixture->harness);
    fixture->box = box_new(&fixture->harness, fixture->harness.directory, 1);
}

static void fixture_close(struct fixture *fixture)
{
    say(&fixture->harness, fixture->box, (struct logd_message){.type = LOGD_REMOVE}, NULL, 0);
    hear(&fixture->harness, LOGD_REMOVED);
    harness_close(&fixture->harness);
}

static size_t waiting_in(int pipe)
{
    int size = 0;

    assert_int_equal(ioctl(pipe, FIONREAD, &size), 0);
    return (size_t)size;
}

static void nothing_is_read_before_the_announced_sessions_are_there(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_open(&fixture);
    struct box *box = fixture.box;
    assert_int_equal(write(box->writer[0].fd, "early\n", 6), 6);
    say_add(&fixture.harness, box, 2);
    turns(&fixture.harness, box);
    assert_int_equal(waiting_in(box->from[0]), 6);
    int first = attach(&fixture.harness, box, 1);
    turns(&fixture.harness, box);
    assert_int_equal(waiting_in(box->from[0]), 6);
    int second = attach(&fixture.harness, box, 2);
    drain(&fixture.harness, box);
    expect(first, "early\n");
    expect(second, "early\n");
    expect_in_log(box, "early");
    close(first);
    close(second);
    fixture_close(&fixture);
}

static void sessions_come_and_go(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_open(&fixture);
    struct box *box = fixture.box;
    say_add(&fixture.harness, box, 0);
    int pipe = attach(&fixture.harness, box, 5);
    assert_int_equal(hear(&fixture.harness, LOGD_ATTACHED).generation, 5);
    assert_int_equal(write(box->writer[0].fd, "one\n", 4), 4);
    drain(&fixture.harness, box);
    expect(pipe, "one\n");
    say(&fixture.harness, box, (struct logd_message){.type = LOGD_DETACH, .generation = 5}, NULL, 0);
    struct logd_message detached = hear(&fixture.harness, LOGD_DETACHED);
    assert_int_equal(detached.generation, 5);
    assert_int_equal(detached.dropped_bytes, 0);
    assert_int_equal(write(box->writer[0].fd, "two\n", 4), 4);
    drain(&fixture.harness, box);
    assert_int_equal(read(pipe, &(char){0}, 1), 0);
    expect_in_log(box, "two");
    close(pipe);
    fixture_close(&fixture);
}

static void a_full_session_is_detached_and_the_log_goes_on(void **state)
{
    struct fixture fixture;
    char line[1000];

    (void)state;
    fixture_open(&fixture);
    struct box *box = fixture.box;
    say_add(&fixture.harness, box, 0);
    int pipe = attach(&fixture.harness, box, 9);
    memset(line, 'x', sizeof(line));
    line[sizeof(line) - 1] = '\n';
    for (int i = 0; i < 100; i++) /* more than a pipe holds */
        assert_int_equal(write(box->writer[0].fd, line, sizeof(line)), sizeof(line));
    assert_int_equal(write(box->writer[0].fd, "last\n", 5), 5);
    say(&fixture.harness, box, (struct logd_message){.type = LOGD_DRAIN}, NULL, 0);
    struct logd_message detached = hear(&fixture.harness, LOGD_DETACHED);
    assert_int_equal(detached.generation, 9);
    assert_true(detached.dropped_bytes > 0);
    hear(&fixture.harness, LOGD_DRAINED);
    expect_in_log(box, "last");
    close(pipe);
    fixture_close(&fixture);
}

static void what_is_asked_wrongly_is_refused(void **state)
{
    struct fixture fixture;
    int ends[2];

    (void)state;
    fixture_open(&fixture);
    struct box *box = fixture.box, absent = {.id = "absent"};
    say_add(&fixture.harness, box, 0);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    say(&fixture.harness, box, (struct logd_message){.type = LOGD_ATTACH, .flags = LOGD_STDOUT | LOGD_STDERR}, &ends[1],
        1);
    hear(&fixture.harness, LOGD_ERROR);
    say(&fixture.harness, box, (struct logd_message){.type = LOGD_ATTACH, .flags = 0}, NULL, 0);
    hear(&fixture.harness, LOGD_ERROR);
    say(&fixture.harness, &absent, (struct logd_message){.type = LOGD_ATTACH, .flags = LOGD_STDOUT}, &ends[1], 1);
    hear(&fixture.harness, LOGD_ERROR);
    say(&fixture.harness, &absent, (struct logd_message){.type = LOGD_DETACH, .generation = 3}, NULL, 0);
    hear(&fixture.harness, LOGD_DETACHED);
    close(ends[1]);
    turns(&fixture.harness, box);
    assert_int_equal(read(ends[0], &(char){0}, 1), 0); /* nobody has kept one */
    close(ends[0]);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_read_before_the_announced_sessions_are_there),
        cmocka_unit_test(sessions_come_and_go),
        cmocka_unit_test(a_full_session_is_detached_and_the_log_goes_on),
        cmocka_unit_test(what_is_asked_wrongly_is_refused),
    };

    if (unshare(CLONE_NEWNS) < 0 || mount("", "/", NULL, MS_PRIVATE | MS_REC, NULL) < 0) {
        perror("a private mount namespace");
        return 1;
    }
    cmocka_set_test_filter(getenv("BULKHEAD_TEST_FILTER"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
