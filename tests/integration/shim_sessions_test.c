/* Streaming sessions of a shim, with this program as their stream process: exec with crun and runc, port-forwards,
 * tokens, and the shim's death at each point of them. BULKHEAD_SESSION_ROUNDS makes the random part longer,
 * BULKHEAD_TEST_SEED repeats it, BULKHEAD_TEST_FILTER runs some. */
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/memory.h"
#include "tests/integration/shim_bench.h"
#include "tests/support/check.h"
#include "tests/support/stream_peer.h"

enum {
    OUTPUTS = STREAM_STDOUT | STREAM_STDERR,
    ALL = OUTPUTS | STREAM_STDIN,
    TERMINAL = STREAM_STDIN | STREAM_STDOUT | STREAM_TTY
};
enum { MANY = 200, RANDOM_ROUNDS = 10, LIMIT_S = 30 };

static const char crun[] = "/usr/bin/crun";
static const char runc[] = "/usr/sbin/runc";

/* --- a pod with a container, and sessions in it ------------------------------------------------------------------- */

struct stage {
    struct bench_pod pod;
    unsigned secrets;
};

static void stage_open(struct stage *stage, struct bench *bench, const char *id, const char *runtime)
{
    *stage = (struct stage){0};
    bench_pod_open(bench, &stage->pod, id);
    assert_int_equal(bench_setup(&stage->pod, false), 0);
    if (!runtime)
        return;
    assert_int_equal(bench_create(&stage->pod, "long", runtime, "exec sh -c 'while :; do sleep 1; done'", "", false),
                     0);
    assert_int_equal(bench_start(&stage->pod, "long"), 0);
}

static void stage_close(struct stage *stage)
{
    bench_pod_close(&stage->pod);
}

static void turn(void *argument)
{
    bench_pod_listen(argument, 0);
}

static void random_secret(char secret[STREAM_SECRET_SIZE])
{
    autoclose int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    uint8_t bytes[(STREAM_SECRET_SIZE - 1) / 2];

    assert_int_equal(read(fd, bytes, sizeof(bytes)), sizeof(bytes));
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(secret + 2 * i, 3, "%02x", bytes[i]);
}

/* As sandboxd. *ret_url is the caller's. */
static int32_t token_register(struct stage *stage, enum stream_kind kind, uint32_t flags, const char *script,
                              char **ret_url)
{
    static const char *const names[] = {"", "exec", "attach", "portforward"};
    struct wire_writer fields = {0};
    char secret[STREAM_SECRET_SIZE];
    autofree char *process =
        xasprintf("{\"terminal\":%s,\"user\":{\"uid\":0,\"gid\":0},\"cwd\":\"/\",\"env\":[\"PATH=/bin\"],"
                  "\"args\":[\"/bin/sh\",\"-c\",\"%s\"]}",
                  flags & STREAM_TTY ? "true" : "false", script ? script : "");

    random_secret(secret);
    wire_put_string(&fields, SHIM_TAG_PATH, secret);
    wire_put_u64(&fields, SHIM_TAG_STREAM_KIND, kind);
    wire_put_u64(&fields, SHIM_TAG_STREAM_FLAGS, flags);
    if (kind != STREAM_PORT_FORWARD)
        wire_put_string(&fields, SHIM_TAG_CONTAINER, "long");
    if (script)
        wire_put_string(&fields, SHIM_TAG_PROCESS, process);
    *ret_url = xasprintf("http://h:1/%s/%s-%s", names[kind], stage->pod.id, secret);
    return bench_call(&stage->pod, 0, SHIM_STREAM_TOKEN, &fields, NULL);
}

static void session_init(struct stage *stage, struct stream_peer *peer, enum stream_kind kind, uint32_t flags,
                         const char *script)
{
    autofree char *url = NULL;

    assert_int_equal(token_register(stage, kind, flags, script, &url), 0);
    check(stream_peer_init(peer, stage->pod.bench->state, url, flags));
    peer->turn = turn;
    peer->argument = &stage->pod;
}

