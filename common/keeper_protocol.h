/* The keeper's contract: fixed-size messages over SEQPACKET at STATE/keeper/sock. One request gets one reply with the same
 * serial; EXIT comes unasked to whoever subscribed. Both ends mirror these names. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/process_id.h"
#include "common/request_page.h"

enum { KEEPER_VERSION = 1, KEEPER_NAME_SIZE = 80, KEEPER_PATH_SIZE = 256, KEEPER_SPAWN_FDS = 16, KEEPER_TEXT_SIZE = 256 };

/* The fixed table of what can be started. Root may ask for each, beside whom it names (but for the supervisor, nobody may). */
enum keeper_program {
    KEEPER_SUPERVISOR, /* only by the keeper itself */
    KEEPER_CRIAPI,     /* by the supervisor */
    KEEPER_SANDBOXD,
    KEEPER_IMAGED,
    KEEPER_LOGD,
    KEEPER_STREAM,
    KEEPER_SHIM,       /* by sandboxd; name: the pod's id. argv: bulkhead-shim ... [--adopt] NAME */
    KEEPER_FETCH,      /* by imaged; name: the pull's or blob's id */
    KEEPER_UNPACK,     /* by imaged; name: the layer's id, a directory below ROOT/imaged/layers */
    KEEPER_PROGRAM_COUNT,
};

enum keeper_message_type {
    KEEPER_HELLO = 1,   /* version; the reply has the keeper's process id */
    /* program, name ("" for a daemon), generation, last_death, flag ADOPT; fds, named by fd_names. A daemon gets the wished
     * generation or, where a higher one has been, the next one; 0 leaves it to the keeper. An instance's is kept as it is,
     * 0: its number among all of its program. Reply: as LIST's, with a pidfd. UNAVAILABLE while the keeper is stopping. */
    KEEPER_SPAWN,
    KEEPER_KILL,        /* process (pid and start time), signal; only children of the sender's own programs, else NOT_FOUND */
    /* program or -1: a reply per child, flag MORE on all but the last, `found` 0 and nothing else where there is none:
     * program, name, generation, process, flag ADOPT if it was started so, time_ns: its start in BOOTTIME; with a pidfd. Each
     * sees the children of its own programs, the supervisor all. */
    KEEPER_LIST,
    KEEPER_SUBSCRIBE,   /* program or -1: EXIT messages of its own programs from now on; replaces what was subscribed */
    /* To subscribers: program, name, generation, flag ADOPT, process; `found` 1: wait_status is the true one; 0: nobody knows it,
     * and wait_status is 0 and says nothing. time_ns in REALTIME: when the keeper, or whose record it read, saw the end. */
    KEEPER_EXIT,
    /* The store: name is an owner. "page": the supervisor (the daemons' request pages). "listener": criapi ("cri") and the
     * supervisor ("stream"), which may only give back a listening socket that is missing, and read nothing. "supervisor", "criapi", "sandboxd", "imaged", "logd":
     * that daemon. Any other name, as a pod's id: root alone, which may use all. Anyone else: PERMISSION_DENIED. */
    KEEPER_STORE_PUT,   /* owner, fd_names[i] for each fd: put or replace; RESOURCE_EXHAUSTED beyond 65536, 64 of a daemon */
    KEEPER_STORE_GET,   /* owner: replies with up to 16 fds each, MORE on all but the last */
    KEEPER_STORE_DROP,  /* owner, fd_names[0..fd_count-1]; fd_count 0: all of the owner */
    KEEPER_OPEN_FILE,   /* directory, name (no slash, no ..; "" opens a directory listing fd): read-only fd, RESOLVE_BENEATH */
    KEEPER_DROP_EXIT,   /* process: unlink STATE/keeper/exits/PID.START, if it is there; supervisor, sandboxd, imaged */
    KEEPER_REPLY,       /* code, text, and what the request asked for */
};

enum keeper_directory { KEEPER_DIRECTORY_CNI, KEEPER_DIRECTORY_SECCOMP, KEEPER_DIRECTORY_CERTS };

enum { KEEPER_MORE = 1, KEEPER_ADOPT = 2, KEEPER_READY = 4 };

/* The one message. Descriptors travel beside it (SCM_RIGHTS), in the order of fd_names. All text is NUL-terminated. */
struct keeper_message {
    uint32_t version;
    uint32_t type;
    uint64_t serial;
    int32_t program;
    uint32_t flags;
    uint64_t generation;
    uint32_t last_death; /* enum death_reason */
    int32_t signal;
    int32_t wait_status; /* as waitpid(2) gives it */
    int32_t code;        /* of a REPLY: gRPC's, 0 is OK */
    int64_t time_ns;
    struct process_id process;
    uint32_t directory;
    uint32_t fd_count;
    uint32_t found;
    uint32_t reserved;
    char name[KEEPER_NAME_SIZE];  /* instance, owner or file name: [A-Za-z0-9._:-]+ */
    char fd_names[KEEPER_SPAWN_FDS][KEEPER_NAME_SIZE];
    char text[KEEPER_TEXT_SIZE];
};

/* STATE/keeper/exits/PID.START: written beside and renamed before the process is reaped (record_save, kind "exit"). */
struct keeper_exit_record {
    struct process_id process;
    int32_t wait_status;
    uint32_t reserved;
    int64_t time_ns; /* CLOCK_REALTIME at the waitid */
};

struct keeper_client;

/* A connection that waits and retries while no keeper lives, and calls `connected` after each (re)connection so that its
 * owner can put its fds again. Blocking calls, thread-safe, each with a limit (BOOTTIME deadline, 0: 30 s). on_exit and
 * connected run on the client's own thread; either may be NULL. */
struct keeper_client_options {
    const char *state_directory; /* STATE */
    void (*connected)(void *argument, struct keeper_client *client);
    void (*on_exit)(void *argument, const struct keeper_message *exit);
    int32_t subscribe; /* program whose EXIT is wanted, -1: all that it may see; -2: none */
    void *argument;
};
struct error *keeper_client_open(const struct keeper_client_options *options, struct keeper_client **ret)
    __attribute__((warn_unused_result));
void keeper_client_close(struct keeper_client *client);

/* Sends request with fds, and returns the (first) reply and its fds, which the caller closes: ret_fds has room for
 * KEEPER_SPAWN_FDS, or is NULL and they are closed. A reply's code becomes the error. ret_reply may be NULL. */
struct error *keeper_client_call(struct keeper_client *client, struct keeper_message *request, const int *fds,
                                 size_t fd_count, int64_t deadline_ns, struct keeper_message *ret_reply, int *ret_fds,
                                 size_t *ret_fd_count) __attribute__((warn_unused_result));

/* LIST, and STORE_GET: when all replies are there, each goes to `each`, which owns the fds; the one that says "none" does not. */
struct error *keeper_client_call_each(struct keeper_client *client, struct keeper_message *request, int64_t deadline_ns,
                                      void (*each)(void *argument, const struct keeper_message *reply, const int *fds,
                                                   size_t fd_count),
                                      void *argument) __attribute__((warn_unused_result));
