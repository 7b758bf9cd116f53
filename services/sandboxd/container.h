/* A container as sandboxd knows it, and the one writer of its state. */
#pragma once

#include "services/sandboxd/measurement.h"
#include "services/sandboxd/pod.h"

enum { CONTAINER_RECORD_VERSION = 1 };

struct container {
    struct container *next; /* d->lock: the list */
    struct sandboxd *d;
    struct pod *pod;        /* held */
    unsigned references;    /* d->lock */
    Bulkhead__ContainerRecord *record;     /* d->lock for what changes */
    Runtime__V1__ContainerConfig *config;  /* parsed from the record; never changes */

    /* All below: d->lock. */
    bool is_begun;         /* its first record is on disk: the worker may take it up */
    int pidfd;              /* of its first process, or -1: it knows the exit code when all others have died */
    bool has_early_exit;    /* an exit was reported before the creation was recorded */
    bool is_listed_by_shim; /* reported since the shim's last complete list */
    bool has_stopper;       /* a thread stops it */
    Runtime__V1__LinuxContainerResources *resources; /* as an update has made them; NULL: the configuration's */
    bool is_updating;       /* record->update is being done by a thread, */
    bool has_update_left;   /* or will be: a predecessor had begun it */
    unsigned updates;       /* finished, */
    char *update_failure;   /* the last one's error, or NULL */
    int update_failure_code;
    unsigned joiners;       /* calls that wait for the creation */
    int64_t alone_since_ns;
    bool is_key_free;
    unsigned attempts;      /* of the undo or removal, finished */
    char *failure;          /* why creation or removal failed */
    int failure_code;
    int64_t retry_at_ns;
    unsigned retries;
    struct cpu_rate cpu_rate;
    struct measurement measurement;
    int64_t measuring_since_ns; /* BOOTTIME; 0: no thread measures it */
    unsigned measures;          /* finished, well or not */
    int64_t measure_at_ns;      /* the next time, BOOTTIME */
};

/* Takes the record, and a hold on pod. */
struct error *container_new(struct pod *pod, Bulkhead__ContainerRecord *record, struct container **ret)
    __attribute__((warn_unused_result));
struct container *container_hold(struct container *container); /* d->lock held */
void container_release(struct container *container);           /* d->lock not held */
#define auto_container __attribute__((cleanup(container_auto_release))) struct container *
static inline void container_auto_release(struct container **container)
{
    if (*container)
        container_release(*container);
}

/* As pod_move() and pod_save(). */
struct error *container_move(struct container *container, enum container_state state, bool is_forced)
    __attribute__((warn_unused_result));
struct error *container_save(struct container *container) __attribute__((warn_unused_result));

/* The exit: sets code, reason and time and moves to EXITED in one save. A second one is ignored. */
struct container_exit {
    int32_t exit_code;
    int64_t finished_at_ns; /* REALTIME */
    const char *reason;
    const char *message;
};
struct error *container_move_exited(struct container *container, const struct container_exit *exit)
    __attribute__((warn_unused_result));

/* Its resources as they are; NULL: none are set. d->lock held, for as long as the answer is used. */
const Runtime__V1__LinuxContainerResources *container_resources(const struct container *container);

struct error *container_directory_make(struct container *container) __attribute__((warn_unused_result));
void container_directory_remove(struct container *container);
char *container_path(const struct container *container, const char *file); /* "" is the directory, the bundle */
uint32_t container_state_get(struct container *container); /* takes d->lock */
