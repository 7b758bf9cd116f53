/* 200 exec, attach and port-forward sessions at once, by SPDY and WebSocket, opened and cut at random: nothing is left
 * of them. For 18 s; BULKHEAD_SESSIONS_SECONDS=120 makes it longer, BULKHEAD_SESSIONS_KILLS=1 kills daemons meanwhile,
 * BULKHEAD_TEST_SEED repeats. */
#include <dirent.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>

#include "tests/integration/session_node.h"
#include "cli/clients/http_client.h"
#include "cli/clients/spdy_client.h"
#include "cli/clients/websocket_client.h"

enum { SLOTS = 200, SECONDS = 18, LIFE_MS = 8000, TOKEN_LIFE_MS = 10000, FRAMES_A_TURN = 64, SERVER_PORT = 8080 };
enum kind { EXEC, EXEC_TERMINAL, ATTACH, PORT_FORWARD, KINDS };
enum client_kind { BY_SPDY, BY_WEBSOCKET, BY_NOTHING, CLIENTS };

struct slot {
    bool is_open;
    enum kind kind;
    struct spdy_client *spdy;
    struct websocket_client *websocket;
    int fd;            /* of one that says nothing, or half of a request */
    uint32_t input;    /* SPDY's stream */
    unsigned requests; /* of a port-forward */
    int64_t until_ns;  /* BOOTTIME: it is cut then */
};

struct crowd {
    struct fixture *fixture;
    char *pod, *container;
    struct slot slots[SLOTS];
    bool leaves_unused; /* some URLs are never used */
    unsigned opened[KINDS][CLIENTS], most;
};

static const char *const commands[] = {
    "cat",
    "while :; do echo tick; usleep 50000; done",
    "exit 3",
    "seq 20000; cat",
    "trap '' HUP PIPE TERM; sleep 1; exit 7",
    "no-such-command",
};

static char *slot_url(struct crowd *crowd, enum kind kind)
{
    const char *const command[] = {"/bin/sh", "-c", commands[random() % 6], NULL};
    char *url = NULL;

    if (kind == ATTACH)
        check(attach_url(crowd->fixture, crowd->container, ALL, &url));
    else if (kind == PORT_FORWARD)
        check(forward_url(crowd->fixture, crowd->pod, &url));
    else
        check(exec_url(crowd->fixture, crowd->container, command, kind == EXEC ? ALL : TERMINAL, &url));
    return url;
}

/* A port-forward's streams come later, pair by pair. */
static void spdy_streams_open(struct slot *slot)
{
    if (slot->kind == PORT_FORWARD)
        return;
    spdy_client_stream_of(slot->spdy, "error");
    slot->input = spdy_client_stream_of(slot->spdy, "stdin");
    if (random() % 16 == 0)
        return; /* cut within the handshake */
    spdy_client_stream_of(slot->spdy, "stdout");
    spdy_client_stream_of(slot->spdy, slot->kind == EXEC_TERMINAL ? "resize" : "stderr");
}

static void slot_open(struct crowd *crowd, struct slot *slot)
{
    enum client_kind client = (enum client_kind)(random() % 2);
    enum kind kind = (enum kind)(random() % KINDS);
    autofree char *url = slot_url(crowd, kind);
    const char *port = strrchr(url, ':') + 1, *path = strchr(port, '/');
    int status = 101;

    if (crowd->leaves_unused && random() % 8 == 0)
        client = BY_NOTHING;
    *slot = (struct slot){.is_open = true, .kind = kind, .fd = -1};
    slot->until_ns = clock_boottime_ns() + random() % LIFE_MS * INT64_C(1000000);
    crowd->opened[kind][client]++;
    if (client == BY_NOTHING) { /* the URL stays unused, or a request breaks off */
        slot->fd = tcp_dial("127.0.0.1", (uint16_t)atoi(port));
        if (random() % 2)
            send(slot->fd, "POST /exec/", 11, MSG_NOSIGNAL);
    } else if (client == BY_WEBSOCKET && kind != PORT_FORWARD) {
        slot->websocket = websocket_client_open((uint16_t)atoi(port), path, "v5.channel.k8s.io", &status);
    } else {
        slot->spdy = spdy_client_open((uint16_t)atoi(port), path,
                                      kind == PORT_FORWARD ? "portforward.k8s.io" : "v4.channel.k8s.io", &status);
    }
    assert_int_equal(status, 101);
    if (slot->spdy)
        spdy_streams_open(slot);
}

static void slot_cut(struct slot *slot)
{
    spdy_client_free(slot->spdy);
    websocket_client_free(slot->websocket);
    if (slot->fd >= 0)
        close(slot->fd);
    *slot = (struct slot){.fd = -1};
}

static bool is_readable(int fd)
{
    return poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 0) > 0;
}

