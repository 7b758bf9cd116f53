/* What a shim does for its pod, driven as sandboxd drives it, with crun and runc. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/error.h"
#include "common/fd.h"
#include "common/keeper_protocol.h"
#include "tests/integration/shim_bench.h"

static const char crun[] = "/usr/bin/crun";
static const char runc[] = "/usr/sbin/runc";

static void run_to_exit(struct bench_pod *pod, const char *id, const char *runtime, const char *script, int status)
{
    assert_int_equal(bench_create(pod, id, runtime, script, "", false), 0);
    assert_int_equal(bench_start(pod, id), 0);
    const struct bench_exit *end = bench_wait_exit(pod, id);
    assert_non_null(end);
    assert_false(end->is_unknown);
    assert_int_equal(end->status, status);
    assert_int_equal(bench_simple(pod, SHIM_DELETE, id), 0);
}

static void a_container_runs_and_its_exit_code_is_told(void **state)
{
    struct bench_pod pod;

    bench_pod_open(*state, &pod, "codes");
    assert_int_equal(bench_setup(&pod, false), 0);
    assert_int_equal(bench_setup(&pod, false), 0);
    run_to_exit(&pod, "zero", crun, "exit 0", 0);
    run_to_exit(&pod, "seven", crun, "exit 7", 7 << 8);
    run_to_exit(&pod, "most", crun, "sh -c 'kill -9 $$'; exit $?", 137 << 8);
    run_to_exit(&pod, "runc", runc, "exit 9", 9 << 8);
    bench_pod_close(&pod);
}

static void a_shared_pid_namespace_has_a_first_process_of_ours(void **state)
{
    struct bench_pod pod;

    bench_pod_open(*state, &pod, "shared");
    assert_int_equal(bench_setup(&pod, true), 0);
    run_to_exit(&pod, "one", crun, "test $$ -gt 1 && exit 3", 3 << 8);
    run_to_exit(&pod, "two", runc, "test $$ -gt 1 && exit 4", 4 << 8);
    bench_pod_close(&pod);
}

static void a_create_that_fails_says_why_and_leaves_nothing(void **state)
{
    struct bench *bench = *state;
    struct bench_pod pod;
    struct wire_writer fields = {0};
    struct bench_reply reply = {0};
    char bundle[128];

    bench_pod_open(bench, &pod, "fails");
    assert_int_equal(bench_setup(&pod, false), 0);
    run_to_exit(&pod, "bad", crun, "exit 5", 5 << 8); /* its bundle stays, its root file system does not */
    snprintf(bundle, sizeof(bundle), "%s/b-fails-bad", bench->directory);
    wire_put_string(&fields, SHIM_TAG_CONTAINER, "bad");
    wire_put_string(&fields, SHIM_TAG_RUNTIME, crun);
    wire_put_string(&fields, SHIM_TAG_BUNDLE, bundle);
    wire_put_string(&fields, SHIM_TAG_CGROUP, "/bhshim-none/bad");
    assert_int_equal(bench_call(&pod, 0, SHIM_CREATE, &fields, &reply), ERROR_INTERNAL);
    assert_non_null(strstr(bench_reply_text(&reply, SHIM_TAG_TEXT), "rootfs"));
    bench_reply_fini(&reply);
    pod.exit_count = 0; /* what was told of the first of this name is not taken for this one's */
    run_to_exit(&pod, "bad", crun, "exit 5", 5 << 8);
    bench_pod_close(&pod);
}

static void an_exec_gives_output_and_status_and_ends_at_its_limit(void **state)
{
    struct bench_pod pod;
    char output[256];
    int status;

    bench_pod_open(*state, &pod, "exec");
    assert_int_equal(bench_setup(&pod, false), 0);
    assert_int_equal(bench_create(&pod, "long", crun, "exec sh -c 'while :; do sleep 1; done'", "", false), 0);
    assert_int_equal(bench_exec(&pod, 0, "long", "echo early", 5000, &status, output, sizeof(output)),
                     ERROR_FAILED_PRECONDITION);
    assert_int_equal(bench_start(&pod, "long"), 0);
    assert_int_equal(bench_exec(&pod, 0, "long", "echo hello; exit 6", 5000, &status, output, sizeof(output)), 0);
    assert_string_equal(output, "hello\n");
    assert_int_equal(status, 6 << 8);
    assert_int_equal(bench_exec(&pod, 0, "long", "sleep 100 & sleep 100", 300, &status, output, sizeof(output)),
                     ERROR_DEADLINE_EXCEEDED);
    assert_int_equal(bench_exec(&pod, 0, "long", "for p in /proc/[0-9]*; do tr '\\\\0' ' ' < $p/cmdline; done | grep -c 'sleep 10[0]'",
                                5000, &status, output, sizeof(output)), 0);
    assert_string_equal(output, "0\n");
    assert_int_equal(bench_simple(&pod, SHIM_SIGNAL, "long"), 0);
    assert_int_equal(bench_wait_exit(&pod, "long")->status, SIGKILL);
    bench_pod_close(&pod);
}

