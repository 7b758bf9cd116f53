/* sandboxd's end of the shim's protocol (common/shim_protocol.h): steps that outlive connections, shims and sandboxd. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/fd.h"
#include "common/shim_protocol.h"
#include "common/wire.h"

/* What a shim says of a container. Strings live until the callback returns; pidfd is -1 or the callee's to close. */
struct shim_report {
    const char *container;
    bool is_exit;        /* an EXITED event: wants shim_client_ack_exit() once it is stored */
    uint32_t state;      /* enum shim_container_state */
    int32_t pid;
    uint64_t start_ticks;
    int32_t wait_status;
    int64_t time_ns;
    bool is_oom;
    bool is_unknown;     /* the status could not be had */
    int pidfd;
};

/* Called on the client's own thread. */
struct shim_owner {
    void *argument;
    struct error *(*spawn)(void *argument);   /* nobody listens: have the keeper start a shim */
    struct error *(*replace)(void *argument); /* it does not answer: kill it, wherever it is */
    void (*report)(void *argument, const struct shim_report *report);
    void (*listed)(void *argument); /* every container that the shim has was reported since the last time */
};

/* A step's answer. The caller ends it with shim_reply_fini(). */
struct shim_reply {
    struct shim_header header;
    uint8_t *data;
    size_t size;
    int fds[FD_PASS_MAX];
    size_t fd_count;
};
void shim_reply_fini(struct shim_reply *reply);
#define auto_shim_reply __attribute__((cleanup(shim_reply_fini))) struct shim_reply
uint64_t shim_reply_u64(const struct shim_reply *reply, uint16_t tag); /* 0 if absent */
const char *shim_reply_text(const struct shim_reply *reply, uint16_t tag); /* NULL if absent; lives as the reply does */
int shim_reply_take_fd(struct shim_reply *reply, size_t index);            /* -1 if there is none */

struct shim_client;

/* A client of the pod's shim at path. Its thread starts with shim_client_start(), connects, spawns where nobody listens,
 * and connects again after each death until shim_client_free(), which waits for it. */
struct shim_client *shim_client_new(const char *pod, const char *path, uint64_t generation, const struct shim_owner *owner);
void shim_client_start(struct shim_client *client);
void shim_client_free(struct shim_client *client);

/* Ends the client's thread at its next chance, without waiting; calls in hand get ABORTED. Finish waits for it: to be
 * called before the last hold on what the callbacks use may go, and not on the client's own thread. */
void shim_client_stop(struct shim_client *client);
void shim_client_finish(struct shim_client *client);

/* Has the shim say again what it has (owner.report, owner.listed). */
void shim_client_list(struct shim_client *client);

/* When may a waiting caller give up? Checked ten times a second. NULL: never. */
struct shim_patience {
    bool (*is_over)(void *argument);
    void *argument;
    int64_t deadline_ns; /* BOOTTIME, 0: ten minutes from now */
};

/* Sends a step and waits for its result, over any number of deaths of the shim. A shim's refusal is returned with its own
 * code and text; CANCELLED when patience is over, DEADLINE_EXCEEDED at its deadline. The result stays in the shim until
 * shim_client_ack(). */
struct error *shim_client_call(struct shim_client *client, uint64_t step, enum shim_type type,
                               const struct wire_writer *fields, const struct shim_patience *patience,
                               struct shim_reply *ret) __attribute__((warn_unused_result));
void shim_client_ack(struct shim_client *client, uint64_t step);
void shim_client_ack_exit(struct shim_client *client, const char *container);

/* Waits until no program of an earlier attempt runs in the shim: before an undo. */
struct error *shim_client_wait_idle(struct shim_client *client, const struct shim_patience *patience)
    __attribute__((warn_unused_result));

/* Step ids: new ones are unique over restarts; derived ones are the same for the same words, so that a successor joins. */
uint64_t shim_step_new(void);
uint64_t shim_step_derive(const char *object, const char *name, uint64_t number);