static void expect_code(struct error *failure, enum error_code code)
{
    if (!failure)
        fail_msg("no error, but %s was to come", error_code_name(code));
    if (failure->code != code)
        fail_msg("%s: %s, not %s", error_code_name(failure->code), failure->text, error_code_name(code));
    error_free(failure);
}

static void expect_end(struct stream_peer *peer, int code, const char *out, const char *err)
{
    check(stream_peer_wait_end(peer));
    assert_int_equal(peer->ended.flags & STREAM_UNKNOWN, 0);
    assert_int_equal(peer->ended.wait_status, code << 8);
    if (strcmp(peer->output[1], out) != 0 || strcmp(peer->output[2], err) != 0)
        fail_msg("\"%s\" and \"%s\" came, not \"%s\" and \"%s\"", peer->output[1], peer->output[2], out, err);
}

/* Files of the pod's directory; hidden and temporary ones are none. */
static size_t files_in(const struct stage *stage, const char *directory)
{
    autofree char *path = xasprintf("%s/shim/%s/%s", stage->pod.bench->state, stage->pod.id, directory);
    DIR *list = opendir(path);
    size_t count = 0;

    assert_non_null(list);
    for (const struct dirent *entry; (entry = readdir(list));)
        count += entry->d_name[0] != '.';
    closedir(list);
    return count;
}

static size_t shim_fds(struct stage *stage)
{
    autofree char *path = xasprintf("/proc/%d/fd", stage->pod.shim);
    DIR *list = opendir(path);
    size_t count = 0;

    assert_non_null(list);
    while (readdir(list))
        count++;
    closedir(list);
    return count;
}

/* Nothing is kept of sessions that are over: records, tokens, process files, descriptors. */
static void expect_nothing_kept(struct stage *stage, size_t fds)
{
    int64_t until_ns = clock_boottime_ns() + LIMIT_S * INT64_C(1000000000);
    size_t now_fds;

    do {
        bench_pod_listen(&stage->pod, 5);
        now_fds = stage->pod.shim ? shim_fds(stage) : 0;
        if (files_in(stage, "exec") == 0 && files_in(stage, "streams") == 0 && files_in(stage, "tmp") == 0 &&
            (!fds || now_fds == fds))
            return;
    } while (clock_boottime_ns() < until_ns);
    fail_msg("kept: %zu execs, %zu tokens, %zu work files, %zu descriptors instead of %zu", files_in(stage, "exec"),
             files_in(stage, "streams"), files_in(stage, "tmp"), now_fds, fds);
}

/* --- exec --------------------------------------------------------------------------------------------------------- */

static void run_and_expect(struct stage *stage, const char *script, uint32_t flags, const char *input, int code,
                           const char *out, const char *err)
{
    struct stream_peer peer;

    session_init(stage, &peer, STREAM_EXEC, flags, script);
    check(stream_peer_start(&peer));
    if (input)
        check(stream_peer_write(&peer, input));
    if (flags & STREAM_STDIN && !(flags & STREAM_TTY))
        stream_peer_close_input(&peer);
    expect_end(&peer, code, out, err);
    stream_peer_fini(&peer);
}

static void exec_with(struct bench *bench, const char *id, const char *runtime)
{
    struct stage stage;

    stage_open(&stage, bench, id, runtime);
    size_t fds = shim_fds(&stage);
    run_and_expect(&stage, "echo out; echo err >&2; exit 7", OUTPUTS, NULL, 7, "out\n", "err\n");
    run_and_expect(&stage, "cat; echo behind; exit 42", ALL, "in\n", 42, "in\nbehind\n", "");
    run_and_expect(&stage, "read x; echo err >&2; exit 3", STREAM_STDIN | STREAM_STDERR, "x\n", 3, "", "err\n");
    run_and_expect(&stage, "cat | tr a b", STREAM_STDOUT, NULL, 0, "", ""); /* no stdin: /dev/null */
    run_and_expect(&stage, "stty -echo; echo ready; read x; test -t 0 && test -t 2 && echo $x; exit 5", TERMINAL,
                   "typed\n", 5, "ready\r\ntyped\r\n", "");
    expect_nothing_kept(&stage, fds);
    stage_close(&stage);
}