static void an_exec_outlives_its_shim_and_runs_once(void **state)
{
    struct bench_pod pod;
    char output[256];
    int status;

    bench_pod_open(*state, &pod, "once");
    assert_int_equal(bench_setup(&pod, false), 0);
    assert_int_equal(bench_create(&pod, "long", crun, "exec sh -c 'while :; do sleep 1; done'", "", false), 0);
    assert_int_equal(bench_start(&pod, "long"), 0);
    bench_failpoint(*state, "shim.exec.after_running", "kill");
    assert_int_equal(bench_exec(&pod, 77, "long", "echo a >> /tmp/runs; sleep 1; cat /tmp/runs; exit 8", 9000, &status, output,
                                sizeof(output)), 0);
    assert_true(bench_failpoint_was_hit(*state, "shim.exec.after_running"));
    assert_string_equal(output, "a\n");
    assert_int_equal(status, 8 << 8);
    bench_failpoint(*state, "no-exit-info", ""); /* as before Linux 6.15: nobody else knows the status of what is reaped */
    bench_failpoint(*state, "shim.exec.after_reap", "kill");
    assert_int_equal(bench_exec(&pod, 0, "long", "echo c; exit 9", 9000, &status, output, sizeof(output)), 0);
    assert_true(bench_failpoint_was_hit(*state, "shim.exec.after_reap"));
    bench_failpoint_clear(*state, "no-exit-info");
    assert_string_equal(output, "c\n");
    assert_int_equal(status, 9 << 8);
    bench_failpoint(*state, "shim.exec.after_begun", "kill"); /* the runtime was never started: its log is not there */
    assert_int_equal(bench_exec(&pod, 78, "long", "echo b >> /tmp/runs; cat /tmp/runs", 9000, &status, output,
                                sizeof(output)), 0);
    assert_true(bench_failpoint_was_hit(*state, "shim.exec.after_begun"));
    assert_string_equal(output, "a\nb\n");
    bench_pod_close(&pod);
}

static void keeper_send(int socket, enum keeper_message_type type, const char *fd_name, int fd)
{
    struct keeper_message message = {.version = KEEPER_VERSION, .type = type, .program = KEEPER_SHIM, .fd_count = fd >= 0};

    snprintf(message.name, sizeof(message.name), "dying");
    if (fd_name)
        snprintf(message.fd_names[0], sizeof(message.fd_names[0]), "%s", fd_name);
    assert_null(fd_send(socket, &message, sizeof(message), &fd, fd >= 0));
}

static int keeper_connect(const struct bench *bench)
{
    char path[256];
    int fd;

    snprintf(path, sizeof(path), "%s/keeper/sock", bench->state);
    assert_null(socket_connect(path, &fd));
    keeper_send(fd, KEEPER_HELLO, NULL, -1);
    return fd;
}

/* Its answers find nobody, which must not make the keeper deaf to the rest. */
static void the_store_has_all_that_a_shim_sent_before_it_died(void **state)
{
    struct bench *bench = *state;
    struct keeper_message message;
    size_t size, count, stored = 0;
    int fds[FD_PASS_MAX];

    int dying = keeper_connect(bench), null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(kill(bench->keeper, SIGSTOP), 0);
    for (int i = 0; i < 6; i++)
        keeper_send(dying, KEEPER_STORE_PUT, (const char *[]){"a.o", "b.o", "c.o", "d.o", "e.o", "f.o"}[i], null);
    close(null);
    close(dying);
    assert_int_equal(kill(bench->keeper, SIGCONT), 0);
    int next = keeper_connect(bench);
    keeper_send(next, KEEPER_STORE_GET, NULL, -1);
    for (int replies = 0; replies < 2; replies++) { /* HELLO's and this one's */
        assert_null(fd_receive(next, &message, sizeof(message), &size, fds, &count));
        fds_close(fds, count);
        stored = count;
    }
    assert_int_equal(stored, 6);
    keeper_send(next, KEEPER_STORE_DROP, NULL, -1);
    close(next);
}

