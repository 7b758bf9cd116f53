/* All that sandboxd has: its objects, and the peers that it asks. One per process, the first parameter everywhere. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/config.h"
#include "common/ipc.h"
#include "common/keeper_protocol.h"
#include "common/service.h"
#include "services/sandboxd/spec/spec.h"

struct pod;
struct container;
struct late_ack;
struct ipc_publisher;

struct sandboxd {
    const struct config *config;
    uint64_t generation;
    struct request_page *page;
    char *root;        /* ROOT/sandboxd */
    char *layers;      /* ROOT/shim: below it are the writable layers; only its name is used here */
    int pods_fd;       /* ROOT/sandboxd/pods */
    int containers_fd; /* ROOT/sandboxd/containers */
    struct keeper_client *keeper;
    struct ipc_client *imaged;
    struct ipc_publisher *events; /* NULL: nobody is told of moves yet */
    struct spec_host host; /* found out once, in sandboxd_open() */
    const struct config_runtime *default_runtime; /* NULL: none is installed */

    /* The object table's lock: the lists, and all of an object that changes. Held for memory work only, never over a
     * system call that may wait, nor while a record is saved. */
    pthread_mutex_t lock;
    pthread_cond_t leases_changed;
    pthread_cond_t samples_changed; /* one is wanted, or has been taken: sampler_kick() */
    bool has_sample_news;           /* that the sampler has not looked at */
    struct pod *pods;
    struct container *containers;
    struct late_ack *late_acks; /* of execs, oldest first */
    bool has_acker;             /* a thread sees to them */
    bool leases_are_kept;  /* imaged knows which leases are ours: from now on new ones may be made */
    unsigned records_aside; /* records that could not be read, left untouched */
};

/* main.c's table refers to these. */
extern const struct ipc_method sandboxd_methods[];
extern const struct service_privileges sandboxd_privileges;
struct error *sandboxd_open(void *state, const struct service_context *context) __attribute__((warn_unused_result));
struct error *sandboxd_recover(void *state, const struct service_context *context) __attribute__((warn_unused_result));
struct error *sandboxd_ping(void *state) __attribute__((warn_unused_result));

/* A detached thread; when none can be had the process ends, and its successor goes on. */
void sandboxd_thread(void *(*run)(void *argument), void *argument);

/* A condition that waits by CLOCK_MONOTONIC, and a wait on it with d->lock held. */
void condition_init(pthread_cond_t *condition);
void condition_wait(struct sandboxd *d, pthread_cond_t *condition, unsigned milliseconds);

/* Replaces a string of a protobuf-c message (whose default is not on the heap). */
void text_set(char **field, const char *value);

/* 64 hex digits of chance. */
char *id_new(void);
