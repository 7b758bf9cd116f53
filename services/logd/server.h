/* logd as a whole: its containers, its connections to shims, and the thread that serves them. */
#pragma once

#include "common/fd.h"
#include "services/logd/pass.h"

struct connection {
    struct source source;
    int fd;
    bool greeted, closed;
    LIST_ENTRY(connection) all;
};
LIST_HEAD(connection_list, connection);

struct worker;

struct logd {
    struct source source; /* the listener's */
    int listener;
    int epoll;
    pthread_mutex_t lock; /* all below; never held over what may block */
    struct container_list containers, timed;
    struct container_queue busy;
    struct connection_list connections;
    struct container_list dead_containers; /* freed where no event can still name them: by the loop, after its events */
    struct connection_list dead_connections;
    struct worker *loop; /* the thread that has the loop now */
    int64_t beat_ns;     /* of the last heartbeat */
};

/* Puts a container where its thread finds it. Lock held, as in all of these. */
void logd_wake(struct logd *logd, struct container *container);

struct container *logd_find(struct logd *logd, const char *id);
void logd_add(struct logd *logd, struct container *container);

/* Takes it out of every list and epoll, to be freed by the loop, once no thread works on it. */
void logd_forget(struct logd *logd, struct container *container);

/* The container gets a pass when one of its pipes has something. */
void logd_arm(struct logd *logd, struct container *container);

/* A pass at that time; 0: none. */
void logd_set_due(struct logd *logd, struct container *container, int64_t due_ns);

/* ---- connections (connections.c) */

void connection_accept(struct logd *logd);
void connection_receive(struct logd *logd, struct connection *connection);

/* Answers; a shim that does not read its answers loses its connection. NULL: nobody asks any more. */
void connection_send(struct logd *logd, struct connection *connection, const struct logd_message *message);

/* ---- requests (handlers.c) */

/* Answers a message, whose descriptors it takes. */
void logd_handle(struct logd *logd, struct connection *connection, const struct logd_message *message, const int *fds,
                 size_t fd_count);

/* Answers what a pass has done. False: the container is no more. */
bool logd_apply_answers(struct logd *logd, struct container *container, const struct container_orders *orders,
                        const struct pass_result *result);

/* ---- threads (loop.c) */

/* Serves for ever. Starts the loop's thread, and another one whenever a file system has taken it. */
struct error *logd_run(void *state);
