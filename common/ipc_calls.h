/* The calls a server has in hand, and which of them were cancelled. Only for ipc*.c. Thread-safe. */
#pragma once

#include <pthread.h>

#include "common/ipc.h"

enum { IPC_CANCELLED_KEPT = 64 };

/* One call, linked into the table from its arrival to its answer. */
struct ipc_entry {
    struct ipc_entry *next, *previous;
    uint8_t id[IPC_REQUEST_ID_SIZE];
    atomic_bool cancelled;
};

struct ipc_calls {
    pthread_mutex_t lock;
    struct ipc_entry *first;
    uint8_t recent[IPC_CANCELLED_KEPT][IPC_REQUEST_ID_SIZE]; /* a CANCEL may overtake its request */
    unsigned turn;
};

void ipc_calls_init(struct ipc_calls *calls);
void ipc_calls_fini(struct ipc_calls *calls);
void ipc_calls_add(struct ipc_calls *calls, struct ipc_entry *entry, const uint8_t *id);
void ipc_calls_remove(struct ipc_calls *calls, struct ipc_entry *entry);
void ipc_calls_cancel(struct ipc_calls *calls, const uint8_t *id);