static void an_exec_has_its_stdio_and_tells_its_code_crun(void **state)
{
    exec_with(*state, "plain-crun", crun);
}

static void an_exec_has_its_stdio_and_tells_its_code_runc(void **state)
{
    exec_with(*state, "plain-runc", runc);
}

static void a_terminal_is_resized(void **state)
{
    struct winsize size = {.ws_row = 33, .ws_col = 77};
    struct stream_peer peer;
    struct stage stage;

    stage_open(&stage, *state, "resize", crun);
    session_init(&stage, &peer, STREAM_EXEC, TERMINAL,
                 "trap 'stty size; exit 9' WINCH; echo ready; while :; do read x; done");
    check(stream_peer_start(&peer));
    check(stream_peer_wait_output(&peer, 1, "ready"));
    assert_int_equal(ioctl(peer.ours[0], TIOCSWINSZ, &size), 0);
    check(stream_peer_write(&peer, "\n")); /* a read that began before the trap was there */
    check(stream_peer_wait_end(&peer));
    check(stream_peer_wait_output(&peer, 1, "33 77"));
    assert_int_equal(peer.ended.wait_status, 9 << 8);
    stream_peer_fini(&peer);
    stage_close(&stage);
}

static void a_command_that_is_not_there_is_an_error(void **state)
{
    struct stream_peer peer;
    struct stage stage;
    struct wire_writer fields = {0};
    char secret[STREAM_SECRET_SIZE];

    stage_open(&stage, *state, "absent", crun);
    size_t fds = shim_fds(&stage);
    random_secret(secret);
    wire_put_string(&fields, SHIM_TAG_PATH, secret);
    wire_put_u64(&fields, SHIM_TAG_STREAM_KIND, STREAM_EXEC);
    wire_put_u64(&fields, SHIM_TAG_STREAM_FLAGS, STREAM_STDOUT);
    wire_put_string(&fields, SHIM_TAG_CONTAINER, "long");
    wire_put_string(&fields, SHIM_TAG_PROCESS,
                    "{\"terminal\":false,\"user\":{\"uid\":0,\"gid\":0},\"cwd\":\"/\",\"env\":[\"PATH=/"
                    "bin\"],\"args\":[\"/bin/absent\"]}");
    autofree char *url = xasprintf("http://h:1/exec/%s-%s", stage.pod.id, secret);
    assert_int_equal(bench_call(&stage.pod, 0, SHIM_STREAM_TOKEN, &fields, NULL), 0);
    check(stream_peer_init(&peer, stage.pod.bench->state, url, STREAM_STDOUT));
    struct error *failure = stream_peer_start(&peer);
    assert_non_null(failure);
    assert_non_null(strstr(failure->text, "absent"));
    expect_code(failure, ERROR_INTERNAL);
    stream_peer_fini(&peer);
    expect_nothing_kept(&stage, fds);
    stage_close(&stage);
}

/* As the peers have it: what runs goes on, with nobody at the other ends. */
static void a_command_outlives_its_stream_process(void **state)
{
    struct stream_peer peer;
    struct stage stage;
    char output[64];
    int status;

    stage_open(&stage, *state, "outlives", crun);
    size_t fds = shim_fds(&stage);
    session_init(&stage, &peer, STREAM_EXEC, ALL,
                 "trap '' PIPE; echo ready; cat; echo in vain; echo went on > /tmp/mark");
    check(stream_peer_start(&peer));
    check(stream_peer_wait_output(&peer, 1, "ready"));
    stream_peer_fini(&peer);
    for (int i = 0; i < 3000; i++) {
        assert_int_equal(bench_exec(&stage.pod, 0, "long", "cat /tmp/mark", 0, &status, output, sizeof(output)), 0);
        if (status == 0 && output[0])
            break;
        bench_sleep(stage.pod.bench, 10);
    }
    assert_string_equal(output, "went on\n");
    expect_nothing_kept(&stage, fds);
    stage_close(&stage);
}

