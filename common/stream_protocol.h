/* The contract between a streaming session's process (`stream`) and a pod's shim: fixed-size messages with descriptors over SEQPACKET at
 * STATE/shim/POD/stream. All descriptors of a session are made by its process and sent along, so whatever the shim loses by its death
 * its successor is told again; only the stream's own end ends the session. */
#pragma once

#include <stdint.h>

/* A token is POD-SECRET: the pod's id, which says whose socket to dial, and 32 hexadecimal digits from getrandom(2). */
enum { STREAM_VERSION = 1, STREAM_POD_SIZE = 65, STREAM_SECRET_SIZE = 33, STREAM_KEY_SIZE = 33, STREAM_TEXT_SIZE = 256 };

/* As upstream's streaming server: URLs are valid for a minute, and a thousand may be in flight (here: of one pod). */
enum { STREAM_TOKEN_LIFE_S = 60, STREAM_TOKENS_MAX = 1000 };

/* Also the first element of the URL's path: "exec", "attach", "portforward". */
enum stream_kind { STREAM_EXEC = 1, STREAM_ATTACH, STREAM_PORT_FORWARD };

/* What the request asked for (all but a port-forward's). STDIN_ONCE: the container's own, of an ATTACH. */
enum { STREAM_STDIN = 1, STREAM_STDOUT = 2, STREAM_STDERR = 4, STREAM_TTY = 8, STREAM_STDIN_ONCE = 16 };

enum stream_message_type {
    /* stream to shim */
    STREAM_OPEN = 1,   /* First on each connection: kind, secret, key. Burns the token for this key, 32 hexadecimal digits that the stream makes
                          up; with the same key again (after a shim's death) it joins. Answer: OPENED or FAILED (NOT_FOUND: unknown, burned by
                          another, expired, or another kind) */
    STREAM_START,      /* Once all of the session's channels are there; sent again after each reconnection. Answer: STARTED or FAILED.
                          EXEC: fds as the flags of OPENED say: with TTY one unbound AF_UNIX stream socket, which the shim binds and
                          listens at for the OCI runtime's --console-socket: the stream accepts there and is sent the master; otherwise
                          the read end of stdin, the write ends of stdout and stderr, those that are asked for. Runs at most once: a join finds the
                          process that runs or ran (once it is STARTED, START comes again without descriptors), and an exec that was lost with its
                          shim is FAILED (ABORTED).
                          ATTACH: write ends of stdout and stderr as asked for (TTY: stdout alone) */
    STREAM_STDIN_END,  /* ATTACH to a container with stdin_once: its stdin ends, for good. No answer. Also implied when the connection
                          of such a session ends for another reason than the shim's death */
    STREAM_CONNECT,    /* PORT_FORWARD: serial, port, family (AF_INET or AF_INET6: 127.0.0.1 or ::1). Answer: CONNECTED or FAILED with the serial */

    /* shim to stream */
    STREAM_OPENED = 64,/* kind, flags; text: the container's id, or empty */
    STREAM_STARTED,    /* EXEC: the stream now closes what it passed, so that it sees the ends. ATTACH: one fd if the flags have TTY (the pty
                          master) or STDIN (the write end of stdin) and the container has one. flags: as OPENED's, without STDIN where the
                          container has none (any more), without TTY where it has no terminal */
    STREAM_ENDED,      /* EXEC: wait_status as waitpid(2) gives it. ATTACH: the container has exited and its output has been passed on, or
                          (code) the session was too slow for its container's output. flag UNKNOWN: nobody knows the status */
    STREAM_CONNECTED,  /* serial; fd: a non-blocking TCP socket of the pod's network, on its way to be connected */
    STREAM_FAILED,     /* serial, code (gRPC's), text. Serial 0: the session is over */
};

enum { STREAM_UNKNOWN = 32 }; /* beside the flags above, of ENDED */

struct stream_message {
    uint32_t version;
    uint32_t type;
    uint32_t kind;
    uint32_t flags;
    uint32_t serial;
    uint32_t port;
    uint32_t family;
    int32_t code;
    int32_t wait_status;
    uint32_t reserved;
    char secret[STREAM_SECRET_SIZE];
    char key[STREAM_KEY_SIZE];
    char text[STREAM_TEXT_SIZE];
};
