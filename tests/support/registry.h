/* A real docker-registry for a test, on a free port of loopback, with images made from busybox-static. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "common/error.h"

struct registry_server {
    char *directory; /* private, below /tmp; the registry's storage is in it */
    unsigned port;
    char *url; /* "http://127.0.0.1:PORT", or https */
    pid_t pid;
};

/* Starts it and waits until it answers. Needs docker-registry, skopeo, umoci and busybox-static. */
struct error *registry_server_start(struct registry_server *server) __attribute__((warn_unused_result));

/* Ends it and removes its storage. Half-started ones are fine. */
void registry_server_stop(struct registry_server *server);

/* kill -9 alone, and a new one on the same port and storage. */
struct error *registry_server_restart(struct registry_server *server) __attribute__((warn_unused_result));

/* Ends it, and starts it on the same port and storage with other settings, each YAML of docker-registry's or NULL: tls as
 * "{certificate: FILE, key: FILE}", auth as "{htpasswd: {realm: r, path: FILE}}". */
struct error *registry_server_reconfigure(struct registry_server *server, const char *tls, const char *auth)
    __attribute__((warn_unused_result));

/* Runs a shell script in its directory, with $R as its HOST:PORT and $A as this architecture; a command that fails ends it. */
struct error *registry_server_script(const struct registry_server *server, const char *script) __attribute__((warn_unused_result));

/* How many lines of its access log are bulkhead's and have the text. A line is written when the answer has been sent. */
size_t registry_server_requests(const struct registry_server *server, const char *text);

/* Pushes REPOSITORY:TAG: a layer with /bin/busybox and links of its applets, a layer with /etc/passwd and /etc/group, and, if filler_bytes is
 * not 0, a layer with that much of random data. Its command is /bin/sh, its environment has PATH, its user is 0. */
struct error *registry_server_push(struct registry_server *server, const char *repository, const char *tag, size_t filler_bytes)
    __attribute__((warn_unused_result));

/* Changes a byte of the largest blob that the registry has. */
struct error *registry_server_damage(struct registry_server *server) __attribute__((warn_unused_result));

/* Writes PATH/docker.io/hosts.json, which makes the server a mirror of docker.io; path is made. */
struct error *registry_server_write_mirror(const struct registry_server *server, const char *path) __attribute__((warn_unused_result));