/* False: the session has ended. */
static bool slot_read(struct slot *slot)
{
    for (int i = 0; i < FRAMES_A_TURN; i++) {
        if (slot->fd >= 0)
            return !is_readable(slot->fd);
        if (!is_readable(slot->spdy ? spdy_client_fd(slot->spdy) : websocket_client_fd(slot->websocket)))
            return true;
        if (!(slot->spdy ? spdy_client_read(slot->spdy) : websocket_client_read(slot->websocket)))
            return false;
    }
    return true;
}

static void slot_forward(struct slot *slot)
{
    autofree char *id = xasprintf("%u", slot->requests++);

    uint32_t error = spdy_client_stream_to(slot->spdy, "error", SERVER_PORT + (uint16_t)(random() % 3), id);
    uint32_t data = error ? spdy_client_stream_to(slot->spdy, "data", SERVER_PORT, id) : 0;
    if (data)
        spdy_client_send(slot->spdy, data, "hello\n", 6, random() % 2);
}

static void slot_say(struct slot *slot)
{
    static const char resize[] = "{\"Width\":80,\"Height\":24}";

    if (slot->spdy && slot->kind == PORT_FORWARD) {
        slot_forward(slot);
    } else if (slot->spdy && slot->input) {
        spdy_client_send(slot->spdy, slot->input, "hello\n", 6, random() % 16 == 0);
    } else if (slot->websocket) {
        websocket_client_send(slot->websocket, 0, "hello\n", 6);
        if (slot->kind == EXEC_TERMINAL)
            websocket_client_send(slot->websocket, 4, resize, strlen(resize));
    }
}

static void slot_turn(struct crowd *crowd, struct slot *slot)
{
    if (!slot->is_open) {
        slot_open(crowd, slot);
        return;
    }
    bool lives = random() % 4 ? slot_read(slot) : true; /* some are slow */
    if (lives && random() % 8 == 0)
        slot_say(slot);
    if (!lives || clock_boottime_ns() > slot->until_ns)
        slot_cut(slot);
}

/* --- what must be as before --------------------------------------------------------------------------------------- */

static size_t memory_kib(const struct node *node, const char *program)
{
    autofree char *path = xasprintf("/proc/%d/smaps_rollup", node_process(node, program));
    autofree char *text = NULL;
    size_t size;

    check(file_read_all(path, 65536, &text, &size));
    return (size_t)atol(strstr(text, "\nPss:") + strlen("\nPss:"));
}

static const char *const daemons[] = {"keeper", "supervisor", "criapi", "sandboxd", "logd", "shim"};
enum { DAEMONS = sizeof(daemons) / sizeof(daemons[0]), MEMORY_SLACK_KIB = 4096, IDLE_WORKERS = 4 };

struct footprint {
    char *census;
    size_t threads[DAEMONS], memory_kib[DAEMONS];
};

static size_t records_in(const struct crowd *crowd, const char *directory)
{
    autofree char *path = xasprintf("%s/shim/%s/%s", crowd->fixture->node.state, crowd->pod, directory);
    DIR *list = opendir(path);
    size_t count = 0;

    assert_non_null(list);
    for (const struct dirent *entry; (entry = readdir(list));)
        count += entry->d_name[0] != '.';
    closedir(list);
    return count;
}

/* Commands end some time after their sessions, unused URLs in their time. */
static void sessions_await(const struct crowd *crowd)
{
    int64_t until_ns = clock_boottime_ns() + SESSION_LIMIT_S * INT64_C(1000000000);

    while (records_in(crowd, "exec") + records_in(crowd, "streams") > 0) {
        if (clock_boottime_ns() > until_ns)
            fail_msg("%zu commands and %zu sessions are left", records_in(crowd, "exec"), records_in(crowd, "streams"));
        usleep(20000);
    }
}

static void footprint_take(struct crowd *crowd, struct footprint *footprint)
{
    footprint->census = node_census_at_rest(&crowd->fixture->node);
    for (int i = 0; i < DAEMONS; i++) {
        footprint->threads[i] = node_thread_count(&crowd->fixture->node, daemons[i]);
        footprint->memory_kib[i] = memory_kib(&crowd->fixture->node, daemons[i]);
    }
}

/* Threads of a daemon end some time after their work, but for a few idle workers that it keeps (WORKERS_KEPT). */
static size_t threads_settled(const struct node *node, const char *program, size_t most)
{
    int64_t until_ns = clock_boottime_ns() + SESSION_LIMIT_S * INT64_C(1000000000);
    size_t now;

    while ((now = node_thread_count(node, program)) > most && clock_boottime_ns() < until_ns)
        usleep(50000);
    return now;
}

