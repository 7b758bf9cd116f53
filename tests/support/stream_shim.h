/* A stand-in for a pod's shim, for sessions of `stream`: common/stream_protocol.h on a real socket, real processes,
 * pipes, terminals and sockets, in a thread of the test. It can die and come back. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stream_shim;

/* Listens at STATE/shim/POD/stream, making the directories. STATE is the caller's. */
struct stream_shim *stream_shim_new(const char *state, const char *pod);
void stream_shim_free(struct stream_shim *shim); /* kills what it has started, removes its directory */

/* A token, as sandboxd would register it: kind and flags of stream_protocol.h. argv: of an exec, NULL-terminated, or
 * NULL. The result, "POD-SECRET", is the caller's. */
char *stream_shim_token(struct stream_shim *shim, uint32_t kind, uint32_t flags, const char *const *argv);

/* Its death: connections and socket are gone at once, what it has started runs on. And its successor, which knows all.
 */
void stream_shim_die(struct stream_shim *shim);
void stream_shim_return(struct stream_shim *shim);

/* The successor knows nothing of execs: START is answered ABORTED. */
void stream_shim_forget(struct stream_shim *shim);

/* As logd would, into the pipes of all attached sessions (1 stdout, 2 stderr); waits until there is one. */
void stream_shim_output(struct stream_shim *shim, int which, const void *data, size_t size);

/* The container's stdin: what sessions have written there, as it comes; 0: they have ended it (STDIN_END). Waits. */
size_t stream_shim_input(struct stream_shim *shim, void *data, size_t room);

/* The terminal's size in columns * 65536 + rows, for attach with TTY; waits until it is not `before`. */
uint32_t stream_shim_terminal_size(struct stream_shim *shim, uint32_t before);

/* The container's end: ENDED to all attached sessions. code: 0, or a gRPC code with a text. */
void stream_shim_end_attach(struct stream_shim *shim, int code, const char *text);

/* The pod is stopped: FAILED, NOT_FOUND, to all sessions. */
void stream_shim_end_pod(struct stream_shim *shim);

/* How many OPENs and STARTs have come, and ENDEDs of execs have gone; for waiting: until there are at least so many. */
void stream_shim_wait_opens(struct stream_shim *shim, unsigned count);
void stream_shim_wait_starts(struct stream_shim *shim, unsigned count);
void stream_shim_wait_ends(struct stream_shim *shim, unsigned count);
