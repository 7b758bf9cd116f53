/* The connection to the pod's shim, which is made anew when the shim dies. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/fd.h"
#include "common/stream_protocol.h"
#include "services/criapi/stream/poll_set.h"
#include "services/criapi/stream/token.h"

enum shim_link_state {
    SHIM_LINK_DOWN,    /* no shim: tried again from time to time */
    SHIM_LINK_OPENING, /* OPEN is sent */
    SHIM_LINK_UP,
    SHIM_LINK_FAILED, /* for good; see `failure` */
};

struct shim_link {
    struct watch watch;
    enum shim_link_state state;
    bool is_full; /* the last message found no room */
    struct token token;
    char key[STREAM_KEY_SIZE];
    char *directory;    /* the pod's, STATE/shim/POD */
    char *path;         /* the socket in it */
    int64_t retry_ns;   /* BOOTTIME; when DOWN */
    int64_t give_up_ns; /* of this outage; 0: there is none */
    struct error *failure;
};

struct shim_event {
    struct stream_message message; /* texts are NUL-terminated */
    int fds[FD_PASS_MAX];          /* the receiver's */
    size_t count;
};

/* The key is made here. Nothing is sent before the first step. */
struct error *shim_link_init(struct shim_link *link, const char *state_directory, const struct token *token)
    __attribute__((warn_unused_result));
void shim_link_fini(struct shim_link *link);

/* Before poll: connects and sends OPEN when it is time to; the link becomes FAILED where the pod's directory is gone
 * (NOT_FOUND) or no shim has come for SHIM_LINK_PATIENCE_S (UNAVAILABLE). */
enum { SHIM_LINK_PATIENCE_S = 30 };
void shim_link_step(struct shim_link *link);
void shim_link_watch(struct shim_link *link, struct poll_set *set);

/* When the next step is due; INT64_MAX: not before something comes. */
int64_t shim_link_deadline(const struct shim_link *link);

/* After poll: one message, if there is one. OPENED is handed on after the link has become UP, each time; FAILED in
 * answer to OPEN makes the link FAILED, and is not. */
bool shim_link_receive(struct shim_link *link, struct shim_event *ret);

/* Sends to a shim that is UP; version, secret and key are filled in. false: there is no room, or the link has gone down
 * (or is down), and the caller tries again in a later turn. */
bool shim_link_send(struct shim_link *link, struct stream_message *message, const int *fds, size_t count);
