/* The listening socket of streaming sessions, bound by the backstop; its address is a file that sandboxd makes URLs of. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

enum { STREAM_ADDRESS_SIZE = 64 };

/* Binds ip and port, 0: the port that STATE/stream_address names, or without such a file any. ABORTED: the port that is named there is in
 * use, as a living process of this tree has the socket and will hand it back; with `afresh` nobody did for so long that another port is
 * taken instead. INVALID_ARGUMENT: ip is none; else bind's errors. The caller owns *ret_fd. */
struct error *stream_listener_open(const char *state, const char *ip, uint16_t port, bool afresh, int *ret_fd)
    __attribute__((warn_unused_result));

/* Writes "IP:PORT" or "[IP]:PORT" of the socket to STATE/stream_address (0644), with a loopback address where it listens at any. */
struct error *stream_listener_publish(const char *state, int fd) __attribute__((warn_unused_result));

/* Removes the file: whoever comes next is free to take another port. */
void stream_listener_forget(const char *state);
