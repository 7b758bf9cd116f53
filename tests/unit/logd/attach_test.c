/* What attach sessions get of a container's output, and when they are closed. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "services/logd/attach.h"

enum { PIPE_SIZE = 4096 };

static int setup(void **state)
{
    struct attach *attach = calloc(1, sizeof(*attach));

    attach_init(attach);
    *state = attach;
    return 0;
}

static int teardown(void **state)
{
    attach_fini(*state);
    free(*state);
    return 0;
}

/* Returns the read end. */
static int session_add(struct attach *attach, uint64_t number, int stream)
{
    int ends[2], fds[LOG_NOTE_STREAMS] = {-1, -1};

    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    assert_true(fcntl(ends[1], F_SETPIPE_SZ, PIPE_SIZE) > 0);
    fds[stream] = ends[1];
    assert_null(attach_add(attach, number, fds));
    return ends[0];
}

static void copy(struct attach *attach, uint32_t stream, const char *text)
{
    attach_copy(attach, stream, (const uint8_t *)text, strlen(text));
}

static void expect(int fd, const char *text)
{
    char got[64] = "";

    ssize_t size = read(fd, got, sizeof(got) - 1);
    assert_int_equal(size, (ssize_t)strlen(text));
    assert_string_equal(got, text);
}

static bool none_is_full(struct attach *attach)
{
    uint64_t number, missed;

    return !attach_next_full(attach, &number, &missed);
}

static void each_session_gets_its_stream(void **state)
{
    int first = session_add(*state, 1, 0), second = session_add(*state, 2, 0), other = session_add(*state, 3, 1);

    copy(*state, 0, "out");
    copy(*state, 1, "err");
    expect(first, "out");
    expect(second, "out");
    expect(other, "err");
    attach_remove(*state, 2);
    copy(*state, 0, "more");
    expect(first, "more");
    assert_int_equal(read(second, &(char){0}, 1), 0); /* closed */
    assert_true(none_is_full(*state));
    close(first);
    close(second);
    close(other);
}

static void a_full_pipe_is_closed_and_told_of_once(void **state)
{
    static char text[PIPE_SIZE + 1000];
    int slow = session_add(*state, 7, 0), quick = session_add(*state, 8, 0);
    uint64_t number = 0, missed = 0;

    memset(text, 'x', sizeof(text));
    attach_copy(*state, 0, (uint8_t *)text, PIPE_SIZE - 10);
    assert_true(none_is_full(*state));
    assert_int_equal(read(quick, text, PIPE_SIZE), PIPE_SIZE - 10);
    attach_copy(*state, 0, (uint8_t *)text, 1000);
    assert_true(attach_next_full(*state, &number, &missed));
    assert_int_equal(number, 7);
    assert_true(missed > 0 && missed <= 1000);
    assert_true(none_is_full(*state));
    size_t got = 0;
    for (ssize_t size; (size = read(slow, text, sizeof(text))) > 0;)
        got += (size_t)size;
    assert_int_equal(got, PIPE_SIZE - 10 + 1000 - missed); /* a beginning, then the end */
    assert_int_equal(read(quick, text, sizeof(text)), 1000);
    close(slow);
    close(quick);
}

static void a_pipe_that_nobody_reads_goes_silently(void **state)
{
    struct attach *attach = *state;
    int idle = session_add(attach, 1, 0), written = session_add(attach, 2, 0), other = session_add(attach, 3, 0);

    close(written);
    copy(attach, 0, "a");
    expect(other, "a");
    close(idle);
    assert_true(none_is_full(attach));
    assert_int_equal(attach->count, 1);
    close(other);
}

static void the_same_number_joins(void **state)
{
    struct attach *attach = *state;
    int first = session_add(attach, 1, 0), again = session_add(attach, 1, 0);

    copy(attach, 0, "a");
    expect(first, "a");
    assert_int_equal(read(again, &(char){0}, 1), 0); /* its write end was closed */
    assert_int_equal(attach->count, 1);
    close(first);
    close(again);
}

static void there_is_a_limit(void **state)
{
    struct attach *attach = *state;
    int ends[2];

    for (uint64_t i = 0; i < ATTACH_SESSIONS_MAX; i++)
        close(session_add(attach, i, 0));
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    struct error *failure = attach_add(attach, ATTACH_SESSIONS_MAX, (const int[]){ends[1], -1});
    assert_non_null(failure);
    assert_int_equal(failure->code, ERROR_RESOURCE_EXHAUSTED);
    error_free(failure);
    assert_int_equal(read(ends[0], &(char){0}, 1), 0); /* taken all the same */
    close(ends[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_session_gets_its_stream, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_pipe_is_closed_and_told_of_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_pipe_that_nobody_reads_goes_silently, setup, teardown),
        cmocka_unit_test_setup_teardown(the_same_number_joins, setup, teardown),
        cmocka_unit_test_setup_teardown(there_is_a_limit, setup, teardown),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
