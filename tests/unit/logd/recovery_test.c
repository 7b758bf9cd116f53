/* Each row of the recovery table, from a state as a kill leaves it. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "services/logd/append.h"
#include "services/logd/frame.h"
#include "services/logd/note.h"
#include "services/logd/stream_take.h"

struct fixture {
    struct note note;
    struct stream_pipes pipes;
    int from_write;
    struct append append;
};

static int note_memfd(void)
{
    int fd = memfd_create("note", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    assert_int_equal(ftruncate(fd, LOG_NOTE_SIZE), 0);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
    return fd;
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    int from[2], private_[2];

    assert_null(note_open(&fixture->note, note_memfd(), 5));
    assert_int_equal(pipe2(from, O_CLOEXEC), 0);
    assert_int_equal(pipe2(private_, O_CLOEXEC), 0);
    fixture->pipes = (struct stream_pipes){
        .from = {from[0], -1}, .private_read = private_[0], .private_write = private_[1]};
    fixture->from_write = from[1];
    fixture->append.file = open("/tmp", O_TMPFILE | O_RDWR | O_APPEND | O_CLOEXEC, 0600);
    assert_true(fixture->append.file >= 0);
    fixture->append.buffer = malloc(FRAME_ROOM);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    int fds[] = {fixture->pipes.from[0], fixture->from_write, fixture->pipes.private_read,
                 fixture->pipes.private_write, fixture->append.file};

    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
        close(fds[i]);
    note_close(&fixture->note);
    free(fixture->append.buffer);
    free(fixture);
    return 0;
}

static void put(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void assert_ring(struct fixture *fixture, const char *text)
{
    uint8_t *at;

    assert_int_equal(note_ring_size(&fixture->note, 0), strlen(text));
    assert_null(note_ring_at(&fixture->note, 0, note_slot(&fixture->note)->rdone[0], &at));
    assert_memory_equal(at, text, strlen(text));
}

static void test_killed_before_the_splice_nothing_is_in_flight(void **state)
{
    struct fixture *fixture = *state;

    note_set_word(&fixture->note, LOG_NOTE_SPLICE, 0, 0);
    assert_null(stream_recover(&fixture->note, &fixture->pipes));
    assert_int_equal(fixture->note.memory->rin[0], 0);
}

static void test_killed_after_the_splice_the_bytes_come_from_the_private_pipe(void **state)
{
    struct fixture *fixture = *state;

    note_set_word(&fixture->note, LOG_NOTE_SPLICE, 0, 0);
    put(fixture->pipes.private_write, "taken");
    assert_null(stream_recover(&fixture->note, &fixture->pipes));
    assert_ring(fixture, "taken");
}

static void test_killed_half_way_through_the_read_the_rest_is_read(void **state)
{
    struct fixture *fixture = *state;
    uint8_t *at;

    assert_null(note_ring_at(&fixture->note, 0, 0, &at));
    memcpy(at, "one", 3);
    put(fixture->pipes.private_write, "two");
    note_set_word(&fixture->note, LOG_NOTE_READ, 0, 6);
    assert_null(stream_recover(&fixture->note, &fixture->pipes));
    assert_ring(fixture, "onetwo");
}

static void test_killed_after_the_read_the_target_counts(void **state)
{
    struct fixture *fixture = *state;
    uint8_t *at;

    assert_null(note_ring_at(&fixture->note, 0, 0, &at));
    memcpy(at, "all", 3);
    note_set_word(&fixture->note, LOG_NOTE_READ, 0, 3);
    for (int i = 0; i < 2; i++) { /* twice is as once */
        assert_null(stream_recover(&fixture->note, &fixture->pipes));
        assert_ring(fixture, "all");
    }
}

static void test_dropped_bytes_are_counted_once(void **state)
{
    struct fixture *fixture = *state;

    note_set_word(&fixture->note, LOG_NOTE_SPLICE_DROP, 0, 0);
    put(fixture->pipes.private_write, "12345");
    assert_null(stream_recover(&fixture->note, &fixture->pipes));
    assert_int_equal(fixture->note.memory->dropped[0], 5);
    assert_null(stream_recover(&fixture->note, &fixture->pipes));
    assert_int_equal(fixture->note.memory->dropped[0], 5);
    note_set_word(&fixture->note, LOG_NOTE_DROP, 0, 9); /* of four, two were read */
    put(fixture->pipes.private_write, "67");
    assert_null(stream_recover(&fixture->note, &fixture->pipes));
    assert_int_equal(fixture->note.memory->dropped[0], 9);
    assert_int_equal(note_ring_size(&fixture->note, 0), 0);
}

