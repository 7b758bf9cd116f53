/* That logd writes each byte of a container once, in order, whatever dies, rotates, fills or hangs. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/fd.h"
#include "tests/integration/logd/hanging_mount.h"
#include "tests/integration/logd/harness.h"

static const char PLAIN[] = "bulkhead-logd", WITH_FAILPOINTS[] = "bulkhead-logd-failpoints";

static uint64_t seed(void)
{
    const char *text = getenv("BULKHEAD_TEST_SEED");

    return text ? strtoull(text, NULL, 10) : 1;
}

static unsigned kills_wanted(void)
{
    const char *text = getenv("BULKHEAD_LOGD_KILLS"); /* a longer run */

    return text ? (unsigned)strtoul(text, NULL, 10) : 600;
}

static void make_directory(struct harness *harness, const char *name, char path[128])
{
    snprintf(path, 128, "%s/%s", harness->directory, name);
    assert_int_equal(mkdir(path, 0755), 0);
}

/* Stops the writers, and sees that all is in the log. */
static void box_end(struct harness *harness, struct box *box)
{
    box_stop(harness, box);
    while (box->next >= 0) {
        harness_pump(harness, 1);
        box_rotate_finish(harness, box, true);
    }
    box_drain(harness, box, 20);
    box_check(box);
}

static void test_all_output_is_logged_over_rotations(void **state)
{
    struct harness harness;
    char logs[128];

    (void)state;
    harness_open(&harness, PLAIN, seed());
    make_directory(&harness, "logs", logs);
    harness_start(&harness);
    struct box *box = box_new(&harness, logs, seed());
    box_add(&harness, box);
    box_write(box, 0, 0);
    box_write(box, 1, 0);
    for (int i = 0; i < 10; i++) {
        box_rotate(&harness, box);
        for (int64_t until = now_ms() + 100; now_ms() < until || box->next >= 0;) {
            harness_pump(&harness, 1);
            box_rotate_finish(&harness, box, false);
        }
    }
    box_end(&harness, box);
    assert_int_equal(box->generation, 11);
    box_remove(&harness, box, 5);
    assert_int_equal(box->dropped_bytes, 0);
    harness_close(&harness);
}

static void test_every_byte_is_once_in_the_log_over_random_kills(void **state)
{
    struct harness harness;
    char logs[128];
    unsigned wanted = kills_wanted();

    (void)state;
    harness_open(&harness, WITH_FAILPOINTS, seed());
    make_directory(&harness, "logs", logs);
    harness_start(&harness);
    struct box *box = box_new(&harness, logs, seed());
    box_add(&harness, box);
    box_write(box, 0, 0);
    box_write(box, 1, 0);
    for (int64_t rotated = 0; harness.kills < wanted;) {
        int64_t until = now_ms() + (int64_t)(random_next(&harness.random) % 40);
        while (now_ms() < until) {
            harness_pump(&harness, 1);
            box_rotate_finish(&harness, box, false);
            if (now_ms() - rotated >= 200) {
                rotated = now_ms();
                box_rotate(&harness, box);
            }
        }
        usleep((useconds_t)(random_next(&harness.random) % 2000));
        harness_restart(&harness);
    }
    box_end(&harness, box);
    print_message("%u kills, %llu rotations, %llu MB\n", harness.kills, (unsigned long long)box->generation - 1,
                  (unsigned long long)(box->expected[0].position + box->expected[1].position) / 1000000);
    harness_close(&harness);
}

/* ---- failpoints */

static void failpoint_path(struct harness *harness, const char *name, char path[256])
{
    snprintf(path, 256, "%s/failpoints/%s", harness->directory, name);
}

static void failpoint_set(struct harness *harness, const char *name)
{
    char path[256], beside[256];

    failpoint_path(harness, "new", beside);
    failpoint_path(harness, name, path);
    int fd = open(beside, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "kill", 4), 4);
    close(fd);
    assert_int_equal(rename(beside, path), 0);
}

static void failpoint_clear(struct harness *harness, const char *name)
{
    char path[256];

    failpoint_path(harness, name, path);
    unlink(path);
}

static bool failpoint_was_hit(struct harness *harness, const char *name)
{
    char path[256];

    failpoint_path(harness, name, path);
    return access(path, F_OK) != 0;
}

