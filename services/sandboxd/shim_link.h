/* What shim_client.c and shim_link.c share: the client's inside. */
#pragma once

#include <pthread.h>

#include "services/sandboxd/shim_client.h"

/* A call that waits; it lies on its caller's stack, and is linked under the client's lock. */
struct shim_step {
    struct shim_step *next;
    uint64_t id;
    const uint8_t *packet;
    size_t size;
    uint64_t sent_on; /* the connection it was last sent on, 0: none */
    bool is_done;
    struct shim_reply reply;
};

struct shim_client {
    char *pod;
    char *path;
    uint64_t generation;
    struct shim_owner owner;

    pthread_mutex_t lock; /* everything below */
    pthread_cond_t changed;
    struct shim_step *steps;
    bool is_stopped;
    bool is_synced;         /* the handshake of this connection is complete */
    uint64_t connection;    /* counts up */
    uint64_t lists;         /* complete lists received: shim_client_wait_idle() counts them */
    unsigned spawn_failures; /* in a row */
    bool lacks_space;        /* the last one failed for want of something */
    char *spawn_text;        /* why it failed */
    size_t running_count;    /* programs that ran, by the last complete list */
    size_t running_listed;   /* by the list that is being received */

    pthread_mutex_t send_lock; /* fd is written to, and closed, under it */
    int fd;
    bool has_thread;
    pthread_t thread;
};

/* The client's thread. */
void *shim_link_run(void *client);

/* Sends one packet on the present connection, if there is one; a failure shows as the connection's end. */
void shim_link_send(struct shim_client *client, const void *packet, size_t size);

/* A header and fields as one packet; the caller frees it. */
uint8_t *shim_packet(uint32_t type, uint64_t step, const struct wire_writer *fields, size_t *ret_size);

/* Waits on the client's condition (its lock held) until changed or milliseconds have passed. */
void shim_client_wait(struct shim_client *client, unsigned milliseconds);