/* An intent to append two lines, open, of which so many bytes are in the file; then finished. Returns the file's text. */
static void finish_intent(struct fixture *fixture, size_t written, int64_t cut_to, char text[512])
{
    ssize_t taken;
    bool done;
    uint8_t *at;
    struct frame_output output;
    const char *old = "an older line\n";

    put(fixture->append.file, old);
    put(fixture->from_write, "one\ntwo\n");
    assert_null(stream_take(&fixture->note, &fixture->pipes, 0, &taken));
    assert_null(note_ring_at(&fixture->note, 0, 0, &at));
    frame_bytes(&(struct frame_input){.bytes = at, .size = 8, .timestamp_ns = 1}, fixture->append.buffer, &output);
    struct log_note_slot slot = *note_slot(&fixture->note);
    slot.intent = (struct log_note_intent){
        .kind = LOG_NOTE_FRAMES, .to = 8, .file_offset = strlen(old), .length = output.length, .timestamp_ns = 1};
    note_commit(&fixture->note, &slot);
    if (written > output.length)
        written = output.length;
    assert_int_equal(write(fixture->append.file, fixture->append.buffer, written), written);
    if (cut_to >= 0)
        assert_int_equal(ftruncate(fixture->append.file, cut_to), 0);
    memset(fixture->append.buffer, 0, FRAME_ROOM);
    assert_null(append_finish(&fixture->append, &fixture->note, &done));
    assert_true(done);
    assert_int_equal(note_slot(&fixture->note)->rdone[0], 8);
    assert_int_equal(note_slot(&fixture->note)->intent.kind, LOG_NOTE_NONE);
    ssize_t size = pread(fixture->append.file, text, 511, 0);
    text[size] = '\0';
}

#define LINES "1970-01-01T00:00:00.000000001Z stdout F one\n1970-01-01T00:00:00.000000001Z stdout F two\n"

static void test_an_append_that_had_not_begun_is_made(void **state)
{
    char text[512];

    finish_intent(*state, 0, -1, text);
    assert_string_equal(text, "an older line\n" LINES);
}

static void test_a_torn_append_gets_its_rest_only(void **state)
{
    char text[512];

    finish_intent(*state, 17, -1, text);
    assert_string_equal(text, "an older line\n" LINES);
}

static void test_a_finished_append_is_not_made_again(void **state)
{
    char text[512];

    finish_intent(*state, SIZE_MAX, -1, text);
    assert_string_equal(text, "an older line\n" LINES);
}

static void test_a_file_that_somebody_cut_gets_the_whole_append(void **state)
{
    char text[512];

    finish_intent(*state, 17, 0, text);
    assert_string_equal(text, LINES);
}

static void test_framing_that_differs_from_the_note_stops_the_log(void **state)
{
    struct fixture *fixture = *state;
    struct log_note_slot slot = *note_slot(&fixture->note);
    ssize_t taken;
    bool done;

    put(fixture->from_write, "one\n");
    assert_null(stream_take(&fixture->note, &fixture->pipes, 0, &taken));
    slot.intent = (struct log_note_intent){.kind = LOG_NOTE_FRAMES, .to = 4, .length = 7};
    note_commit(&fixture->note, &slot);
    struct error *failure = append_finish(&fixture->append, &fixture->note, &done);
    assert_non_null(failure);
    assert_int_equal(failure->code, ERROR_DATA_LOSS);
    error_free(failure);
}

static void assert_refused(void (*spoil)(struct log_note *), enum error_code code)
{
    struct note note;
    int fd = note_memfd();
    struct log_note *memory = mmap(NULL, LOG_NOTE_HEADER_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    memory->version = LOG_NOTE_VERSION;
    spoil(memory);
    munmap(memory, LOG_NOTE_HEADER_SIZE);
    struct error *failure = note_open(&note, fd, 1);
    assert_non_null(failure);
    assert_int_equal(failure->code, code);
    error_free(failure);
    note_close(&note);
}

static void spoil_version(struct log_note *note)
{
    note->version = 99;
}

static void spoil_ring(struct log_note *note)
{
    note->rin[1] = LOG_NOTE_RING_SIZE + 1;
}

static void spoil_intent(struct log_note *note)
{
    note->slot[0].intent = (struct log_note_intent){.kind = LOG_NOTE_FRAMES, .to = 1, .length = 1};
}

static void spoil_word(struct log_note *note)
{
    note->word = log_note_word(LOG_NOTE_READ, 1, LOG_NOTE_RING_SIZE + 1);
}

static void test_a_note_that_cannot_be_is_refused(void **state)
{
    (void)state;
    assert_refused(spoil_version, ERROR_FAILED_PRECONDITION);
    assert_refused(spoil_ring, ERROR_DATA_LOSS);
    assert_refused(spoil_intent, ERROR_DATA_LOSS);
    assert_refused(spoil_word, ERROR_DATA_LOSS);
}

#define RECOVERY_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RECOVERY_TEST(test_killed_before_the_splice_nothing_is_in_flight),
        RECOVERY_TEST(test_killed_after_the_splice_the_bytes_come_from_the_private_pipe),
        RECOVERY_TEST(test_killed_half_way_through_the_read_the_rest_is_read),
        RECOVERY_TEST(test_killed_after_the_read_the_target_counts),
        RECOVERY_TEST(test_dropped_bytes_are_counted_once),
        RECOVERY_TEST(test_an_append_that_had_not_begun_is_made),
        RECOVERY_TEST(test_a_torn_append_gets_its_rest_only),
        RECOVERY_TEST(test_a_finished_append_is_not_made_again),
        RECOVERY_TEST(test_a_file_that_somebody_cut_gets_the_whole_append),
        RECOVERY_TEST(test_framing_that_differs_from_the_note_stops_the_log),
        cmocka_unit_test(test_a_note_that_cannot_be_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
