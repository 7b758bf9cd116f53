/* systemd's notify protocol, the receiving end: a datagram socket at a path, senders known by their credentials. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "common/error.h"

enum { NOTIFY_STATUS_SIZE = 256 };

struct notify_message {
    pid_t pid; /* the sender's, from the kernel */
    bool is_ready;
    bool is_watchdog;
    bool is_stopping;
    bool has_status;
    char status[NOTIFY_STATUS_SIZE];
};

/* Binds the path anew (by rename), mode 0666. */
struct error *notify_open(const char *path, int *ret_fd) __attribute__((warn_unused_result));

/* The next message; false when none waits. Never blocks. */
bool notify_receive(int fd, struct notify_message *ret);

/* Reads the text of one message, without its sender. Pure. */
void notify_parse(char *text, struct notify_message *ret);
