/* Every exit code is told once and truly, whoever is killed while containers end: shim, keeper or both, at each failpoint and at
 * random instants; and nothing is left. BULKHEAD_EXIT_ROUNDS makes the random part longer, BULKHEAD_SEED repeats it,
 * BULKHEAD_TEST_FILTER runs some. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/error.h"
#include "common/memory.h"
#include "tests/integration/shim_bench.h"

enum { RANDOM_ROUNDS = 12, RANDOM_KILLS = 3, CONTAINERS = 4 };

struct ending {
    const char *script;
    int status;
};

/* Codes that no failure of the machinery looks like, zero, and a signal (the first process has no handler, so it must come from
 * outside: see end_by_signal). */
static const struct ending endings[] = {
    {"sleep 0.05; exit 0", 0}, {"sleep 0.1; exit 41", 41 << 8}, {"exit 42", 42 << 8}, {"sleep 0.2; exit 43", 43 << 8},
    {"sleep 600", SIGKILL},
};

/* Sandboxd's answer to a shim that died in a create or start: it asks again. */
static void start_one(struct bench_pod *pod, const char *id, const struct ending *ending)
{
    int32_t code = bench_create(pod, id, "/usr/bin/crun", ending->script, "", false);

    if (code == ERROR_INTERNAL) /* the failpoint was one of a child of the shim's: a clear error, and nothing left */
        code = bench_create(pod, id, "/usr/bin/crun", ending->script, "", false);
    assert_int_equal(code, 0);
    assert_int_equal(bench_start(pod, id), 0);
    if (ending->status == SIGKILL)
        assert_int_equal(bench_simple(pod, SHIM_SIGNAL, id), 0);
}

static void check_one(struct bench_pod *pod, const char *id, const struct ending *ending, const char *when)
{
    const struct bench_exit *end = bench_wait_exit(pod, id);

    if (!end)
        fail_msg("%s: the exit of %s was never told", when, id);
    if (end->is_unknown || end->status != ending->status)
        fail_msg("%s: %s: status 0x%x, unknown %d, not 0x%x", when, id, end->status, end->is_unknown, ending->status);
    int32_t code = bench_simple(pod, SHIM_DELETE, id);
    if (code == ERROR_INTERNAL) /* as above */
        code = bench_simple(pod, SHIM_DELETE, id);
    assert_int_equal(code, 0);
}

/* Once, and once more for each kill: it may come between the report and its acknowledgement. */
static void check_told_once(struct bench_pod *pod, unsigned kills, const char *when)
{
    bench_pod_listen(pod, 20);
    for (size_t i = 0; i < pod->exit_count; i++)
        if (pod->exits[i].reports > 1 + kills)
            fail_msg("%s: the exit of %s was told %u times", when, pod->exits[i].container, pod->exits[i].reports);
    pod->exit_count = 0;
}

static void kill_at_each_failpoint(struct bench *bench, const char *pod_id)
{
    static const char *const names[] = {
        "shim.create.before_creating", "shim.create.after_creating", "shim.create.before_run", "shim.child.before_exec",
        "shim.job.reaped", "shim.create.before_created", "shim.create.after_created", "shim.start.before_starting",
        "shim.start.after_starting", "shim.start.before_running", "shim.start.after_running", "shim.exit.before_record",
        "shim.exit.after_record", "shim.exit.after_reap", "shim.exit.before_kill", "shim.exit.before_tell",
        "shim.exit.after_tell", "shim.ack_exit.before_record", "shim.ack_exit.after_record", "shim.step.before_result",
        "shim.step.after_result", "shim.delete.before_forget", "shim.delete.after_unmount", "shim.container.before_unlink",
        "shim.rootfs.before_mount", "shim.rootfs.after_mount",
    };
    struct bench_pod pod;
    char id[64];

    bench_pod_open(bench, &pod, pod_id);
    assert_int_equal(bench_setup(&pod, false), 0);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        bool was_hit = false; /* by one ending at least: what ends before its start is answered is never noted as running */
        for (size_t e = 0; e < sizeof(endings) / sizeof(endings[0]); e++) {
            snprintf(id, sizeof(id), "c%zu-%zu", i, e);
            bench_failpoint(bench, names[i], "kill");
            start_one(&pod, id, &endings[e]);
            check_one(&pod, id, &endings[e], names[i]);
            bench_pod_listen(&pod, 5);
            was_hit |= bench_failpoint_was_hit(bench, names[i]);
            check_told_once(&pod, 1, names[i]);
        }
        if (!was_hit)
            fail_msg("%s was not reached", names[i]);
    }
    bench_pod_close(&pod);
}