/* Sets one failpoint, after another that brings logd where it can be hit, and goes on until logd has died at it. */
static void die_at(struct harness *harness, struct box *box, const char *first, const char *name, bool rotate)
{
    const char *names[] = {first, name};
    int64_t limit = now_ms() + 60000;

    for (int i = first ? 0 : 1; i < 2; i++)
        failpoint_set(harness, names[i]);
    for (;;) {
        if (harness_is_dead(harness)) { /* looked at before the failpoint: of what died later nothing is known yet */
            if (failpoint_was_hit(harness, name))
                break;
            harness_restart(harness);
        }
        harness_pump(harness, 1);
        box_rotate_finish(harness, box, false);
        if (rotate)
            box_rotate(harness, box);
        if (now_ms() > limit)
            fail_msg("logd did not come to %s", name);
    }
    if (first)
        failpoint_clear(harness, first); /* not met, when logd was past it already */
    harness_restart(harness);
}

static void test_every_byte_is_once_in_the_log_over_a_kill_at_each_step(void **state)
{
    static const char *const steps[] = {
        "logd.take.before_splice", "logd.take.spliced",  "logd.take.noted",    "logd.take.part_read",
        "logd.take.read",          "logd.take.done",     "logd.append.before", "logd.commit.slot_filled",
        "logd.append.noted",       "logd.append.torn",   "logd.append.written", "logd.append.done",
        "logd.recover.begun",      "logd.rotate.before", "logd.rotate.committed", "logd.rotate.closed"};
    struct harness harness;
    char logs[128];

    (void)state;
    harness_open(&harness, WITH_FAILPOINTS, seed());
    make_directory(&harness, "logs", logs);
    harness_start(&harness);
    struct box *box = box_new(&harness, logs, seed());
    box_add(&harness, box);
    box_write(box, 0, 100);
    box_write(box, 1, 500);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
            die_at(&harness, box, strcmp(steps[i], "logd.recover.begun") ? NULL : "logd.take.noted", steps[i], true);
        die_at(&harness, box, "logd.take.spliced", "logd.recover.noted", true);
        die_at(&harness, box, "logd.append.noted", "logd.append.torn", true);
        die_at(&harness, box, "logd.append.torn", "logd.append.written", true);
    }
    box_end(&harness, box);
    print_message("%u kills\n", harness.kills);
    harness_close(&harness);
}

/* ---- full disk */

static void remount(const char *path, const char *options)
{
    if (mount("tmpfs", path, "tmpfs", MS_REMOUNT, options) < 0)
        fail_msg("remount %s: %s", path, strerror(errno));
}

/* The file system is full, and a writer has been stopped by that for so long that output is dropped. */
static void wait_until_dropping(struct harness *harness, struct box *box)
{
    int64_t limit = now_ms() + 15000;
    uint64_t before = __atomic_load_n(&box->note->dropped[0], __ATOMIC_ACQUIRE);

    while (__atomic_load_n(&box->note->dropped[0], __ATOMIC_ACQUIRE) == before) {
        harness_pump(harness, 5);
        if (harness_is_dead(harness))
            harness_restart(harness);
        if (now_ms() > limit)
            fail_msg("nothing was dropped");
    }
}

