/* One container's log in logd: its descriptors, its note, and where it stands in the loop. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/logd_protocol.h"
#include "services/logd/attach.h"
#include "services/logd/note.h"
#include "services/logd/stream_take.h"

/* What epoll gives back. */
enum source_kind { SOURCE_LISTENER, SOURCE_CONNECTION, SOURCE_CONTAINER };
struct source {
    enum source_kind kind;
};

/* What the shim asked for and has no answer to yet. */
struct container_orders {
    int next_file; /* owned; -1: none */
    uint64_t next_generation;
    bool drain;
    bool remove;
};

struct connection;

struct container {
    struct source source;
    char id[LOGD_ID_SIZE];

    /* Of the thread that has taken it to work. */
    struct note note;
    struct stream_pipes pipes;
    int file; /* O_APPEND, of file_generation */
    uint64_t file_generation;
    bool recovered;
    bool broken;                       /* its note can't be trusted: only REMOVE still works */
    bool ended[LOG_NOTE_STREAMS];      /* end of file */
    int64_t news_ns[LOG_NOTE_STREAMS]; /* BOOTTIME of the last bytes */
    int64_t retry_ns;                  /* when the full disk is tried again */

    struct attach attach; /* has a lock of its own */

    /* Under the server's lock. */
    struct connection *connection; /* whom to answer; NULL: nobody */
    struct container_orders orders;
    uint32_t awaited_sessions; /* it is not served until so many ATTACH have come, or the connection ends */
    bool queued, working, wake_again, removed;
    bool own_thread;          /* its file once held up the loop for a second: it has a thread of its own since */
    pthread_cond_t wake;      /* of that thread */
    int64_t due_ns;           /* BOOTTIME of the next pass; 0: none */
    int registered[LOG_NOTE_STREAMS]; /* the descriptor in epoll; -1: none */
    LIST_ENTRY(container) all;
    LIST_ENTRY(container) timed; /* due_ns is not 0 and it has no own thread */
    TAILQ_ENTRY(container) busy; /* queued and it has no own thread */
};

LIST_HEAD(container_list, container);
TAILQ_HEAD(container_queue, container);

/* Takes the descriptors of an ADD, in the order of the contract, whatever comes of it. INVALID_ARGUMENT, FAILED_PRECONDITION or DATA_LOSS:
 * this log can't be served. */
struct error *container_new(const struct logd_message *add, const int *fds, size_t fd_count, struct container **ret)
    __attribute__((warn_unused_result));
void container_free(struct container *container);
DEFINE_AUTOPTR(container)

/* close() of a file on a hung file system does not return: a thread of its own does it. */
void close_apart(int fd);