static void footprint_expect(struct crowd *crowd, const struct footprint *before)
{
    const struct node *node = &crowd->fixture->node;

    check(node_wait_census(node, before->census));
    for (int i = 0; i < DAEMONS; i++) {
        size_t memory = memory_kib(node, daemons[i]), most = before->threads[i] + IDLE_WORKERS;
        size_t threads = threads_settled(node, daemons[i], most);
        print_message("%s: %zu KiB before, %zu after; %zu threads, then %zu\n", daemons[i], before->memory_kib[i],
                      memory, before->threads[i], threads);
        if (threads > most || memory > before->memory_kib[i] + MEMORY_SLACK_KIB)
            fail_msg("%s has kept threads or memory", daemons[i]);
    }
}

static void processes_expect(struct crowd *crowd, const char *before)
{
    int64_t until_ns = clock_boottime_ns() + SESSION_LIMIT_S * INT64_C(1000000000);

    for (;;) {
        autofree char *now = script_output(crowd->fixture, crowd->container, "ls -d /proc/[0-9]* | wc -l", 0);
        if (atol(now) <= atol(before))
            return;
        if (clock_boottime_ns() > until_ns)
            fail_msg("%ld processes in the container, %ld before", atol(now), atol(before));
        usleep(50000);
    }
}

/* --- the crowd ---------------------------------------------------------------------------------------------------- */

static void crowd_kill(struct crowd *crowd)
{
    static const char *const victims[] = {"shim", "logd", "sandboxd", "supervisor", "keeper", "imaged"};

    if (getenv("BULKHEAD_SESSIONS_KILLS") && random() % 500 == 0)
        check(node_kill(&crowd->fixture->node, victims[random() % 6]));
}

static void crowd_run(struct crowd *crowd, int seconds)
{
    int64_t until_ns = clock_boottime_ns() + seconds * INT64_C(1000000000), now_ns;

    while ((now_ns = clock_boottime_ns()) < until_ns) {
        crowd->leaves_unused = until_ns - now_ns > TOKEN_LIFE_MS * INT64_C(1000000);
        slot_turn(crowd, &crowd->slots[random() % SLOTS]);
        unsigned open = 0;
        for (int i = 0; i < SLOTS; i++)
            open += crowd->slots[i].is_open;
        crowd->most = open > crowd->most ? open : crowd->most;
        crowd_kill(crowd);
    }
    for (int i = 0; i < SLOTS; i++)
        slot_cut(&crowd->slots[i]);
}

static void crowd_print(const struct crowd *crowd)
{
    static const char *const kinds[] = {"exec", "exec with a terminal", "attach", "port-forward"};

    for (int kind = 0; kind < KINDS; kind++)
        print_message("%s: %u by SPDY, %u by WebSocket, %u never begun\n", kinds[kind], crowd->opened[kind][BY_SPDY],
                      crowd->opened[kind][BY_WEBSOCKET], crowd->opened[kind][BY_NOTHING]);
    print_message("%u at once\n", crowd->most);
}

static void nothing_is_left_of_a_crowd_of_sessions(void **state)
{
    static const char *const server[] = {
        "/bin/sh", "-c",
        "while :; do nc -l -p 8080 -e cat; done & while :; do echo out; echo err >&2; usleep 100000; done", NULL};
    struct crowd *crowd = xcalloc(1, sizeof(*crowd));
    const char *seconds = getenv("BULKHEAD_SESSIONS_SECONDS");
    struct footprint before = {0};
    struct container_request container;
    struct pod_request pod;

    crowd->fixture = *state;
    crowd->pod = pod_begin_plain(crowd->fixture, &pod, "crowd", false);
    container_request_init(&container, &pod, crowd->pod, "crowd", busybox, server);
    container.config.stdin = true;
    crowd->container = container_begin(crowd->fixture, &container);
    failpoint_set("stream-token-life",
                  "10000"); /* TOKEN_LIFE_MS: an unused URL is forgotten before the census is given up */
    failpoint_set("stream-unjoined-limit", "10000");
    crowd_run(crowd, 2); /* what is made once */
    sessions_await(crowd);
    autofree char *processes = script_output(crowd->fixture, crowd->container, "ls -d /proc/[0-9]* | wc -l", 0);
    sessions_await(crowd); /* this command's own record goes when sandboxd has acknowledged its result */
    footprint_take(crowd, &before);
    crowd_run(crowd, seconds ? atoi(seconds) : SECONDS);
    crowd_print(crowd);
    check(node_wait_ready(&crowd->fixture->node));
    sessions_await(crowd);
    processes_expect(crowd, processes);
    footprint_expect(crowd, &before);
    free(before.census);
    pod_end(crowd->fixture, crowd->pod);
    container_request_fini(&container);
    pod_request_fini(&pod);
    free(crowd->container);
    free(crowd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {NODE_TEST(nothing_is_left_of_a_crowd_of_sessions)};
    const char *given = getenv("BULKHEAD_TEST_SEED");
    unsigned seed = given ? (unsigned)atoi(given) : (unsigned)clock_realtime_ns();

    srandom(seed);
    printf("BULKHEAD_TEST_SEED=%u\n", seed);
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, fixture_open_with_failpoints, fixture_close_with_failpoints);
}
