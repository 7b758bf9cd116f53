/* What exec and attach have in common: five channels at most, and the descriptors that they belong to. */
#pragma once

#include "services/criapi/stream/work.h"

enum remote_state {
    REMOTE_CHANNELS, /* waiting for the client's channels */
    REMOTE_STARTING, /* waiting for STARTED */
    REMOTE_RUNNING,
    REMOTE_DRAINING, /* over: what is in the pipes still goes to the client */
    REMOTE_STATUS,   /* then the status */
    REMOTE_DONE,
};

struct remote_command {
    struct work work;
    enum remote_state state;
    struct channel *error, *in, *out[2], *resize;
    struct watch out_fd[2]; /* read ends of the pipes; [0] may be a pty master */
    struct watch in_fd;     /* the write end of stdin, or a pty master */
    int terminal;           /* a pty master that takes the size; borrowed from one of the above, or -1 */
    bool is_start_sent;
    int64_t channels_ns; /* BOOTTIME by when the channels must be there */
    int64_t moved_ns;    /* BOOTTIME of the last output */
    char *status;        /* for the error channel */
};

void remote_command_init(struct remote_command *command, const struct work_functions *functions,
                         const struct work_options *options, struct shim_link *link);
void remote_command_fini(struct remote_command *command);

/* work_functions.opened: by the stream type. */
struct error *remote_command_opened(struct work *work, struct channel *channel, const struct channel_request *request);

/* Are all channels there that were asked for? */
bool remote_command_is_complete(const struct remote_command *command);

void remote_command_watch(struct remote_command *command, struct poll_set *set);

/* Moves output; a descriptor at its end is closed, its fd -1. */
void remote_command_output(struct remote_command *command);

/* Moves input. true, once: the client's stdin has ended and all of it has been written; the descriptor is closed but
 * for a terminal's. */
bool remote_command_input(struct remote_command *command);
void remote_command_resize(struct remote_command *command);

/* Ends the input, and goes over to DRAINING with that status, which it takes over, unless it is there already. */
void remote_command_end(struct remote_command *command, char *status);

/* In REMOTE_STATUS: says the status and closes the channels, as soon as there is room. */
void remote_command_finish(struct remote_command *command);

/* The deadline of REMOTE_CHANNELS, otherwise INT64_MAX. */
int64_t remote_command_deadline(const struct remote_command *command);

/* A pipe whose end `ours` (0: we read, 1: we write) does not block. */
struct error *remote_command_pipe(int ours, int *ret_ours, int *ret_theirs) __attribute__((warn_unused_result));
