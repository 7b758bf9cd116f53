/* What the tests of a whole node begin with, say over and over, and end with. */
#pragma once

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
#include "common/fd.h"
#include "common/memory.h"
#include "proto/cri.pb-c.h"
#include "tests/support/check.h"
#include "cli/clients/cri_client.h"
#include "tests/support/node.h"
#include "tests/support/registry.h"
#include "tests/support/request.h"
#include "tests/support/workload.h"

static const char *const busybox = "docker.io/library/busybox:test";

struct fixture {
    struct node node;
    struct registry_server registry;
    struct workload work;
    char *census;
    const char *handler;   /* of the pods that pod_begin() runs */
    struct fixture *other; /* a second node, for the test that needs one */
};

/* Runs the pod with the fixture's runtime; the caller gives the id to pod_end(). */
static inline char *pod_begin(struct fixture *fixture, struct pod_request *pod)
{
    char *id = NULL;

    pod->request.runtime_handler = (char *)(fixture->handler ? fixture->handler : "");
    check(pod_request_send(pod, fixture->node.client, &id));
    return id;
}

static inline char *pod_begin_plain(struct fixture *fixture, struct pod_request *pod, const char *name,
                                    bool host_network)
{
    pod_request_init(pod, &fixture->node, name, host_network);
    return pod_begin(fixture, pod);
}

/* Stops and removes the pod; nothing may be left. */
static inline void pod_end(struct fixture *fixture, char *id)
{
    check(workload_pod_stop(&fixture->work, id));
    check(workload_pod_remove(&fixture->work, id));
    check(node_wait_census(&fixture->node, fixture->census));
    free(id);
}

/* Creates and starts; the caller frees the id. */
static inline char *container_begin(struct fixture *fixture, struct container_request *container)
{
    char *id = NULL;

    check(container_request_send(container, fixture->node.client, &id));
    check(workload_start(&fixture->work, id));
    return id;
}

static inline void container_end(struct fixture *fixture, char *id)
{
    check(workload_remove(&fixture->work, id));
    free(id);
}

/* A small file's; the caller frees it. */
static inline char *file_text(const char *path)
{
    char *text = NULL;
    size_t size = 0;

    check(file_read_all(path, 1 << 16, &text, &size));
    return text;
}

/* What a shell's script prints in the container; it must end with this code. The caller frees it. */
static inline char *script_output(struct fixture *fixture, const char *container, const char *script, int expected)
{
    const char *const command[] = {"/bin/sh", "-c", script, NULL};
    char *output = NULL;
    int code = -1;

    check(workload_exec(&fixture->work, container, command, &code, &output));
    if (code != expected)
        fail_msg("\"%s\" ended with %d, not %d: %s", script, code, expected, output);
    return output;
}

static inline void script_prints(struct fixture *fixture, const char *container, const char *script,
                                 const char *expected)
{
    autofree char *output = script_output(fixture, container, script, 0);

    if (strcmp(output, expected) != 0)
        fail_msg("\"%s\" printed \"%s\", not \"%s\"", script, output, expected);
}

static inline void script_fails(struct fixture *fixture, const char *container, const char *script)
{
    const char *const command[] = {"/bin/sh", "-c", script, NULL};
    autofree char *output = NULL;
    int code = 0;

    check(workload_exec(&fixture->work, container, command, &code, &output));
    if (code == 0)
        fail_msg("\"%s\" was to fail, but printed \"%s\"", script, output);
}

/* What the node has when it rests; a first pod makes the last of what is made once. */
static inline char *census_at_rest(struct fixture *fixture)
{
    struct pod_request pod;
    char *id = pod_begin_plain(fixture, &pod, "first", true);

    check(workload_pod_remove(&fixture->work, id));
    free(id);
    pod_request_fini(&pod);
    return node_census_at_rest(&fixture->node);
}

/* Registry, image, node; the namespaces are this process's own. extra: as node_open() has it. */
static inline int fixture_open_with(void **state, const char *extra)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));
    autofree char *id = NULL;

    node_isolate();
    *state = fixture;
    check(registry_server_start(&fixture->registry));
    check(registry_server_push(&fixture->registry, "library/busybox", "test", 0));
    check(node_open(&fixture->node, fixture->registry.url, extra));
    fixture->work = (struct workload){.node = &fixture->node, .client = fixture->node.client};
    check(node_wait_ready(&fixture->node));
    check(workload_pull(&fixture->work, busybox, &id));
    fixture->census = census_at_rest(fixture);
    return 0;
}

static inline int fixture_open(void **state)
{
    return fixture_open_with(state, NULL);
}

static inline int fixture_close(void **state)
{
    struct fixture *fixture = *state;

    node_close(&fixture->node);
    registry_server_stop(&fixture->registry);
    free(fixture->census);
    free(fixture);
    return 0;
}

/* After a test that failed, too: its pods are gone, so that the next one begins as if alone. */
static inline int pods_sweep(void **state)
{
    struct fixture *fixture = *state;
    Runtime__V1__ListPodSandboxRequest request = RUNTIME__V1__LIST_POD_SANDBOX_REQUEST__INIT;
    Runtime__V1__ListPodSandboxResponse *reply = NULL;

    fixture->handler = NULL;
    struct error *error = CRI_CALL(fixture->node.client, "RuntimeService", "ListPodSandbox", &request.base, 30000,
                                   list_pod_sandbox_response, &reply);
    for (size_t i = 0; !error && i < reply->n_items; i++)
        error_free(workload_pod_remove(&fixture->work, reply->items[i]->id));
    if (reply)
        runtime__v1__list_pod_sandbox_response__free_unpacked(reply, NULL);
    error_free(error);
    return 0;
}

static inline int with_crun(void **state)
{
    ((struct fixture *)*state)->handler = "crun";
    return 0;
}

static inline int with_runc(void **state)
{
    ((struct fixture *)*state)->handler = "runc";
    return 0;
}

/* A test under the default runtime, and one under both OCI runtimes. */
#define NODE_TEST(test)                                                                                                \
    {                                                                                                                  \
#test, test, NULL, pods_sweep, NULL                                                                            \
    }
#define WITH_EACH_RUNTIME(test)                                                                                        \
    {#test " (crun)", test, with_crun, pods_sweep, NULL},                                                              \
    {                                                                                                                  \
#test " (runc)", test, with_runc, pods_sweep, NULL                                                             \
    }
