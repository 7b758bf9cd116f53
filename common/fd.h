/* File descriptors: whole reads and writes, passing over SEQPACKET sockets, and sockets at a path. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"

enum { FD_PASS_MAX = 32 }; /* descriptors in one message; the kernel's limit is 253 */

/* Writes all bytes, over EINTR and short writes. */
struct error *fd_write_all(int fd, const void *data, size_t size) __attribute__((warn_unused_result));

/* Reads a whole small file; RESOURCE_EXHAUSTED beyond limit bytes. A NUL follows the data. The caller frees it. */
struct error *fd_read_all(int fd, size_t limit, char **ret_data, size_t *ret_size) __attribute__((warn_unused_result));
struct error *file_read_all(const char *path, size_t limit, char **ret_data, size_t *ret_size)
    __attribute__((warn_unused_result));

/* Sends one message with descriptors; never raises SIGPIPE. UNAVAILABLE when the peer is gone (EPIPE, ECONNRESET),
 * RESOURCE_EXHAUSTED when a non-blocking socket is full. The descriptors stay the caller's. */
struct error *fd_send(int socket, const void *data, size_t size, const int *fds, size_t count)
    __attribute__((warn_unused_result));

/* Receives one message. *size is the room, then the length; descriptors (at most FD_PASS_MAX) come CLOEXEC and are the
 * caller's. *ret_size 0: the peer has closed. A cut message is INVALID_ARGUMENT and its descriptors are closed. A
 * non-blocking socket without a message: ABORTED. */
struct error *fd_receive(int socket, void *data, size_t room, size_t *ret_size, int fds[FD_PASS_MAX], size_t *ret_count)
    __attribute__((warn_unused_result));

void fds_close(const int *fds, size_t count);

/* A listening, non-blocking SEQPACKET socket: bound beside (PATH.new), given mode and owner (-1 keeps), listening, then
 * renamed to path. This and the next take a path of any length: beyond the kernel's 107 bytes it goes through /proc/self/fd. */
struct error *socket_listen(const char *path, mode_t mode, uid_t owner, int *ret_fd) __attribute__((warn_unused_result));

/* Connects to a SEQPACKET socket. UNAVAILABLE when nobody listens there. */
struct error *socket_connect(const char *path, int *ret_fd) __attribute__((warn_unused_result));

/* The same without ever waiting, for a loop: the socket is non-blocking, and one whose backlog is full is UNAVAILABLE, too. */
struct error *socket_connect_now(const char *path, int *ret_fd) __attribute__((warn_unused_result));

/* The peer's pid and uid (SO_PEERCRED). */
struct error *socket_peer(int socket, pid_t *ret_pid, uid_t *ret_uid) __attribute__((warn_unused_result));