static void sixty_layers_are_mounted_and_passwd_is_handed_over(void **state)
{
    struct bench *bench = *state;
    struct bench_pod pod;
    struct wire_writer fields = {0};
    struct bench_reply reply = {0};
    char path[256], text[64];

    bench_pod_open(bench, &pod, "layers");
    wire_put_string(&fields, SHIM_TAG_CONTAINER, "many");
    for (int i = 0; i < 100; i++) {
        snprintf(path, sizeof(path), "%s/layer-%064d", bench->directory, i);
        assert_int_equal(mkdir(path, 0755), 0);
        wire_put_string(&fields, SHIM_TAG_LAYER, path);
    }
    snprintf(path, sizeof(path), "%s/layer", bench->directory);
    wire_put_string(&fields, SHIM_TAG_LAYER, path);
    assert_int_equal(bench_call(&pod, 0, SHIM_ROOTFS, &fields, &reply), 0);
    assert_int_equal(bench_reply_u64(&reply, SHIM_TAG_HAS_PASSWD), 1);
    assert_int_equal(bench_reply_u64(&reply, SHIM_TAG_HAS_GROUP), 1);
    assert_int_equal(reply.fd_count, 2);
    assert_true(read(reply.fds[0], text, sizeof(text)) > 4);
    assert_memory_equal(text, "root", 4);
    bench_reply_fini(&reply);
    bench_pod_close(&pod);
}

static void a_program_gets_its_input_and_is_killed_at_its_limit(void **state)
{
    struct bench_pod pod;
    struct wire_writer fields = {0};
    struct bench_reply reply = {0};
    char text[64] = "";

    bench_pod_open(*state, &pod, "run");
    wire_put_string(&fields, SHIM_TAG_PROGRAM, "/bin/sh");
    wire_put_string(&fields, SHIM_TAG_ARG, "sh");
    wire_put_string(&fields, SHIM_TAG_ARG, "-c");
    wire_put_string(&fields, SHIM_TAG_ARG, "read x; echo $x $Y; exit 2");
    wire_put_string(&fields, SHIM_TAG_ENV, "Y=why");
    wire_put(&fields, SHIM_TAG_STDIN, "in\n", 3);
    assert_int_equal(bench_call(&pod, 0, SHIM_RUN, &fields, &reply), 0);
    assert_int_equal(bench_reply_u64(&reply, SHIM_TAG_STATUS), 2 << 8);
    assert_int_equal(read(reply.fds[0], text, sizeof(text)), 7);
    assert_string_equal(text, "in why\n");
    bench_reply_fini(&reply);
    wire_put_string(&fields, SHIM_TAG_PROGRAM, "/bin/sh");
    wire_put_string(&fields, SHIM_TAG_ARG, "sh");
    wire_put_string(&fields, SHIM_TAG_ARG, "-c");
    wire_put_string(&fields, SHIM_TAG_ARG, "setsid sleep 300 & sleep 300");
    wire_put_u64(&fields, SHIM_TAG_TIMEOUT_MS, 200);
    assert_int_equal(bench_call(&pod, 0, SHIM_RUN, &fields, NULL), ERROR_DEADLINE_EXCEEDED);
    bench_pod_close(&pod);
}

static void a_terminal_comes_from_the_runtime(void **state)
{
    struct bench_pod pod;

    bench_pod_open(*state, &pod, "tty");
    assert_int_equal(bench_setup(&pod, false), 0);
    assert_int_equal(bench_create(&pod, "tty", crun, "test -t 1 && exit 11", "", true), 0);
    assert_int_equal(bench_start(&pod, "tty"), 0);
    assert_int_equal(bench_wait_exit(&pod, "tty")->status, 11 << 8);
    bench_pod_close(&pod);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_container_runs_and_its_exit_code_is_told),
        cmocka_unit_test(a_shared_pid_namespace_has_a_first_process_of_ours),
        cmocka_unit_test(a_create_that_fails_says_why_and_leaves_nothing),
        cmocka_unit_test(an_exec_gives_output_and_status_and_ends_at_its_limit),
        cmocka_unit_test(an_exec_outlives_its_shim_and_runs_once),
        cmocka_unit_test(the_store_has_all_that_a_shim_sent_before_it_died),
        cmocka_unit_test(sixty_layers_are_mounted_and_passwd_is_handed_over),
        cmocka_unit_test(a_program_gets_its_input_and_is_killed_at_its_limit),
        cmocka_unit_test(a_terminal_comes_from_the_runtime),
    };

    return cmocka_run_group_tests(tests, bench_fixture_open, bench_fixture_close);
}