static void a_container_goes_with_its_sessions_open(void **state)
{
    struct stream_peer running, unused;
    struct stage stage;

    stage_open(&stage, *state, "goes", crun);
    size_t fds = shim_fds(&stage);
    session_init(&stage, &running, STREAM_EXEC, ALL, "echo ready; cat");
    session_init(&stage, &unused, STREAM_EXEC, ALL, "cat");
    check(stream_peer_start(&running));
    check(stream_peer_wait_output(&running, 1, "ready"));
    assert_int_equal(bench_simple(&stage.pod, SHIM_DELETE, "long"), 0);
    check(stream_peer_wait_end(&running));
    assert_int_equal(running.ended.wait_status, SIGKILL);
    expect_code(stream_peer_open(&unused), ERROR_NOT_FOUND);
    stream_peer_fini(&running);
    stream_peer_fini(&unused);
    expect_nothing_kept(&stage, 0);
    assert_true(shim_fds(&stage) < fds);
    stage_close(&stage);
}

static void a_pod_goes_with_its_sessions_open(void **state)
{
    struct stream_peer command, forward;
    struct stage stage;

    stage_open(&stage, *state, "podgoes", crun);
    session_init(&stage, &command, STREAM_EXEC, ALL, "echo ready; cat");
    session_init(&stage, &forward, STREAM_PORT_FORWARD, 0, NULL);
    check(stream_peer_start(&command));
    check(stream_peer_wait_output(&command, 1, "ready"));
    check(stream_peer_open(&forward));
    command.turn = forward.turn = NULL;
    stage_close(&stage);
    check(stream_peer_wait_end(&command));
    assert_int_equal(command.ended.wait_status, SIGKILL);
    stream_peer_pump(&forward, 10);
    assert_true(forward.has_failed);
    assert_int_equal(forward.failed.code, ERROR_NOT_FOUND);
    stream_peer_fini(&command);
    stream_peer_fini(&forward);
}

static void many_at_once(void **state)
{
    struct stream_peer *peers = xcalloc(MANY, sizeof(*peers));
    struct stage stage;
    char out[32];

    stage_open(&stage, *state, "many", crun);
    size_t fds = shim_fds(&stage);
    for (int i = 0; i < MANY; i++) {
        autofree char *script = xasprintf("read x; echo %d $x; exit %d", i, i % 120);
        session_init(&stage, &peers[i], STREAM_EXEC, ALL, script);
        check(stream_peer_open(&peers[i]));
        peers[i].turn = NULL;
    }
    for (int i = 0; i < MANY; i++) /* all runtimes at once */
        stream_peer_begin(&peers[i]);
    for (int i = 0; i < MANY; i++)
        check(stream_peer_start(&peers[i]));
    for (int i = 0; i < MANY; i++) {
        check(stream_peer_write(&peers[i], "hello\n"));
        snprintf(out, sizeof(out), "%d hello\n", i);
        expect_end(&peers[i], i % 120, out, "");
        stream_peer_fini(&peers[i]);
    }
    expect_nothing_kept(&stage, fds);
    stage_close(&stage);
    free(peers);
}

/* --- tokens ------------------------------------------------------------------------------------------------------- */

static void a_token_serves_one_stream_process(void **state)
{
    struct stream_peer owner, thief;
    struct stage stage;

    stage_open(&stage, *state, "once", crun);
    session_init(&stage, &owner, STREAM_EXEC, OUTPUTS, "sleep 0.3; echo one >> /tmp/count; cat /tmp/count");
    autofree char *url = xasprintf("http://h:1/exec/%s-%s", stage.pod.id, owner.secret);
    check(stream_peer_init(&thief, stage.pod.bench->state, url, OUTPUTS));
    check(stream_peer_open(&owner));
    assert_int_equal(owner.opened.flags, OUTPUTS);
    assert_string_equal(owner.opened.text, "long");
    expect_code(stream_peer_open(&thief), ERROR_NOT_FOUND);
    check(stream_peer_start(&owner));
    int lost = TAKE_FD(owner.socket); /* the same key by another connection joins, while the shim lives too */
    expect_end(&owner, 0, "one\n", "");
    assert_int_equal(owner.connections, 2);
    close(lost);
    stream_peer_fini(&thief);
    stream_peer_fini(&owner);
    expect_nothing_kept(&stage, 0);
    stage_close(&stage);
}

