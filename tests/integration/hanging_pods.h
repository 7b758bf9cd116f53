/* Pods whose file systems or children hang, and all that a node must do for other pods meanwhile. */
#pragma once

#include "tests/integration/gated_node.h"

#include <signal.h>

#include "tests/support/hanging_fs.h"
#include "tests/support/request.h"

enum { WAIT_S = 60 };

static const char counting[] = "trap 'exit 7' TERM; >/ready; n=0; while :; do echo line $n; n=$((n+1)); sleep 0.02; done";

/* A pod with one container. */
struct member {
    struct life life;
    char name[32];
};

static inline void member_begin(struct gated_node *gated, struct member *member, const char *name, const char *script,
                                const char *volume)
{
    const char *const command[] = {"/bin/sh", "-c", script, NULL};
    struct pod_request pod;
    struct container_request container;
    Runtime__V1__Mount mount = RUNTIME__V1__MOUNT__INIT, *mounts[] = {&mount};

    snprintf(member->name, sizeof(member->name), "%s", name);
    member->life = life_of(gated, member->name);
    pod_request_init(&pod, &gated->node, name, false);
    check(pod_request_send(&pod, gated->node.client, &member->life.pod));
    container_request_init(&container, &pod, member->life.pod, name, busybox, command);
    mount.host_path = (char *)volume;
    mount.container_path = (char *)"/volume";
    if (volume) {
        container.config.mounts = mounts;
        container.config.n_mounts = 1;
    }
    check(container_request_send(&container, gated->node.client, &member->life.container));
    check(workload_start(&member->life.work, member->life.container));
    container.config.n_mounts = 0;
    container_request_fini(&container);
    pod_request_fini(&pod);
}

static inline void member_end(struct member *member)
{
    check(step_pod_stop(&member->life));
    check(step_pod_remove(&member->life));
    life_free(&member->life);
}

/* Lines of a counting container's log, which must be numbered from 0 without a gap, each whole. */
static inline int log_lines(const char *path)
{
    char line[512];
    int expected = 0, number;
    FILE *file = fopen(path, "r");

    while (file && fgets(line, sizeof(line), file)) {
        const char *text = strstr(line, " stdout F line ");
        if (!strchr(line, '\n'))
            break; /* it is being written */
        if (!text || sscanf(text, " stdout F line %d\n", &number) != 1 || number != expected++)
            fail_msg("line %d of %s is wrong: %s", expected, path, line);
    }
    if (file)
        fclose(file);
    return expected;
}

static inline void log_must_grow(const char *path)
{
    int before = log_lines(path);
    int64_t end = clock_boottime_ns() + WAIT_S * INT64_C(1000000000);

    while (log_lines(path) <= before + 2) {
        if (clock_boottime_ns() > end)
            fail_msg("%s does not grow beyond %d lines", path, before);
        usleep(10000);
    }
}

static inline char *log_of(const struct gated_node *gated, const char *name)
{
    return xasprintf("%s/logs/%s/%s.log", gated->node.directory, name, name);
}

static inline void await_waiting(const struct hanging_fs *fs)
{
    int64_t end = clock_boottime_ns() + WAIT_S * INT64_C(1000000000);

    while (hanging_fs_waiting(fs) == 0) {
        if (clock_boottime_ns() > end)
            fail_msg("nobody asks the file system that hangs");
        usleep(5000);
    }
}

static inline void lists_must_answer(struct gated_node *gated, size_t least)
{
    Runtime__V1__ListContainersRequest containers = RUNTIME__V1__LIST_CONTAINERS_REQUEST__INIT;
    Runtime__V1__ListPodSandboxRequest pods = RUNTIME__V1__LIST_POD_SANDBOX_REQUEST__INIT;
    Runtime__V1__ListContainersResponse *some;
    Runtime__V1__ListPodSandboxResponse *others;

    check(CRI_CALL(gated->node.client, "RuntimeService", "ListContainers", &containers.base, 60000,
                   list_containers_response, &some));
    assert_true(some->n_containers >= least);
    runtime__v1__list_containers_response__free_unpacked(some, NULL);
    check(CRI_CALL(gated->node.client, "RuntimeService", "ListPodSandbox", &pods.base, 60000, list_pod_sandbox_response,
                   &others));
    assert_true(others->n_items >= least);
    runtime__v1__list_pod_sandbox_response__free_unpacked(others, NULL);
}

/* All that a node does for other pods. */
static inline void others_must_live(struct gated_node *gated, const struct member *fine, size_t containers)
{
    autofree char *log = log_of(gated, fine->name);
    autofree char *name = xasprintf("%s-fresh", fine->name);
    autofree char *fresh_log = log_of(gated, name);
    struct member fresh;

    lists_must_answer(gated, containers);
    log_must_grow(log);
    check(step_exec((struct life *)&fine->life));
    member_begin(gated, &fresh, name, counting, NULL);
    log_must_grow(fresh_log);
    check(step_exec(&fresh.life));
    check(step_stop(&fresh.life));
    check(step_remove(&fresh.life));
    member_end(&fresh);
    assert_int_equal(unlink(fresh_log), 0);
}

static inline pid_t shim_of(const struct gated_node *gated, const struct member *member)
{
    autofree char *pid = line_of("pgrep -f -- '^[^ ]*bulkhead-shim .*%s.*%s'", gated->node.state, member->life.pod);

    return (pid_t)atoi(pid);
}

static inline void running_must_be(struct member *member)
{
    struct workload_state now;

    check(workload_status(&member->life.work, member->life.container, &now));
    assert_int_equal(now.state, RUNTIME__V1__CONTAINER_STATE__CONTAINER_RUNNING);
}
