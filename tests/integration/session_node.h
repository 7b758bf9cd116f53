/* Streaming sessions of a whole node, with the test as their stream process. */
#pragma once

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/integration/node_failpoints.h"
#include "tests/support/stream_peer.h"

enum { SESSION_CALL_MS = 60000, SESSION_LIMIT_S = 60 };
enum {
    OUTPUTS = STREAM_STDOUT | STREAM_STDERR,
    ALL = OUTPUTS | STREAM_STDIN,
    TERMINAL = STREAM_STDIN | STREAM_STDOUT | STREAM_TTY
};

/* Each: one call; the caller frees the URL. */
static inline struct error *exec_url(struct fixture *fixture, const char *id, const char *const *command,
                                     uint32_t flags, char **ret)
{
    Runtime__V1__ExecRequest request = RUNTIME__V1__EXEC_REQUEST__INIT;
    Runtime__V1__ExecResponse *reply;

    request.container_id = (char *)id;
    request.cmd = (char **)command;
    while (command && command[request.n_cmd])
        request.n_cmd++;
    request.stdin = flags & STREAM_STDIN;
    request.stdout = flags & STREAM_STDOUT;
    request.stderr = flags & STREAM_STDERR;
    request.tty = flags & STREAM_TTY;
    TRY(CRI_CALL(fixture->node.client, "RuntimeService", "Exec", &request.base, SESSION_CALL_MS, exec_response,
                 &reply));
    *ret = xstrdup(reply->url);
    runtime__v1__exec_response__free_unpacked(reply, NULL);
    return NULL;
}

static inline struct error *attach_url(struct fixture *fixture, const char *id, uint32_t flags, char **ret)
{
    Runtime__V1__AttachRequest request = RUNTIME__V1__ATTACH_REQUEST__INIT;
    Runtime__V1__AttachResponse *reply;

    request.container_id = (char *)id;
    request.stdin = flags & STREAM_STDIN;
    request.stdout = flags & STREAM_STDOUT;
    request.stderr = flags & STREAM_STDERR;
    request.tty = flags & STREAM_TTY;
    TRY(CRI_CALL(fixture->node.client, "RuntimeService", "Attach", &request.base, SESSION_CALL_MS, attach_response,
                 &reply));
    *ret = xstrdup(reply->url);
    runtime__v1__attach_response__free_unpacked(reply, NULL);
    return NULL;
}

static inline struct error *forward_url(struct fixture *fixture, const char *pod, char **ret)
{
    Runtime__V1__PortForwardRequest request = RUNTIME__V1__PORT_FORWARD_REQUEST__INIT;
    Runtime__V1__PortForwardResponse *reply;

    request.pod_sandbox_id = (char *)pod;
    TRY(CRI_CALL(fixture->node.client, "RuntimeService", "PortForward", &request.base, SESSION_CALL_MS,
                 port_forward_response, &reply));
    *ret = xstrdup(reply->url);
    runtime__v1__port_forward_response__free_unpacked(reply, NULL);
    return NULL;
}

static inline void exec_init(struct fixture *fixture, struct stream_peer *peer, const char *id, const char *script,
                             uint32_t flags)
{
    const char *const command[] = {"/bin/sh", "-c", script, NULL};
    autofree char *url = NULL;

    check(exec_url(fixture, id, command, flags, &url));
    check(stream_peer_init(peer, fixture->node.state, url, flags));
}

static inline void attach_init(struct fixture *fixture, struct stream_peer *peer, const char *id, uint32_t flags)
{
    autofree char *url = NULL;

    check(attach_url(fixture, id, flags, &url));
    check(stream_peer_init(peer, fixture->node.state, url, flags));
}

/* A pod with one container, which has been started. */
struct scene {
    struct fixture *fixture;
    struct pod_request pod;
    struct container_request container;
    char *pod_id;
    char *id;
};

static inline void scene_make(struct scene *scene, struct fixture *fixture, const char *name, const char *script)
{
    static const char *command[] = {"/bin/sh", "-c", NULL, NULL};

    *scene = (struct scene){.fixture = fixture};
    command[2] = script;
    scene->pod_id = pod_begin_plain(fixture, &scene->pod, name, true);
    container_request_init(&scene->container, &scene->pod, scene->pod_id, "main", busybox, command);
}

static inline void scene_start(struct scene *scene)
{
    scene->id = container_begin(scene->fixture, &scene->container);
}

static inline void scene_open(struct scene *scene, struct fixture *fixture, const char *name, const char *script)
{
    scene_make(scene, fixture, name, script);
    scene_start(scene);
}

static inline void scene_close(struct scene *scene)
{
    autofree char *log = xasprintf("%s/main.log", scene->pod.logs);

    free(scene->id);
    unlink(log); /* another scene of this name begins anew */
    pod_end(scene->fixture, scene->pod_id);
    container_request_fini(&scene->container);
    pod_request_fini(&scene->pod);
}