static void what_is_no_token_opens_nothing(void **state)
{
    struct stream_peer peer;
    struct stage stage;

    stage_open(&stage, *state, "none", crun);
    session_init(&stage, &peer, STREAM_EXEC, OUTPUTS, "true");
    peer.kind = STREAM_ATTACH;
    expect_code(stream_peer_open(&peer), ERROR_NOT_FOUND);
    peer.has_failed = false;
    peer.kind = STREAM_EXEC;
    peer.key[3] = 'g';
    close(TAKE_FD(peer.socket));
    expect_code(stream_peer_open(&peer), ERROR_INVALID_ARGUMENT);
    peer.has_failed = false;
    peer.key[3] = '0';
    peer.secret[0] = peer.secret[0] == 'a' ? 'b' : 'a';
    close(TAKE_FD(peer.socket));
    expect_code(stream_peer_open(&peer), ERROR_NOT_FOUND);
    stream_peer_fini(&peer);
    stage_close(&stage);
}

static void a_token_ends_in_its_time(void **state)
{
    struct stream_peer peer;
    struct stage stage;
    struct bench *bench = *state;

    stage_open(&stage, bench, "expires", crun);
    bench_failpoint(bench, "stream-token-life", "1");
    session_init(&stage, &peer, STREAM_EXEC, OUTPUTS, "true");
    bench_failpoint_clear(bench, "stream-token-life");
    bench_sleep(bench, 2);
    expect_code(stream_peer_open(&peer), ERROR_NOT_FOUND);
    stream_peer_fini(&peer);
    expect_nothing_kept(&stage, 0);
    stage_close(&stage);
}

static void a_thousand_tokens_are_the_limit(void **state)
{
    struct stream_peer peer;
    struct stage stage;

    stage_open(&stage, *state, "thousand", crun);
    session_init(&stage, &peer, STREAM_EXEC, OUTPUTS, "true");
    for (int i = 1; i < STREAM_TOKENS_MAX; i++) {
        autofree char *url = NULL;
        assert_int_equal(token_register(&stage, STREAM_PORT_FORWARD, 0, NULL, &url), 0);
    }
    autofree char *one_more = NULL;
    autofree char *again = NULL;
    assert_int_equal(token_register(&stage, STREAM_PORT_FORWARD, 0, NULL, &one_more), ERROR_RESOURCE_EXHAUSTED);
    check(stream_peer_start(&peer)); /* used: no longer in flight */
    assert_int_equal(token_register(&stage, STREAM_PORT_FORWARD, 0, NULL, &again), 0);
    expect_end(&peer, 0, "", "");
    stream_peer_fini(&peer);
    stage_close(&stage);
}

