/* A node whose CNI plugins and OCI runtime are behind gates (tests/support/gate.h), and calls that go on while a test
 * kills. */
#pragma once

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/memory.h"
#include "proto/cri.pb-c.h"
#include "tests/support/check.h"
#include "cli/clients/cri_client.h"
#include "tests/support/gate.h"
#include "tests/support/node.h"
#include "tests/support/registry.h"
#include "tests/support/workload.h"

static const char *const busybox = "docker.io/library/busybox:test";

struct gated_node {
    struct node node;
    struct gates gates;
    struct registry_server registry;
    struct workload work;
    char *census; /* with the image, without a pod */
};

/* --- the node ----------------------------------------------------------------------------------------------------- */

/* cni_timeout_s: the limit of one plugin. */
static inline void gated_node_open(struct gated_node *gated, unsigned cni_timeout_s)
{
    autofree char *id = NULL;
    autofree char *extra =
        xasprintf("\"cni\": {\"conf_dir\": \"$DIR/net.d\", \"bin_dirs\": [\"$DIR/bin\", \"/usr/lib/cni\"], "
                  "\"timeout_seconds\": %u}, \"runtimes\": {\"crun\": {\"path\": \"$DIR/bin/crun\"}}",
                  cni_timeout_s);

    check(registry_server_start(&gated->registry));
    check(registry_server_push(&gated->registry, "library/busybox", "test", 0));
    check(node_make(&gated->node, gated->registry.url, extra));
    check(gates_open(&gated->gates, gated->node.directory));
    check(gate_wrap_plugin(&gated->gates, "bridge", "/usr/lib/cni/bridge"));
    check(gate_wrap_plugin(&gated->gates, "host-local", "/usr/lib/cni/host-local"));
    check(gate_wrap_plugin(&gated->gates, "portmap", "/usr/lib/cni/portmap"));
    check(gate_wrap_runtime(&gated->gates, "crun", "/usr/bin/crun"));
    check(node_start(&gated->node));
    check(cri_client_open(gated->node.address, &gated->node.client));
    gated->work = (struct workload){.node = &gated->node, .client = gated->node.client};
    check(node_wait_ready(&gated->node));
    check(workload_pull(&gated->work, busybox, &id));
    gated->census = node_census_at_rest(&gated->node);
}

static inline void gated_node_close(struct gated_node *gated)
{
    node_close(&gated->node);
    gates_close(&gated->gates);
    registry_server_stop(&gated->registry);
    free(gated->census);
}

/* Of a program's tests, whose plugins have a minute each. */
static inline int gated_set_up(void **state)
{
    *state = xcalloc(1, sizeof(struct gated_node));
    gated_node_open(*state, 60);
    return 0;
}

static inline int gated_tear_down(void **state)
{
    gated_node_close(*state);
    free(*state);
    return 0;
}

/* kill -9, and waits until there is another. */
static inline void kill_and_await(struct gated_node *gated, const char *program)
{
    pid_t before = node_process(&gated->node, program);
    int64_t end = clock_boottime_ns() + INT64_C(60000000000);

    check(node_kill(&gated->node, program));
    for (;;) {
        pid_t now = node_process(&gated->node, program);
        if (now > 0 && now != before)
            return;
        if (clock_boottime_ns() > end)
            fail_msg("no other %s came", program);
        usleep(5000);
    }
}

static inline void census_must_be_as_before(struct gated_node *gated)
{
    check(node_wait_census(&gated->node, gated->census));
}

/* The first line of a command's output, without its end; the caller frees it. */
__attribute__((format(printf, 1, 2))) static inline char *line_of(const char *format, ...)
{
    autofree char *command = NULL;
    char line[4096] = "";
    va_list arguments;

    va_start(arguments, format);
    if (vasprintf(&command, format, arguments) < 0)
        abort();
    va_end(arguments);
    FILE *output = popen(command, "r");
    assert_non_null(output);
    if (!fgets(line, sizeof(line), output))
        line[0] = '\0';
    pclose(output);
    line[strcspn(line, "\n")] = '\0';
    return xstrdup(line);
}

/* --- a call that goes on ------------------------------------------------------------------------------------------ */

/* A pod and its container, and the call in hand. */
struct life {
    struct workload work;
    const char *name;
    char *pod;
    char *container;
    struct error *(*run)(struct life *life);
    struct error *error;
    pthread_t thread;
};

static inline struct life life_of(struct gated_node *gated, const char *name)
{
    return (struct life){.work = {.node = &gated->node, .client = gated->node.client}, .name = name};
}

static inline void life_free(struct life *life)
{
    free(life->pod);
    free(life->container);
}

static inline void *call_main(void *argument)
{
    struct life *life = argument;

    life->error = life->run(life);
    return NULL;
}

static inline void call_begin(struct life *life, struct error *(*run)(struct life *life))
{
    life->run = run;
    life->error = NULL;
    assert_int_equal(pthread_create(&life->thread, NULL, call_main, life), 0);
}

static inline struct error *call_end(struct life *life)
{
    pthread_join(life->thread, NULL);
    return life->error;
}

static inline void call_must_succeed(struct life *life, const char *gate, const char *victim)
{
    struct error *error = call_end(life);

    if (error)
        fail_msg("%s killed at gate %s: %s: %s", victim, gate, error_code_name(error->code), error->text);
    if (life->work.unavailable)
        fail_msg("%s killed at gate %s: the call ended UNAVAILABLE", victim, gate);
}

static inline struct error *step_pod_run(struct life *life)
{
    free(TAKE(life->pod));
    return workload_pod_run(&life->work, life->name, 0, false, NULL, &life->pod);
}

static inline struct error *step_pod_stop(struct life *life)
{
    return workload_pod_stop(&life->work, life->pod);
}

static inline struct error *step_pod_remove(struct life *life)
{
    return workload_pod_remove(&life->work, life->pod);
}

/* The container prints, and ends with 7 at SIGTERM. */
static inline struct error *step_create(struct life *life)
{
    static const char *const command[] = {"/bin/sh", "-c", "trap 'exit 7' TERM; echo up; >/ready; while :; do sleep 0.05; done",
                                          NULL};

    free(TAKE(life->container));
    return workload_create(&life->work, life->pod, false,
                           &(struct workload_container){.name = life->name, .image = busybox, .command = command},
                           &life->container);
}

static inline struct error *step_start(struct life *life)
{
    return workload_start(&life->work, life->container);
}

/* Comes back once the container is ready for SIGTERM. */
static inline struct error *step_exec(struct life *life)
{
    static const char *const command[] = {"/bin/sh", "-c", "while [ ! -e /ready ]; do sleep 0.01; done; echo done; exit 3", NULL};
    autofree char *output = NULL;
    int code = -1;

    TRY(workload_exec(&life->work, life->container, command, &code, &output));
    if (code != 3 || strcmp(output, "done\n") != 0)
        return error_new(ERROR_INTERNAL, "exec ended with %d and \"%s\"", code, output);
    return NULL;
}

static inline struct error *step_stop(struct life *life)
{
    struct workload_state state;

    TRY(workload_stop(&life->work, life->container, 10));
    TRY(workload_status(&life->work, life->container, &state));
    if (state.state != RUNTIME__V1__CONTAINER_STATE__CONTAINER_EXITED || state.exit_code != 7)
        return error_new(ERROR_INTERNAL, "state %d, exit code %d, %s", state.state, state.exit_code, state.reason);
    return NULL;
}

static inline struct error *step_remove(struct life *life)
{
    return workload_remove(&life->work, life->container);
}
