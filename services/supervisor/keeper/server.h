/* Connections to STATE/keeper/sock: accepted by uid, read one fixed-size message at a time, answered through a queue. */
#pragma once

#include "common/fd.h"
#include "services/supervisor/keeper/keeper.h"

enum { CONNECTION_QUEUE_MAX = 16384, SUBSCRIBE_NONE = -2, SUBSCRIBE_ALL = -1 };

struct queued_message {
    struct queued_message *next;
    struct keeper_message message;
    int fds[KEEPER_SPAWN_FDS]; /* owned */
    size_t fd_count;
};

struct connection {
    struct watch watch;
    struct connection *next;
    int fd;
    pid_t pid;
    uid_t uid;
    int32_t subscribed; /* a program, or SUBSCRIBE_* */
    struct queued_message *queue, **queue_end;
    size_t queued;
    bool is_deaf;   /* gone: told nothing more, but what it sent is still read */
    bool is_broken; /* closed after the request in hand */
};

/* Binds STATE/keeper/sock by rename; done last, when everything else can answer. */
struct error *server_open(struct keeper *keeper) __attribute__((warn_unused_result));

/* Queues a message; the descriptors are duplicated. A peer that does not read is cut off. */
void connection_send(struct keeper *keeper, struct connection *connection, const struct keeper_message *message,
                     const int *fds, size_t fd_count);

/* EXIT to whoever subscribed to the child's program and may see it. */
void server_tell_exit(struct keeper *keeper, const struct child *child, bool is_known, int wait_status,
                      int64_t time_ns);

/* Does a process of this user have a connection? */
bool server_has_peer(const struct keeper *keeper, uid_t uid);

/* Closes the socket and every connection. */
void server_close(struct keeper *keeper);