/* The start's end is looked at; the container ends before the shim looks for orphans. */
static void an_end_between_two_looks_is_no_orphans(void **state)
{
    static const struct ending ending = {"sleep 0.2; exit 42", 42 << 8};
    struct bench_pod pod;

    bench_pod_open(*state, &pod, "looks");
    assert_int_equal(bench_setup(&pod, false), 0);
    assert_int_equal(bench_create(&pod, "one", "/usr/bin/crun", ending.script, "", false), 0);
    assert_int_equal(bench_start(&pod, "none"), ERROR_NOT_FOUND); /* so the create's end has been looked at */
    bench_failpoint(*state, "shim.children.looked", "sleep 1000");
    assert_int_equal(bench_start(&pod, "one"), 0);
    check_one(&pod, "one", &ending, "between two looks");
    assert_true(bench_failpoint_was_hit(*state, "shim.children.looked"));
    bench_pod_close(&pod);
}

static void each_failpoint_of_the_shim(void **state)
{
    kill_at_each_failpoint(*state, "points");
}

/* Where nobody can ask a pidfd for the code of what was reaped, the record must come before the reaping. */
static void each_failpoint_on_a_kernel_without_exit_info(void **state)
{
    bench_failpoint(*state, "no-exit-info", "");
    kill_at_each_failpoint(*state, "older");
    bench_failpoint_clear(*state, "no-exit-info");
}

static void set_up_and_tear_down_at_each_failpoint(void **state)
{
    static const char *const names[] = {
        "shim.open.before_socket", "shim.setup.before_record", "shim.setup.after_record", "shim.setup.after_shm",
        "shim.setup.after_pin", "shim.teardown.after_unmount", "shim.teardown.before_record",
        "shim.teardown.after_record", "shim.quit.before_remove",
    };
    struct bench *bench = *state;
    char id[64];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct bench_pod pod;
        snprintf(id, sizeof(id), "whole%zu", i);
        bench_failpoint(bench, names[i], "kill");
        bench_pod_open(bench, &pod, id);
        int32_t code;
        while ((code = bench_setup(&pod, true)) == ERROR_INTERNAL) /* its helper was killed: the retry */
            continue;
        assert_int_equal(code, 0);
        start_one(&pod, "one", &endings[2]);
        check_one(&pod, "one", &endings[2], names[i]);
        while ((code = bench_call(&pod, 0, SHIM_POD_TEARDOWN, NULL, NULL)) == ERROR_INTERNAL)
            continue;
        bench_pod_close(&pod);
        assert_true(bench_failpoint_was_hit(bench, names[i]));
    }
}

enum victim { VICTIM_SHIM, VICTIM_KEEPER, VICTIM_BOTH, VICTIM_COUNT };

static void kill_victim(struct bench_pod *pod, enum victim victim)
{
    if (victim != VICTIM_KEEPER)
        bench_pod_kill_shim(pod);
    if (victim != VICTIM_SHIM && pod->bench->keeper)
        kill(pod->bench->keeper, SIGKILL);
}

static unsigned random_rounds(void)
{
    const char *rounds = getenv("BULKHEAD_EXIT_ROUNDS");

    return rounds ? (unsigned)atoi(rounds) : RANDOM_ROUNDS;
}

static void a_random_round(struct bench_pod *pod, unsigned round, enum victim victim, const char *when)
{
    char ids[CONTAINERS][64];

    for (unsigned c = 0; c < CONTAINERS; c++) {
        snprintf(ids[c], sizeof(ids[c]), "r%u-%u", round, c);
        start_one(pod, ids[c], &endings[(round + c) % 4]);
    }
    for (int kills = 0; kills < RANDOM_KILLS; kills++) {
        bench_pod_listen(pod, (unsigned)(random() % 80));
        kill_victim(pod, victim);
    }
    for (unsigned c = 0; c < CONTAINERS; c++)
        check_one(pod, ids[c], &endings[(round + c) % 4], when);
    check_told_once(pod, RANDOM_KILLS, when);
}

static void kills_at_random_instants(void **state)
{
    static const char *const names[] = {"shim killed", "keeper killed", "shim and keeper killed"};
    const char *given = getenv("BULKHEAD_SEED");
    unsigned seed = given ? (unsigned)atoi(given) : (unsigned)clock_realtime_ns();
    struct bench_pod pod;

    srandom(seed);
    print_message("BULKHEAD_SEED=%u\n", seed);
    bench_pod_open(*state, &pod, "random");
    assert_int_equal(bench_setup(&pod, false), 0);
    for (unsigned round = 0; round < random_rounds(); round++)
        a_random_round(&pod, round, (enum victim)(round % VICTIM_COUNT), names[round % VICTIM_COUNT]);
    bench_pod_close(&pod);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_end_between_two_looks_is_no_orphans),
        cmocka_unit_test(each_failpoint_of_the_shim),
        cmocka_unit_test(each_failpoint_on_a_kernel_without_exit_info),
        cmocka_unit_test(set_up_and_tear_down_at_each_failpoint),
        cmocka_unit_test(kills_at_random_instants),
    };

    cmocka_set_test_filter(getenv("BULKHEAD_TEST_FILTER"));
    return cmocka_run_group_tests(tests, bench_fixture_open, bench_fixture_close);
}
