/* A shim as logd sees one, a keeper that kills and starts logd, and a reader of what it wrote. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include "common/log_note.h"
#include "common/logd_protocol.h"
#include "tests/integration/logd/output.h"

enum { BOXES_MAX = 256, BACKLOG_MAX = 48 << 20 };

struct box; /* a container, with its log */

struct box_writer {
    struct box *box;
    int fd;
    pthread_t thread;
    struct output output;
    atomic_ullong written;
    atomic_bool stop, ended;
    unsigned pause_us; /* after each record */
    bool running;
};

struct box {
    char id[LOGD_ID_SIZE];
    const char *directory; /* of its log files */
    bool terminal;
    int from[2];  /* read ends */
    int private_[2];
    int memfd;
    const struct log_note *note;
    uint64_t generation; /* of file */
    int file, next;      /* next: -1, or the file of generation + 1 */
    bool added, draining, drained, removed, file_is;
    uint64_t dropped_bytes; /* as DRAINED or REMOVED said */
    struct box_writer writer[2];
    struct output expected[2];
    atomic_ullong checked[2]; /* bytes that were found in the log */
    uint64_t markers, marked_bytes, lines;
};

struct harness {
    char directory[64];
    const char *program;
    pid_t logd;
    pid_t guard; /* ends the last logd when the test ends before it, a failed test too */
    int guard_fd;
    uint64_t generation;
    int connection; /* -1: none */
    uint64_t random;
    struct box *boxes[BOXES_MAX];
    int box_count;
    unsigned kills;
};

void harness_open(struct harness *harness, const char *program, uint64_t seed);
void harness_close(struct harness *harness);

/* Starts logd, connects, tells it of all boxes. */
void harness_start(struct harness *harness);
void harness_kill(struct harness *harness);
void harness_restart(struct harness *harness);
bool harness_is_dead(struct harness *harness); /* died by itself, reaped */

/* Takes messages for so long, at least once. */
void harness_pump(struct harness *harness, int milliseconds);

struct box *box_new(struct harness *harness, const char *directory, uint64_t seed);
struct box *box_new_terminal(struct harness *harness, const char *directory, int *ret_slave);
void box_free(struct box *box);
void box_add(struct harness *harness, struct box *box);
void box_write(struct box *box, int stream, unsigned pause_us); /* a thread writes until box_stop() */

/* Both streams end: what their writers have in hand is taken first, by another logd where this one dies meanwhile. */
void box_stop(struct harness *harness, struct box *box);
void box_rotate(struct harness *harness, struct box *box);     /* begins one, if none is on its way */
void box_rotate_finish(struct harness *harness, struct box *box, bool look_into_note);
void box_drain(struct harness *harness, struct box *box, int seconds);
void box_remove(struct harness *harness, struct box *box, int seconds);

/* Reads the whole current file, and that all that was written is in the logs, once, in order. */
void box_check(struct box *box);
void box_path(const struct box *box, uint64_t generation, char path[256]);

/* As a shim opens it. */
int log_file_open(const char *path);
int64_t now_ms(void);