static void full_disk(bool kills, bool rotate)
{
    static const char *const steps[] = {"logd.drop.before_splice", "logd.drop.spliced", "logd.drop.noted",
                                        "logd.drop.part_read", "logd.drop.done"};
    struct harness harness;
    char logs[128];

    harness_open(&harness, kills ? WITH_FAILPOINTS : PLAIN, seed());
    make_directory(&harness, "logs", logs);
    assert_int_equal(mount("tmpfs", logs, "tmpfs", 0, "size=3m"), 0);
    harness_start(&harness);
    struct box *box = box_new(&harness, logs, seed());
    box_add(&harness, box);
    box_write(box, 0, 20);
    box_write(box, 1, 2000);
    for (int round = 0; round < (kills ? 2 : 1); round++) {
        wait_until_dropping(&harness, box);
        for (size_t i = 0; kills && i < sizeof(steps) / sizeof(steps[0]); i++)
            die_at(&harness, box, NULL, steps[i], false);
        if (kills)
            die_at(&harness, box, "logd.drop.spliced", "logd.recover.drop_noted", false);
        if (rotate) { /* into a file of the same full file system */
            box_rotate(&harness, box);
            if (kills) {
                failpoint_set(&harness, "logd.undo.cut");
                failpoint_set(&harness, "logd.rotate.committed");
            }
            while (box->next >= 0) {
                harness_pump(&harness, 2);
                if (harness_is_dead(&harness))
                    harness_restart(&harness);
                box_rotate_finish(&harness, box, false);
            }
        }
        remount(logs, round == 0 ? "size=6m" : "size=200m");
        usleep(300000);
        for (int i = 0; kills && i < 20; i++) {
            usleep((useconds_t)(random_next(&harness.random) % 10000));
            harness_restart(&harness);
        }
    }
    remount(logs, "size=400m");
    box_end(&harness, box);
    uint64_t dropped = box->note->dropped[0] + box->note->dropped[1];
    print_message("%u kills, %llu bytes dropped, %llu markers\n", harness.kills, (unsigned long long)dropped,
                  (unsigned long long)box->markers);
    assert_true(box->markers > 0);
    assert_int_equal(box->marked_bytes, dropped);
    assert_int_equal(box->dropped_bytes, dropped);
    umount2(logs, MNT_DETACH);
    harness_close(&harness);
}

static void test_a_full_disk_drops_and_counts(void **state)
{
    (void)state;
    full_disk(false, false);
}

static void test_a_full_disk_counts_exactly_over_kills_and_rotation(void **state)
{
    (void)state;
    full_disk(true, true);
}

static void test_removal_works_on_a_full_disk(void **state)
{
    struct harness harness;
    char logs[128];

    (void)state;
    harness_open(&harness, PLAIN, seed());
    make_directory(&harness, "logs", logs);
    assert_int_equal(mount("tmpfs", logs, "tmpfs", 0, "size=1m"), 0);
    harness_start(&harness);
    struct box *box = box_new(&harness, logs, seed());
    box_add(&harness, box);
    box_write(box, 0, 20);
    wait_until_dropping(&harness, box);
    box_remove(&harness, box, 2);
    assert_true(box->dropped_bytes > 0);
    umount2(logs, MNT_DETACH);
    harness_close(&harness);
}

/* ---- ends of lines, terminals */

