/* What the client's two files share: keeper_client.c (calls that wait) and keeper_client_link.c (the connection). */
#pragma once

#include <pthread.h>
#include <stdbool.h>

#include "common/fd.h"
#include "common/keeper_protocol.h"

struct keeper_reply {
    struct keeper_reply *next;
    struct keeper_message message;
    int fds[FD_PASS_MAX];
    size_t fd_count;
};

/* A call that waits, on its caller's stack. */
struct keeper_pending {
    struct keeper_pending *next;
    const struct keeper_message *request;
    const int *fds;
    size_t fd_count;
    bool wants_all; /* until a reply without MORE; else the first is enough */
    bool is_sent, is_done;
    struct keeper_reply *replies, **last;
};

struct keeper_client {
    struct keeper_client_options options; /* state_directory is not used after the start */
    char *path;
    int wake; /* eventfd: the link's thread looks at the list */
    pthread_t link, dispatcher;
    bool has_link, has_dispatcher;

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    int socket; /* -1 while no keeper answers; opened and closed by the link's thread */
    uint64_t serial;
    struct keeper_pending *pending;
    struct keeper_reply *exits, **last_exit; /* for the dispatcher */
    bool announce;                           /* `connected` is due */
    bool closing;
};

void *keeper_link_main(void *client);
void *keeper_dispatcher_main(void *client);

/* With the lock held: sends what waits in the list, as far as the socket takes it. */
void keeper_link_send(struct keeper_client *client);

void keeper_replies_free(struct keeper_reply *reply);