static void only_streams_user_is_served(void **state)
{
    struct stage stage;
    int status;

    stage_open(&stage, *state, "users", crun);
    autofree char *path = xasprintf("%s/shim/%s/stream", stage.pod.bench->state, stage.pod.id);
    for (uid_t offset = 5; offset <= 7; offset++) {
        pid_t pid = fork();
        if (pid == 0) {
            int fd = -1;
            bool is_refused =
                setresuid(61300 + offset, 61300 + offset, 61300 + offset) < 0 || socket_connect(path, &fd) != NULL;
            _exit(is_refused ? 1 : 0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(WEXITSTATUS(status), offset == 6 ? 0 : 1);
    }
    stage_close(&stage);
}

/* What a stream process passes gets into a container: pipes and nothing else. */
static void only_pipes_are_taken(void **state)
{
    struct stream_peer peer;
    struct stage stage;

    stage_open(&stage, *state, "pipes", crun);
    session_init(&stage, &peer, STREAM_EXEC, STREAM_STDOUT, "true");
    close(peer.passed[1]);
    peer.passed[1] = open("/dev/null", O_WRONLY | O_CLOEXEC);
    expect_code(stream_peer_start(&peer), ERROR_INVALID_ARGUMENT);
    stream_peer_fini(&peer);
    session_init(&stage, &peer, STREAM_EXEC, OUTPUTS, "true");
    close(TAKE_FD(peer.passed[2]));
    expect_code(stream_peer_start(&peer), ERROR_INVALID_ARGUMENT);
    stream_peer_fini(&peer);
    stage_close(&stage);
}

/* --- the shim's death --------------------------------------------------------------------------------------------- */

static void check_count(struct stage *stage, const char *file, const char *when)
{
    autofree char *script = xasprintf("cat /tmp/%s", file);
    char output[64];
    int status;

    assert_int_equal(bench_exec(&stage->pod, 0, "long", script, 0, &status, output, sizeof(output)), 0);
    if (strcmp(output, "x\n") != 0)
        fail_msg("%s: the command has left \"%s\"", when, output);
}

/* One session, with a kill at that point: its code and output are true, and it ran once. */
static void exec_over(struct stage *stage, const char *point, bool is_terminal, unsigned number)
{
    autofree char *file = xasprintf("c%u", number);
    autofree char *script = xasprintf("echo x >> /tmp/%s; echo ready; read x; echo said $x; exit 23", file);
    struct stream_peer peer;

    bench_failpoint(stage->pod.bench, point, "kill");
    session_init(stage, &peer, STREAM_EXEC, is_terminal ? TERMINAL : ALL, script);
    struct error *failure = stream_peer_start(&peer);
    if (failure)
        fail_msg("%s: %s", point, failure->text);
    check(stream_peer_wait_output(&peer, 1, "ready"));
    check(stream_peer_write(&peer, "it\n"));
    check(stream_peer_wait_end(&peer));
    check(stream_peer_wait_output(&peer, 1, "said it"));
    if (peer.ended.wait_status != 23 << 8 || peer.ended.flags)
        fail_msg("%s: wait status 0x%x, flags %u", point, peer.ended.wait_status, peer.ended.flags);
    stream_peer_fini(&peer);
    if (!bench_failpoint_was_hit(stage->pod.bench, point))
        fail_msg("%s was not reached", point);
    check_count(stage, file, point);
}

static void kills_at_each_point(struct bench *bench, const char *id, const char *runtime)
{
    static const char *const points[] = {
        "shim.stream.before_token", "shim.stream.after_token",  "shim.stream.before_burn", "shim.stream.after_burn",
        "shim.stream.before_start", "shim.exec.before_begun",   "shim.exec.after_begun",   "shim.exec.after_running",
        "shim.exec.after_reap",     "shim.stream.before_ended",
    };
    struct stage stage;

    stage_open(&stage, bench, id, runtime);
    if (runtime == runc) /* half of it as on a kernel where no pidfd tells what was reaped */
        bench_failpoint(bench, "no-exit-info", "");
    for (unsigned i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
        exec_over(&stage, points[i], false, 2 * i);
        exec_over(&stage, points[i], true, 2 * i + 1);
    }
    bench_failpoint_clear(bench, "no-exit-info");
    expect_nothing_kept(&stage, 0);
    stage_close(&stage);
}

static void a_session_lives_through_its_shims_death_at_each_point_crun(void **state)
{
    kills_at_each_point(*state, "kills-crun", crun);
}

static void a_session_lives_through_its_shims_death_at_each_point_runc(void **state)
{
    kills_at_each_point(*state, "kills-runc", runc);
}

static void a_random_kill(struct stage *stage, unsigned round)
{
    autofree char *file = xasprintf("r%u", round);
    autofree char *script = xasprintf("echo x >> /tmp/%s; sleep 0.0%ld; echo done; exit 31", file, random() % 10);
    struct stream_peer peer;

    session_init(stage, &peer, STREAM_EXEC, round % 2 ? TERMINAL : OUTPUTS, script);
    check(stream_peer_open(&peer));
    stream_peer_begin(&peer);
    stream_peer_pump(&peer, (int)(random() % 25));
    bench_pod_kill_shim(&stage->pod);
    if (round % 3 == 0 && stage->pod.bench->keeper)
        kill(stage->pod.bench->keeper, SIGKILL);
    check(stream_peer_wait_end(&peer));
    assert_int_equal(peer.ended.wait_status, 31 << 8);
    check(stream_peer_wait_output(&peer, 1, "done"));
    stream_peer_fini(&peer);
    check_count(stage, file, "a kill at random");
}

static unsigned random_rounds(void)
{
    const char *rounds = getenv("BULKHEAD_SESSION_ROUNDS");

    return rounds ? (unsigned)atoi(rounds) : RANDOM_ROUNDS;
}

/* In the runtime's own work, too: it goes on without the shim. */
static void kills_at_random_instants(void **state)
{
    const char *given = getenv("BULKHEAD_TEST_SEED");
    unsigned seed = given ? (unsigned)atoi(given) : (unsigned)clock_realtime_ns();
    struct stage stage;

    srandom(seed);
    print_message("BULKHEAD_TEST_SEED=%u\n", seed);
    stage_open(&stage, *state, "random", crun);
    for (unsigned round = 0; round < random_rounds(); round++)
        a_random_kill(&stage, round);
    assert_int_equal(bench_setup(&stage.pod, false), 0);   /* acknowledgements have been heard */
    bench_failpoint(*state, "stream-unjoined-limit", "1"); /* some may have ended while there was no shim to see it */
    bench_pod_kill_shim(&stage.pod);
    bench_pod_listen(&stage.pod, 1);
    expect_nothing_kept(&stage, 0);
    bench_failpoint_clear(*state, "stream-unjoined-limit");
    stage_close(&stage);
}

/* Both ends die: nobody joins, and what was kept for the join goes. */
static void a_session_that_nobody_joins_is_given_up(void **state)
{
    struct bench *bench = *state;
    struct stream_peer running, done;
    struct stage stage;

    stage_open(&stage, bench, "unjoined", crun);
    session_init(&stage, &running, STREAM_EXEC, ALL, "echo ready; cat; exit 3");
    session_init(&stage, &done, STREAM_EXEC, OUTPUTS, "exit 4");
    check(stream_peer_start(&running));
    check(stream_peer_start(&done));
    expect_end(&done, 4, "", "");
    bench_failpoint(bench, "stream-unjoined-limit", "1");
    running.turn = done.turn = NULL;
    kill(stage.pod.shim, SIGSTOP);
    stream_peer_fini(&running);
    stream_peer_fini(&done);
    bench_pod_kill_shim(&stage.pod);
    expect_nothing_kept(&stage, 0);
    bench_failpoint_clear(bench, "stream-unjoined-limit");
    stage_close(&stage);
}

/* --- port-forward ------------------------------------------------------------------------------------------------- */

/* A listener of this process's in the pod's network. */
static int listen_there(const struct stage *stage, int family, unsigned *ret_port)
{
    autofree char *path = xasprintf("%s/shim/%s/netns", stage->pod.bench->state, stage->pod.id);
    autoclose int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    autoclose int there = open(path, O_RDONLY | O_CLOEXEC);
    struct sockaddr_in6 of_6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr_in of_4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    bool is_4 = family == AF_INET;
    socklen_t size = is_4 ? sizeof(of_4) : sizeof(of_6);
    struct sockaddr *address = is_4 ? (struct sockaddr *)&of_4 : (struct sockaddr *)&of_6;

    assert_int_equal(setns(there, CLONE_NEWNET), 0);
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int failed = bind(fd, address, size) || listen(fd, 8) || getsockname(fd, address, &size);
    assert_int_equal(setns(home, CLONE_NEWNET), 0);
    assert_int_equal(failed, 0);
    *ret_port = ntohs(is_4 ? of_4.sin_port : of_6.sin6_port);
    return fd;
}

static void exchange(struct stage *stage, struct stream_peer *peer, int family)
{
    unsigned port;
    char text[8] = "";
    int fd;

    autoclose int listener = listen_there(stage, family, &port);
    check(stream_peer_connect(peer, port, family, &fd));
    autoclose int served = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(served >= 0);
    assert_int_equal(write(fd, "ping", 4), 4);
    assert_int_equal(read(served, text, sizeof(text)), 4);
    assert_string_equal(text, "ping");
    assert_int_equal(write(served, "pong!", 5), 5);
    shutdown(served, SHUT_WR);
    assert_int_equal(read(fd, text, sizeof(text)), 5);
    assert_int_equal(read(fd, text, sizeof(text)), 0);
    close(fd);
}

static void ports_of_the_pods_network_are_reached(void **state)
{
    struct stream_peer peer;
    struct stage stage;
    int fd;

    stage_open(&stage, *state, "ports", NULL);
    size_t fds = shim_fds(&stage);
    session_init(&stage, &peer, STREAM_PORT_FORWARD, 0, NULL);
    check(stream_peer_open(&peer));
    exchange(&stage, &peer, AF_INET);
    exchange(&stage, &peer, AF_INET6);
    expect_code(stream_peer_connect(&peer, 9, AF_INET, &fd), ERROR_UNAVAILABLE);
    expect_code(stream_peer_connect(&peer, 0, AF_INET, &fd), ERROR_INVALID_ARGUMENT);
    expect_code(stream_peer_connect(&peer, 65536, AF_INET, &fd), ERROR_INVALID_ARGUMENT);
    expect_code(stream_peer_connect(&peer, 80, AF_UNIX, &fd), ERROR_INVALID_ARGUMENT);
    bench_pod_kill_shim(&stage.pod);
    exchange(&stage, &peer, AF_INET); /* the successor makes it */
    stream_peer_fini(&peer);
    expect_nothing_kept(&stage, fds);
    stage_close(&stage);
}

static int open_bench(void **state)
{
    static struct bench bench; /* a test's fixture lives as long as the program */

    bench_open(&bench);
    *state = &bench;
    return 0;
}

static int close_bench(void **state)
{
    bench_close(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_exec_has_its_stdio_and_tells_its_code_crun),
        cmocka_unit_test(an_exec_has_its_stdio_and_tells_its_code_runc),
        cmocka_unit_test(a_terminal_is_resized),
        cmocka_unit_test(a_command_that_is_not_there_is_an_error),
        cmocka_unit_test(a_command_outlives_its_stream_process),
        cmocka_unit_test(a_container_goes_with_its_sessions_open),
        cmocka_unit_test(a_pod_goes_with_its_sessions_open),
        cmocka_unit_test(many_at_once),
        cmocka_unit_test(a_token_serves_one_stream_process),
        cmocka_unit_test(what_is_no_token_opens_nothing),
        cmocka_unit_test(a_token_ends_in_its_time),
        cmocka_unit_test(a_thousand_tokens_are_the_limit),
        cmocka_unit_test(only_streams_user_is_served),
        cmocka_unit_test(only_pipes_are_taken),
        cmocka_unit_test(a_session_lives_through_its_shims_death_at_each_point_crun),
        cmocka_unit_test(a_session_lives_through_its_shims_death_at_each_point_runc),
        cmocka_unit_test(kills_at_random_instants),
        cmocka_unit_test(a_session_that_nobody_joins_is_given_up),
        cmocka_unit_test(ports_of_the_pods_network_are_reached),
    };

    cmocka_set_test_filter(getenv("BULKHEAD_TEST_FILTER"));
    return cmocka_run_group_tests(tests, open_bench, close_bench);
}