static void read_log(const struct box *box, char *text, size_t room)
{
    char path[256];

    box_path(box, box->generation, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = read(fd, text, room - 1);
    assert_true(size >= 0);
    text[size] = '\0';
    close(fd);
}

static void test_an_unfinished_line_goes_out_after_a_moment_and_its_end_follows(void **state)
{
    struct harness harness;
    char logs[128], text[1024];

    (void)state;
    harness_open(&harness, PLAIN, seed());
    make_directory(&harness, "logs", logs);
    harness_start(&harness);
    struct box *box = box_new(&harness, logs, seed());
    box_add(&harness, box);
    assert_int_equal(write(box->writer[0].fd, "one\ntwo", 7), 7);
    usleep(200000);
    read_log(box, text, sizeof(text));
    assert_non_null(strstr(text, "Z stdout F one\n"));
    assert_non_null(strstr(text, "Z stdout P two\n"));
    assert_int_equal(write(box->writer[0].fd, "rest\nlast", 9), 9);
    box_stop(&harness, box);
    box_drain(&harness, box, 5);
    read_log(box, text, sizeof(text));
    assert_non_null(strstr(text, "Z stdout F rest\n"));
    const char *last = strstr(text, "Z stdout P last\n"); /* as containerd and CRI-O do: no newline is made up */
    assert_non_null(last);
    assert_string_equal(last, "Z stdout P last\n");
    harness_close(&harness);
}

static void test_a_terminal_is_logged_to_its_end_over_kills(void **state)
{
    struct harness harness;
    char logs[128], line[64], path[256];
    int slave;

    (void)state;
    harness_open(&harness, PLAIN, seed());
    make_directory(&harness, "logs", logs);
    harness_start(&harness);
    struct box *box = box_new_terminal(&harness, logs, &slave);
    box_add(&harness, box);
    for (int i = 0; i < 2000; i++) {
        int size = snprintf(line, sizeof(line), "line %d\n", i);
        assert_int_equal(write(slave, line, (size_t)size), size);
        if (i % 100 == 99)
            harness_restart(&harness);
    }
    close(slave);
    box_drain(&harness, box, 5);
    box_path(box, 1, path);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char got[256], wanted[64];
    for (int i = 0; i < 2000; i++) {
        assert_non_null(fgets(got, sizeof(got), file));
        snprintf(wanted, sizeof(wanted), " stdout F line %d\n", i);
        assert_string_equal(got + 30, wanted);
    }
    assert_null(fgets(got, sizeof(got), file));
    fclose(file);
    harness_close(&harness);
}

/* ---- many, and a hanging one */

static void test_many_containers_are_served_over_kills(void **state)
{
    enum { COUNT = 100, BUSY = 6 };
    struct harness harness;
    char logs[128];

    (void)state;
    harness_open(&harness, WITH_FAILPOINTS, seed());
    make_directory(&harness, "logs", logs);
    harness_start(&harness);
    for (int i = 0; i < COUNT; i++) {
        struct box *box = box_new(&harness, logs, seed() + (uint64_t)i * 7);
        box_add(&harness, box);
        box_write(box, 0, i < BUSY ? 200 : 20000);
        if (i < BUSY)
            box_write(box, 1, 300);
    }
    for (int kill = 0; kill < 40; kill++) {
        harness_pump(&harness, (int)(random_next(&harness.random) % 60));
        harness_restart(&harness);
    }
    for (int i = 0; i < COUNT; i++)
        box_stop(&harness, harness.boxes[i]);
    for (int i = 0; i < COUNT; i++)
        box_end(&harness, harness.boxes[i]);
    for (int i = 0; i < COUNT; i++)
        box_remove(&harness, harness.boxes[i], 5);
    harness_close(&harness);
}

enum { LOGGED_LIMIT_MS = 60000 };

/* One line of a healthy container comes into its log. */
static void line_is_logged(struct box *box)
{
    char path[256];
    struct stat before, after;
    int64_t until_ms = now_ms() + LOGGED_LIMIT_MS;

    box_path(box, box->generation, path);
    assert_int_equal(stat(path, &before), 0);
    assert_int_equal(write(box->writer[0].fd, "ping\n", 5), 5);
    do {
        usleep(1000);
        assert_int_equal(stat(path, &after), 0);
    } while (after.st_size == before.st_size && now_ms() < until_ms);
    assert_true(after.st_size > before.st_size);
}

/* kill -9 of a logd with a hanging thread: it stays, so nobody waits for it. */
static pid_t harness_kill_unwaited(struct harness *harness)
{
    pid_t corpse = harness->logd;

    kill(corpse, SIGKILL);
    harness->logd = -1;
    close(harness->connection);
    harness->connection = -1;
    usleep(50000);
    return corpse;
}

static void test_a_hanging_log_file_costs_only_its_container(void **state)
{
    struct harness harness;
    struct hanging_mount mount;
    char logs[128], hanging[128];

    (void)state;
    harness_open(&harness, PLAIN, seed());
    make_directory(&harness, "logs", logs);
    snprintf(hanging, sizeof(hanging), "%s/hanging", harness.directory);
    if (!hanging_mount_open(&mount, hanging)) {
        harness_close(&harness);
        print_message("no FUSE here\n");
        skip();
    }
    harness_start(&harness);
    struct box *good = box_new(&harness, logs, 1);
    box_add(&harness, good);
    struct box *bad = box_new(&harness, logs, 2);
    close(bad->file);
    char path[160];
    snprintf(path, sizeof(path), "%s/log", hanging);
    bad->file = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_true(bad->file >= 0);
    box_add(&harness, bad);
    line_is_logged(good);
    assert_int_equal(write(bad->writer[0].fd, "never\n", 6), 6);
    while (atomic_load(mount.writes) == 0)
        usleep(1000);
    line_is_logged(good); /* in a second another thread has the loop */
    line_is_logged(good);

    /* The corpse stays inside write(); its successor serves all others at once. */
    pid_t corpse = harness_kill_unwaited(&harness);
    assert_int_equal(waitpid(corpse, NULL, WNOHANG), 0);
    harness_start(&harness);
    line_is_logged(good);
    assert_true(bad->note->worker_tid != 0);
    assert_int_equal(atomic_load(mount.writes), 1);
    box_remove(&harness, bad, 3); /* it can be let go all the same */

    hanging_mount_close(&mount); /* before the file is closed, which hangs too */
    waitpid(corpse, NULL, 0);
    box_stop(&harness, good);
    box_drain(&harness, good, 5);
    harness_close(&harness);
}

/* ---- who may ask, and what */

static void test_a_peer_that_is_not_root_is_refused(void **state)
{
    struct harness harness;
    char path[128];
    int status;

    (void)state;
    harness_open(&harness, PLAIN, seed());
    harness_start(&harness);
    snprintf(path, sizeof(path), "%s/state/logd/log.sock", harness.directory);
    pid_t child = fork();
    if (child == 0) {
        int fd;
        char byte;
        if (setuid(65534) < 0)
            _exit(3);
        struct error *failure = socket_connect(path, &fd);
        _exit(failure ? 2 : recv(fd, &byte, 1, 0) == 0 ? 0 : 1);
    }
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    harness_close(&harness);
}

static uint32_t ask(int fd, struct logd_message message, const char *id)
{
    int fds[FD_PASS_MAX];
    size_t size, count;

    snprintf(message.id, sizeof(message.id), "%s", id);
    assert_null(fd_send(fd, &message, sizeof(message), NULL, 0));
    assert_null(fd_receive(fd, &message, sizeof(message), &size, fds, &count));
    return size ? message.type : 0;
}

static void test_bad_requests_are_answered_with_an_error(void **state)
{
    struct harness harness;
    char path[128];
    int fd;

    (void)state;
    harness_open(&harness, PLAIN, seed());
    harness_start(&harness);
    snprintf(path, sizeof(path), "%s/state/logd/log.sock", harness.directory);
    assert_null(socket_connect(path, &fd));
    assert_int_equal(ask(fd, (struct logd_message){.version = 1, .type = LOGD_DRAIN}, "x"), LOGD_ERROR); /* no HELLO */
    assert_int_equal(ask(fd, (struct logd_message){.version = 9, .type = LOGD_HELLO}, "x"), LOGD_ERROR);
    assert_int_equal(ask(fd, (struct logd_message){.version = 1, .type = LOGD_HELLO}, "x"), LOGD_HELLO);
    assert_int_equal(ask(fd, (struct logd_message){.version = 1, .type = LOGD_DRAIN}, "x"), LOGD_ERROR);
    assert_int_equal(ask(fd, (struct logd_message){.version = 1, .type = LOGD_REMOVE}, "x"), LOGD_REMOVED);
    assert_int_equal(ask(fd, (struct logd_message){.version = 1, .type = LOGD_ADD}, "x"), LOGD_ERROR); /* no fds */
    assert_int_equal(ask(fd, (struct logd_message){.version = 1, .type = 77}, "x"), LOGD_ERROR);
    close(fd);
    harness_close(&harness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_output_is_logged_over_rotations),
        cmocka_unit_test(test_an_unfinished_line_goes_out_after_a_moment_and_its_end_follows),
        cmocka_unit_test(test_a_terminal_is_logged_to_its_end_over_kills),
        cmocka_unit_test(test_a_peer_that_is_not_root_is_refused),
        cmocka_unit_test(test_bad_requests_are_answered_with_an_error),
        cmocka_unit_test(test_every_byte_is_once_in_the_log_over_a_kill_at_each_step),
        cmocka_unit_test(test_every_byte_is_once_in_the_log_over_random_kills),
        cmocka_unit_test(test_a_full_disk_drops_and_counts),
        cmocka_unit_test(test_a_full_disk_counts_exactly_over_kills_and_rotation),
        cmocka_unit_test(test_removal_works_on_a_full_disk),
        cmocka_unit_test(test_many_containers_are_served_over_kills),
        cmocka_unit_test(test_a_hanging_log_file_costs_only_its_container),
    };
    const char *only = getenv("BULKHEAD_TEST_FILTER");

    if (unshare(CLONE_NEWNS) < 0 || mount("", "/", NULL, MS_PRIVATE | MS_REC, NULL) < 0) {
        perror("a private mount namespace");
        return 1;
    }
    if (only)
        cmocka_set_test_filter(only);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
