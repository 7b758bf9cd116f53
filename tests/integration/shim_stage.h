/* A pod of a shim with a container in it, this program being sandboxd and the stream processes of its sessions. */
#pragma once

#include <dirent.h>
#include <fcntl.h>
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
enum { LIMIT_S = 30 };

static const char crun[] = "/usr/bin/crun";
static const char runc[] = "/usr/sbin/runc";

/* --- a pod with a container, and sessions in it ------------------------------------------------------------------- */

struct stage {
    struct bench_pod pod;
    unsigned secrets;
};

static inline void stage_open(struct stage *stage, struct bench *bench, const char *id, const char *runtime)
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

static inline void stage_close(struct stage *stage)
{
    bench_pod_close(&stage->pod);
}

static inline void turn(void *argument)
{
    bench_pod_listen(argument, 0);
}

static inline void random_secret(char secret[STREAM_SECRET_SIZE])
{
    autoclose int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    uint8_t bytes[(STREAM_SECRET_SIZE - 1) / 2];

    assert_int_equal(read(fd, bytes, sizeof(bytes)), sizeof(bytes));
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(secret + 2 * i, 3, "%02x", bytes[i]);
}

/* As sandboxd. *ret_url is the caller's. */
static inline int32_t token_register(struct stage *stage, enum stream_kind kind, uint32_t flags, const char *script,
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

static inline void session_init(struct stage *stage, struct stream_peer *peer, enum stream_kind kind, uint32_t flags,
                                const char *script)
{
    autofree char *url = NULL;

    assert_int_equal(token_register(stage, kind, flags, script, &url), 0);
    check(stream_peer_init(peer, stage->pod.bench->state, url, flags));
    peer->turn = turn;
    peer->argument = &stage->pod;
}

static inline void expect_code(struct error *failure, enum error_code code)
{
    if (!failure)
        fail_msg("no error, but %s was to come", error_code_name(code));
    if (failure->code != code)
        fail_msg("%s: %s, not %s", error_code_name(failure->code), failure->text, error_code_name(code));
    error_free(failure);
}

static inline void expect_end(struct stream_peer *peer, int code, const char *out, const char *err)
{
    check(stream_peer_wait_end(peer));
    assert_int_equal(peer->ended.flags & STREAM_UNKNOWN, 0);
    assert_int_equal(peer->ended.wait_status, code << 8);
    if (strcmp(peer->output[1], out) != 0 || strcmp(peer->output[2], err) != 0)
        fail_msg("\"%s\" and \"%s\" came, not \"%s\" and \"%s\"", peer->output[1], peer->output[2], out, err);
}

/* Files of the pod's directory; hidden and temporary ones are none. */
static inline size_t files_in(const struct stage *stage, const char *directory)
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

static inline size_t shim_fds(struct stage *stage)
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
static inline void expect_nothing_kept(struct stage *stage, size_t fds)
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
