/* A stream process's end of its contract with a pod's shim (common/stream_protocol.h), for tests: one session, whose
 * descriptors the test reads and writes itself, over any number of deaths of the shim. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"
#include "common/stream_protocol.h"

enum { PEER_OUTPUT_MAX = 64 << 20 };

struct stream_peer {
    char path[160];       /* of the pod's socket */
    uint32_t kind, flags; /* as the URL's call asked */
    char secret[STREAM_SECRET_SIZE], key[STREAM_KEY_SIZE];
    void (*turn)(void *argument); /* called while it waits; NULL: nothing is */
    void *argument;
    int socket;    /* -1: not connected */
    int passed[3]; /* stdin's read end, stdout's and stderr's write ends; -1: none */
    int ours[3];   /* the other ends; with a terminal and of an attach [0] is what STARTED brought (or the console gave)
                    */
    int console;   /* of an exec with a terminal: the socket that the shim binds */
    bool is_opened, wants_start, is_started, is_ended, has_failed;
    bool is_stopped; /* connects no more */
    struct stream_message opened, started, ended, failed;
    char *output[3]; /* what has been read of [1] and [2], NUL behind it */
    size_t output_size[3];
    bool is_slow; /* output is not read */
    unsigned connections;
    uint32_t serial; /* of the last CONNECT */
};

/* url: what the call answered; its path's last element is the token. */
struct error *stream_peer_init(struct stream_peer *peer, const char *state, const char *url, uint32_t flags)
    __attribute__((warn_unused_result));
void stream_peer_fini(struct stream_peer *peer); /* closes everything, as the end of a stream process does */

/* Says OPEN, and START when it is opened (not of a port-forward). Each waits up to a minute: an error says what did not
 * come. A FAILED is an error with the shim's code. */
struct error *stream_peer_open(struct stream_peer *peer) __attribute__((warn_unused_result));
void stream_peer_begin(struct stream_peer *peer); /* START, without the wait */
struct error *stream_peer_start(struct stream_peer *peer) __attribute__((warn_unused_result));

/* Takes what comes, messages and output, for so long; connects again where the shim has died. */
void stream_peer_pump(struct stream_peer *peer, int milliseconds);

/* Until ENDED, with all output read; or until the output of that stream has the text (or the session has ended). */
struct error *stream_peer_wait_end(struct stream_peer *peer) __attribute__((warn_unused_result));
struct error *stream_peer_wait_output(struct stream_peer *peer, int stream, const char *text)
    __attribute__((warn_unused_result));

struct error *stream_peer_write(struct stream_peer *peer, const char *text) __attribute__((warn_unused_result));
void stream_peer_close_input(struct stream_peer *peer); /* says STDIN_END too, of an attach */

/* CONNECT; the caller closes the socket, which is connected. */
struct error *stream_peer_connect(struct stream_peer *peer, unsigned port, int family, int *ret_fd)
    __attribute__((warn_unused_result));
