/* A pod as sandboxd knows it, and the one writer of its state. */
#pragma once

#include "common/cleanup.h"
#include "proto/cri.pb-c.h"
#include "proto/records.pb-c.h"
#include "services/sandboxd/cpu_rate.h"
#include "services/sandboxd/sandboxd.h"
#include "services/sandboxd/shim_client.h"
#include "services/sandboxd/state.h"

enum { POD_RECORD_VERSION = 1, JOIN_GRACE_S = 10 };

struct pod {
    struct pod *next;     /* d->lock: the list */
    struct sandboxd *d;
    unsigned references;  /* d->lock */
    Bulkhead__PodRecord *record;             /* d->lock for what changes; id, config and times never do */
    Runtime__V1__PodSandboxConfig *config;   /* parsed from the record; never changes */
    struct shim_client *shim;                /* made with the first need; lives as long as the pod */
    pthread_mutex_t save_lock;               /* orders moves and saves; taken before d->lock */
    pthread_cond_t changed;                  /* with d->lock: any change of the pod or its containers */

    /* All below: d->lock. */
    bool is_begun;         /* its first record is on disk: the worker may take it up */
    bool has_worker;       /* a thread does this pod's long work */
    bool is_kicked;        /* there may be work that the worker has not seen */
    unsigned joiners;      /* calls that wait for the creation */
    int64_t alone_since_ns; /* BOOTTIME since when there are none */
    bool is_key_free;      /* another pod may have its key: this one is being undone and that has failed before */
    unsigned shims;        /* that this sandboxd has had started: tells whether one died under a step */
    bool is_new_boot;      /* its boot is over: nothing of it lives */
    unsigned attempts;     /* of the present goal, finished */
    char *failure;         /* the last attempt's error, or NULL */
    int failure_code;
    int64_t retry_at_ns;   /* BOOTTIME of the next attempt */
    unsigned retries;      /* in a row, for the backoff */
    struct cpu_rate cpu_rate;
    int net_fd;            /* /proc/net/dev of its network namespace, which it holds; -1: none (yet) */
    int64_t net_asked_since_ns; /* BOOTTIME; 0: no thread asks for it */
    unsigned net_asks;     /* finished, well or not */
    bool is_net_closed;    /* none is to be had any more */
    int64_t net_retry_at_ns;
};

/* Takes the record. The config in it must parse. */
struct error *pod_new(struct sandboxd *d, Bulkhead__PodRecord *record, struct pod **ret) __attribute__((warn_unused_result));
struct pod *pod_hold(struct pod *pod); /* d->lock held */
void pod_release(struct pod *pod);     /* d->lock not held; frees the last */
#define auto_pod __attribute__((cleanup(pod_auto_release))) struct pod *
static inline void pod_auto_release(struct pod **pod)
{
    if (*pod)
        pod_release(*pod);
}

/* Writes the state, logs the move and saves the record; the move is visible once it is saved. For a move that must happen
 * (stop, removal) a failed save is only logged: is_forced. FAILED_PRECONDITION when the table forbids it. */
struct error *pod_move(struct pod *pod, enum pod_state state, bool is_forced) __attribute__((warn_unused_result));

/* Saves the record as it is. */
struct error *pod_save(struct pod *pod) __attribute__((warn_unused_result));

/* Makes and removes ROOT/sandboxd/pods/ID. */
struct error *pod_directory_make(struct pod *pod) __attribute__((warn_unused_result));
void pod_directory_remove(struct pod *pod);

/* The absolute path of a file of the pod's; the caller frees it. */
char *pod_path(const struct pod *pod, const char *file);

/* Where its containers are: their slice with the systemd driver, else its own cgroup. */
const char *pod_containers_cgroup(const struct pod *pod);

/* Does the pod use a network namespace of its own? */
bool pod_has_network(const struct pod *pod);

/* Tells all who wait for the pod. d->lock held. */
void pod_notify(struct pod *pod);

uint32_t pod_state_get(struct pod *pod); /* takes d->lock */
